// Package telemetry shows the metrics that the other packages register: as
// Prometheus text over HTTP, and as one summary line a period in the log. It
// answers probes by the checks that they bring. It knows nothing of what they
// measure or check.
package telemetry
