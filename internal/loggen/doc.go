// Package loggen makes subscription records as CloudWatch Logs puts them into
// a Kinesis stream, for demos, tests and benchmarks. The same [Options] give
// the same records, byte for byte; no clock is read.
//
// What the records look like as a whole follows what was measured on real
// traffic: about 112 events a record, 580 bytes of JSON an event, and gzip at
// about a quarter of that.
//
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html.
package loggen
