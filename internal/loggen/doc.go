// Package loggen generates subscription records as CloudWatch Logs writes them to a
// Kinesis stream, for demos, tests and benchmarks. Equal [Options] give identical
// records; no clock is read.
//
// The overall shape of the records follows measurements of real traffic: about 112 events
// per record, 580 bytes of JSON per event, and gzip at about a quarter of that.
//
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html.
package loggen
