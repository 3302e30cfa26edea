// Package fakeaws is an Amazon Kinesis Data Streams in this process. It speaks
// the service's own JSON protocol, so that the AWS SDK talks to it as to the
// service: over a socket, or through RoundTripper without one.
//
// What it does follows the API reference,
// https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html; each
// operation has a page there and a file here. It differs in this: changes to a
// stream take effect at once, so that its state is always ACTIVE; signatures
// are not checked; writes are not throttled; enhanced fan-out, tags, encryption
// and on-demand capacity do not exist.
package fakeaws
