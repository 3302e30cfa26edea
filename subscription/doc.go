// Package subscription reads what a CloudWatch Logs subscription filter puts
// into a stream: it inflates a record and finds the log events in its
// envelope. Strings are handed on as the JSON they are, in one canonical
// spelling, so that a message can be copied into a document as it stands.
//
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html.
package subscription
