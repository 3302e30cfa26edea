// Package fakedynamodb implements Amazon DynamoDB in this process. It uses the service's JSON
// protocol, so the AWS SDK works with it, over a socket or without one through
// fakeaws.RoundTripper.
//
// It follows the API reference,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html; each operation
// has a page there and a file here. It differs from the service as follows: tables are created
// and deleted at once; every read is consistent, but is billed as requested; signatures are
// not checked; requests are not throttled. Operations that this repository does not call
// (batches, transactions, queries), parallel scans, indexes, streams, TTL and the legacy
// parameters that expressions replaced do not exist; requests for them are rejected.
//
// Items are ordered by a hash of their hash key, then by their range key, so that a Scan has
// the same order in every run.
package fakedynamodb
