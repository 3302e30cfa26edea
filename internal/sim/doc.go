// Package sim runs whole clusters in virtual time (https://pkg.go.dev/testing/synctest): the
// real consumer with the KCL's worker, lease table and indexer, with fakes of Kinesis, DynamoDB
// and OpenSearch that are called without sockets. Its tests play stories, which are sequences
// of faults and changes, and check that no promise is broken.
package sim
