package indexer

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	indexed, alreadyThere, plain, deadLetters prometheus.Counter
	retried, rejected, failedRequests         prometheus.Counter
	requestBytes                              prometheus.Counter
	requestSeconds                            prometheus.Histogram
	concurrency                               prometheus.Gauge
}

func (m *metrics) register(registry prometheus.Registerer) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logsluice_" + name, Help: help})
	}
	m.indexed = counter("documents_indexed_total", "Documents that OpenSearch created.")
	m.alreadyThere = counter("documents_already_there_total", "Documents that were indexed before: re-deliveries.")
	m.plain = counter("documents_plain_total", "Documents indexed as text only, with the reason, as they were refused for their content.")
	m.deadLetters = counter("dead_letters_total", "Records and documents kept as dead letters.")
	m.retried = counter("documents_retried_total", "Documents sent again, once per attempt.")
	m.rejected = counter("documents_rejected_total", "Documents that OpenSearch had no room for (429), once per attempt.")
	m.failedRequests = counter("bulk_requests_failed_total", "Bulk requests without a verdict for their documents.")
	m.requestBytes = counter("bulk_request_bytes_total", "Bytes of bulk request bodies.")
	m.requestSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "logsluice_bulk_request_seconds",
		Help:    "Time from sending a bulk request to having read its answer.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2, 15),
	})
	m.concurrency = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "logsluice_bulk_concurrency", Help: "Bulk requests that may be under way at once at present."})
	for _, c := range []prometheus.Collector{
		m.concurrency, m.plain, m.indexed, m.alreadyThere, m.deadLetters, m.retried, m.rejected, m.failedRequests, m.requestBytes, m.requestSeconds,
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
