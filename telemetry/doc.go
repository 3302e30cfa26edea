// Package telemetry exposes the metrics that other packages register, as Prometheus text over
// HTTP and as one summary line per period in the log. It answers probes with the checks that
// other packages provide. It does not depend on what they measure or check.
package telemetry
