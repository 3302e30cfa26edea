package indexer

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	indexed, alreadyIndexed, plain, deadLetters prometheus.Counter
	retried, rejected, failedRequests           prometheus.Counter
	conflicts, stored                           prometheus.Counter
	waiting, givenUp, paused                    prometheus.Gauge
	requestBytes                                prometheus.Counter
	requestSeconds                              prometheus.Histogram
	concurrency                                 prometheus.Gauge
}

func (m *metrics) register(registry prometheus.Registerer, budget *budget) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logsluice_" + name, Help: help})
	}
	m.indexed = counter("documents_indexed_total", "Documents that OpenSearch created.")
	m.alreadyIndexed = counter("documents_already_there_total", "Documents that were already indexed: re-deliveries.")
	m.plain = counter("documents_plain_total", "Documents indexed as text only, with the reason, because their content was refused.")
	m.deadLetters = counter("dead_letters_total", "Records and documents kept as dead letters, in their index or in DEAD_LETTER_URL.")
	m.retried = counter("documents_retried_total", "Documents sent again, once per attempt.")
	m.rejected = counter("documents_rejected_total", "Documents that OpenSearch had no capacity for (429), once per attempt.")
	m.failedRequests = counter("bulk_requests_failed_total", "Bulk requests that returned no outcome for their documents.")
	m.requestBytes = counter("bulk_request_bytes_total", "Bytes of bulk request bodies.")
	m.requestSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "logsluice_bulk_request_seconds",
		Help:    "Time from sending a bulk request until its response is read.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2, 15),
	})
	m.conflicts = counter("documents_conflicting_total", "Documents kept as dead letters because another event is indexed under their id.")
	m.stored = counter("dead_letters_stored_total", "Dead letters written to DEAD_LETTER_URL because their index refused them.")
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "logsluice_indices_waited_for", Help: "Indices that do not accept documents and for which documents wait."})
	m.givenUp = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "logsluice_indices_given_up", Help: "Indices that did not accept documents for too long: new documents for them become dead letters at once."})
	m.paused = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "logsluice_shards_paused", Help: "Shards that are not read because too many of their documents wait for indices."})
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logsluice_in_flight_bytes", Help: "Bytes of memory that documents without an outcome take.",
	}, func() float64 { used, _, _ := budget.state(); return float64(used) })
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logsluice_waiting_bytes", Help: "Bytes of documents in flight that wait for an index that does not accept them.",
	}, func() float64 { _, waiting, _ := budget.state(); return float64(waiting) })
	m.concurrency = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "logsluice_bulk_concurrency", Help: "Bulk requests that may run concurrently at present."})
	for _, c := range []prometheus.Collector{
		m.conflicts, m.stored, m.waiting, m.givenUp, m.paused, inFlight, waiting,
		m.concurrency, m.plain, m.indexed, m.alreadyIndexed, m.deadLetters, m.retried, m.rejected, m.failedRequests, m.requestBytes, m.requestSeconds,
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
