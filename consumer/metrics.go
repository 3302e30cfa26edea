package consumer

import (
	"github.com/prometheus/client_golang/prometheus"

	"logsluice/checkpoint"
)

type metrics struct {
	records, recordBytes, events, controls prometheus.Counter
	gaps, gapSeconds                       prometheus.Counter
	latency                                prometheus.Histogram
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logsluice_" + name, Help: help})
	}
	return &metrics{
		records:     counter("records_total", "Kinesis records read, user records if aggregated."),
		recordBytes: counter("record_bytes_total", "Bytes of these records, compressed."),
		events:      counter("events_total", "Log events in them that no rule drops."),
		controls:    counter("control_messages_total", "CONTROL_MESSAGE records, by which CloudWatch Logs probes the stream."),
		gaps:        counter("gaps_total", "Intervals of shards in which records may have expired unread."),
		gapSeconds:  counter("gap_seconds_total", "Length of these intervals."),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "logsluice_put_to_acknowledged_seconds",
			Help:    "Time from a record's arrival in Kinesis to the outcome of its last document.",
			Buckets: prometheus.ExponentialBuckets(0.01, 1.25, 50),
		}),
	}
}

func (m *metrics) register(registry prometheus.Registerer, table *checkpoint.Table, lag *lagCollector) error {
	leases := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logsluice_leases", Help: "Shards that this worker holds."}, func() float64 { return float64(table.Held()) })
	shards := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logsluice_shards", Help: "Open shards of the stream, which all workers share."}, func() float64 { return float64(table.Shards()) })
	for _, c := range []prometheus.Collector{
		m.records, m.recordBytes, m.events, m.controls, m.gaps, m.gapSeconds, lag, m.latency, leases, shards,
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
