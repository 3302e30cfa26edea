// Package fakeaws is an Amazon Kinesis Data Streams in this process. It speaks
// the service's own JSON protocol, so that the AWS SDK talks to it as to the
// service: over a socket, or through RoundTripper without one.
//
// What it does follows the API reference,
// https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html.
// Reshards take effect at once; signatures are not checked; nothing is ever
// trimmed.
package fakeaws
