// Package fakecloudwatch is CloudWatch's metrics and alarms in this process: it takes
// metrics out of log lines in the embedded metric format, and evaluates alarms as a
// CloudFormation template defines them.
//
// It follows the user guide,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html and
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html.
// It has those statistics, functions and ways to treat missing data that
// deploy/logsluice.yaml uses; anything else is an error. Lines are available at once,
// where CloudWatch takes some seconds.
package fakecloudwatch
