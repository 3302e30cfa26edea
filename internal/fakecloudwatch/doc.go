// Package fakecloudwatch implements CloudWatch's metrics and alarms in process. It extracts
// metrics from log lines in the embedded metric format, and evaluates alarms that are defined
// in a CloudFormation template.
//
// It follows the user guide,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html and
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html.
// It supports the statistics, functions and treatments of missing data that
// deploy/logsluice.yaml uses. Anything else is an error. Metrics are available immediately,
// whereas CloudWatch takes some seconds.
package fakecloudwatch
