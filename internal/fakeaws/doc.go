// Package fakeaws implements Amazon Kinesis Data Streams in this process. It uses the
// service's JSON protocol, so the AWS SDK works with it, over a socket or without one through
// RoundTripper.
//
// It follows the API reference,
// https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html; each operation has a
// page there and a file here. It differs from the service as follows: changes to a stream
// take effect at once, so its state is always ACTIVE; signatures are not checked; writes are
// not throttled; enhanced fan-out, tags, encryption and on-demand capacity do not exist.
package fakeaws
