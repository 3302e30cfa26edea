package consumer

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/checkpoint"
)

// behind knows how far each shard is read. Of a shard that this worker reads, Kinesis
// says with each answer how far it is behind the tip (MillisBehindLatest). Between two
// answers the tip moves on: a shard that waits, as OpenSearch takes nothing more, falls
// behind with the time. Of a shard that nobody reads, and of one that has brought no
// answer yet, the lease table says up to which time it is read. A shard that another
// worker reads is left to that worker.
type behind struct {
	lagDesc, unreadDesc *prometheus.Desc
	standings           func() []checkpoint.Standing

	mu       sync.Mutex
	readings map[string]reading // by shard
}

// reading is what the answers to the reads of a shard said under one lease.
type reading struct {
	lease  *checkpoint.Lease
	marks  *watermark // nil until the shard has a processor
	behind time.Duration
	at     time.Time // when the last answer came, zero before the first
}

// betweenAnswers is longer than it takes from one answer to the next in steady state.
const betweenAnswers = 5 * time.Second

func newBehind() *behind {
	return &behind{
		lagDesc: prometheus.NewDesc("logsluice_lag_seconds", "How far reading is behind the tip of a shard that this worker reads or nobody.", []string{"shard"}, nil),
		unreadDesc: prometheus.NewDesc("logsluice_shards_unread",
			"Shards that no worker reads: they have no living owner, or their reading fails.", nil, nil),
		standings: func() []checkpoint.Standing { return nil },
		readings:  make(map[string]reading),
	}
}

// begin follows the reading of a shard whose records go into a watermark.
func (b *behind) begin(shard string, lease *checkpoint.Lease, marks *watermark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readings[shard] = reading{lease: lease, marks: marks}
}

// answered notes how far an answer was behind the tip, and returns the watermark of
// the shard, nil if it has none yet.
func (b *behind) answered(shard string, lease *checkpoint.Lease, lag time.Duration) *watermark {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.readings[shard]
	if r.lease != lease {
		r = reading{lease: lease}
	}
	r.behind, r.at = lag, time.Now()
	b.readings[shard] = r
	return r.marks
}

// marksOf returns the watermark of a reading, nil if it has none.
func (b *behind) marksOf(shard string, lease *checkpoint.Lease) *watermark {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.readings[shard]; r.lease == lease {
		return r.marks
	}
	return nil
}

// state is a shard as this worker sees it.
type state struct {
	checkpoint.Standing
	// WaitsForOpenSearch is set while records that were read have no verdict.
	waitsForOpenSearch bool
}

// states returns the shards that are not read to their ends. It forgets the readings
// that have ended.
func (b *behind) states() []state {
	standings := b.standings()
	b.mu.Lock()
	defer b.mu.Unlock()
	current := make(map[string]reading)
	all := make([]state, len(standings))
	for i, s := range standings {
		r := b.readings[s.Shard]
		if s.Lease != nil && r.lease == s.Lease {
			current[s.Shard] = r
			all[i].waitsForOpenSearch = r.marks != nil && r.marks.pending() > 0
			if !r.at.IsZero() {
				s.Unanswered = time.Since(r.at)
				s.Lag = r.behind
				if s.Unanswered > betweenAnswers {
					s.Lag += s.Unanswered
				}
			}
		}
		all[i].Standing = s
	}
	b.readings = current
	return all
}

// Describe implements prometheus.Collector.
func (b *behind) Describe(descs chan<- *prometheus.Desc) {
	descs <- b.lagDesc
	descs <- b.unreadDesc
}

// Collect implements prometheus.Collector.
func (b *behind) Collect(metrics chan<- prometheus.Metric) {
	unread := 0
	for _, s := range b.states() {
		if s.Unread() {
			unread++
		}
		if !s.Elsewhere {
			metrics <- prometheus.MustNewConstMetric(b.lagDesc, prometheus.GaugeValue, s.Lag.Seconds(), s.Shard)
		}
	}
	metrics <- prometheus.MustNewConstMetric(b.unreadDesc, prometheus.GaugeValue, float64(unread))
}
