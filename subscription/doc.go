// Package subscription decodes what a CloudWatch Logs subscription filter writes to a
// stream: it inflates a record and finds the log events in its envelope. Strings are
// passed on as JSON in one canonical form, so that a message can be copied into a
// document unchanged.
//
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html.
package subscription
