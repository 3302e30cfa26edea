// Package telemetry shows the metrics that the other packages register: as
// Prometheus text over HTTP, and as one summary line a period in the log. It
// knows nothing of what they measure.
package telemetry
