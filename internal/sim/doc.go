// Package sim runs whole clusters in a bubble of virtual time
// (https://pkg.go.dev/testing/synctest): the real consumer with the KCL's
// worker, the real lease table and indexer, on fakes of Kinesis, DynamoDB and
// OpenSearch that are reached without sockets. Its tests tell stories of what
// can go wrong, and hold the promises against each of them.
package sim
