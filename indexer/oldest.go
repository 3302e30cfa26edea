package indexer

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/indexer/deadletter"
)

// oldestDocuments is the metric of how long documents have been without an outcome: of
// all documents, under an empty index, and of each of the indices that have waited
// longest. Time counts from Put: an index that does not accept documents shows by it
// from the first one on, and a worker that is far behind does not. What is read again
// by another worker, or after shed, counts anew.
//
// The dispatcher looks through its documents when the metric is asked for, so nothing
// has to be noted of a document that comes or goes.
type oldestDocuments struct {
	ix   *Indexer
	desc *prometheus.Desc
}

const (
	// mostOldest bounds the number of indices in the metric.
	mostOldest = 10
	// oldestFrom is the age from which an index is shown. Requests take less as a rule.
	oldestFrom = time.Second
	// askTimeout is how long the metric waits for a dispatcher that may be stuck.
	askTimeout = 5 * time.Second
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
	for _, index := range indices[:min(len(indices), mostOldest)] {
		show(index, found.indices[index])
	}
}

// oldest asks the dispatcher for its oldest documents. It reports false if the
// dispatcher does not answer.
func (ix *Indexer) oldest(now time.Time) (found oldest, ok bool) {
	ctx, cancel := context.WithTimeout(ix.ctx, askTimeout)
	defer cancel()
	answer := make(chan oldest, 1)
	select {
	case ix.asks <- func(d *dispatcher) { answer <- d.oldestOf(now) }:
		return <-answer, true
	case <-ctx.Done():
		return found, false
	}
}

// oldest is when the oldest of the documents without an outcome was put, and of those
// that are at least oldestFrom old the oldest of each index.
type oldest struct {
	now     time.Time
	put     time.Time // now if there is no document
	indices map[string]time.Time
}

// oldestOf looks through all documents.
func (d *dispatcher) oldestOf(now time.Time) oldest {
	d.ix.inbox.take(d.enqueue)
	o := oldest{now: now, put: now, indices: make(map[string]time.Time)}
	letters := deadletter.Index(d.ix.cfg.Prefix)
	look := func(parts ...part) {
		for i := range parts {
			o.look(&parts[i], letters)
		}
	}
	lookHeld := func(all []*held) {
		for _, h := range all {
			o.look(&h.part, letters)
		}
	}
	for _, q := range []*queue{&d.fresh, &d.resent} {
		for _, l := range q.lines {
			look(l.parts...)
		}
	}
	for _, batch := range slices.Concat(d.alone, d.underWay) {
		look(batch...)
	}
	look(d.large...)
	for _, r := range d.retries {
		lookHeld(r.parts)
	}
	for _, t := range d.targets {
		lookHeld(t.blocked)
		for _, r := range t.failing {
			lookHeld(r.parts)
		}
	}
	lookHeld(d.storing.parts)
	return o
}

// look notes the documents of a part. letters is the index of dead letters.
func (o *oldest) look(p *part, letters string) {
	put := p.docs.group.put
	if put.Before(o.put) {
		o.put = put
	}
	if o.now.Sub(put) < oldestFrom {
		return
	}
	if p.isLetter() {
		o.note([]byte(letters), put)
		return
	}
	for from := 0; from < p.count(); {
		to, index := p.indexRun(from)
		o.note(index, put)
		from = to
	}
}

func (o *oldest) note(index []byte, put time.Time) {
	if known, ok := o.indices[string(index)]; !ok || put.Before(known) {
		o.indices[string(index)] = put
	}
}
