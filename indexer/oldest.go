package indexer

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/indexer/deadletter"
)

// oldestDocuments is a metric: how long the oldest document has been without an outcome,
// of all documents (index is empty) and of each of the indices that have waited longest.
// Time counts from Put. So an index that does not accept documents appears with its first
// document, and a worker that is far behind does not. Documents that are read again
// by another worker, or after shed, count from zero.
//
// The dispatcher scans its documents when the metric is collected, so the metric costs
// nothing per document.
type oldestDocuments struct {
	ix   *Indexer
	desc *prometheus.Desc
}

const (
	// maxOldestIndices bounds the number of indices in the metric.
	maxOldestIndices = 10
	// minOldestAge is the age from which an index is shown. Requests usually take less.
	minOldestAge = time.Second
	// queryTimeout is how long the metric waits for a dispatcher that may be stuck.
	queryTimeout = 5 * time.Second
)

func newOldestDocuments(ix *Indexer) oldestDocuments {
	return oldestDocuments{ix, prometheus.NewDesc("logsluice_oldest_document_seconds",
		"Time since the oldest document without an outcome was passed to the indexer: of all documents where index is empty, otherwise of the index.",
		[]string{"index"}, nil)}
}

// Describe implements prometheus.Collector.
func (o oldestDocuments) Describe(descs chan<- *prometheus.Desc) { descs <- o.desc }

// Collect implements prometheus.Collector.
func (o oldestDocuments) Collect(metrics chan<- prometheus.Metric) {
	now := time.Now()
	found, ok := o.ix.oldest(now)
	if !ok {
		return
	}
	show := func(index string, put time.Time) {
		metrics <- prometheus.MustNewConstMetric(o.desc, prometheus.GaugeValue, now.Sub(put).Seconds(), index)
	}
	show("", found.put)
	indices := slices.SortedFunc(maps.Keys(found.indices), func(a, b string) int { return found.indices[a].Compare(found.indices[b]) })
	for _, index := range indices[:min(len(indices), maxOldestIndices)] {
		show(index, found.indices[index])
	}
}

// oldest returns the dispatcher's oldest documents. It reports false if the dispatcher
// does not answer.
func (ix *Indexer) oldest(now time.Time) (found oldestTimes, ok bool) {
	ctx, cancel := context.WithTimeout(ix.ctx, queryTimeout)
	defer cancel()
	answer := make(chan oldestTimes, 1)
	select {
	case ix.queries <- func(d *dispatcher) { answer <- d.oldestOf(now) }:
		return <-answer, true
	case <-ctx.Done():
		return found, false
	}
}

// oldestTimes is when the oldest document without an outcome was put, overall and per
// index for those that are at least minOldestAge old.
type oldestTimes struct {
	now     time.Time
	put     time.Time // now if no document exists
	indices map[string]time.Time
}

// oldestOf scans all documents.
func (d *dispatcher) oldestOf(now time.Time) oldestTimes {
	d.ix.inbox.drain(d.enqueue)
	o := oldestTimes{now: now, put: now, indices: make(map[string]time.Time)}
	letters := deadletter.Index(d.ix.cfg.Prefix)
	look := func(parts ...part) {
		for i := range parts {
			o.addPart(&parts[i], letters)
		}
	}
	lookDelayed := func(all []*delayedPart) {
		for _, dp := range all {
			o.addPart(&dp.part, letters)
		}
	}
	for _, q := range []*queue{&d.fresh, &d.requeued} {
		for _, s := range q.shards {
			look(s.parts...)
		}
	}
	for _, batch := range slices.Concat(d.isolated, d.underWay) {
		look(batch...)
	}
	look(d.large...)
	for _, r := range d.retries {
		lookDelayed(r.parts)
	}
	for _, t := range d.targets {
		lookDelayed(t.blocked)
		for _, r := range t.failing {
			lookDelayed(r.parts)
		}
	}
	lookDelayed(d.storing.parts)
	return o
}

// addPart adds the documents of a part. letters is the dead-letter index.
func (o *oldestTimes) addPart(p *part, letters string) {
	put := p.docs.group.put
	if put.Before(o.put) {
		o.put = put
	}
	if o.now.Sub(put) < minOldestAge {
		return
	}
	if p.isLetter() {
		o.addIndex([]byte(letters), put)
		return
	}
	for from := 0; from < p.count(); {
		to, index := p.indexRun(from)
		o.addIndex(index, put)
		from = to
	}
}

func (o *oldestTimes) addIndex(index []byte, put time.Time) {
	if known, ok := o.indices[string(index)]; !ok || put.Before(known) {
		o.indices[string(index)] = put
	}
}
