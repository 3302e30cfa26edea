package indexer

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	indexed, alreadyThere, deadLetters prometheus.Counter
	retried, failedRequests            prometheus.Counter
	requestBytes                       prometheus.Counter
	requestSeconds                     prometheus.Histogram
}

func (m *metrics) register(registry prometheus.Registerer) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logsluice_" + name, Help: help})
	}
	m.indexed = counter("documents_indexed_total", "Documents that OpenSearch created.")
	m.alreadyThere = counter("documents_already_there_total", "Documents that were indexed before: re-deliveries.")
	m.deadLetters = counter("dead_letters_total", "Records and documents kept as dead letters.")
	m.retried = counter("documents_retried_total", "Documents sent again, once per attempt.")
	m.failedRequests = counter("bulk_requests_failed_total", "Bulk requests without a verdict for their documents.")
	m.requestBytes = counter("bulk_request_bytes_total", "Bytes of bulk request bodies.")
	m.requestSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "logsluice_bulk_request_seconds",
		Help:    "Time from sending a bulk request to having read its answer.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2, 15),
	})
	for _, c := range []prometheus.Collector{
		m.indexed, m.alreadyThere, m.deadLetters, m.retried, m.failedRequests, m.requestBytes, m.requestSeconds,
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
