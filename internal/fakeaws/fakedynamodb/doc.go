// Package fakedynamodb is an Amazon DynamoDB in this process. It speaks the
// service's own JSON protocol, so that the AWS SDK talks to it as to the
// service: over a socket, or through fakeaws.RoundTripper without one.
//
// What it does follows the API reference,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html;
// each operation has a page there and a file here. It differs in this: tables
// are ACTIVE at once and gone at once; every read is consistent, whatever it
// asks for, and is billed for what it asks; signatures are not checked; nothing
// is throttled. Operations that this repository does not call (batches,
// transactions, queries), parallel scans, indexes, streams, TTL and the parameters
// from before expressions do not exist; a request for one of them is refused.
//
// Items lie in the order of a hash of their hash key, then of their range key,
// so that a Scan has the same order in every run.
package fakedynamodb
