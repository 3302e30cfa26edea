package consumer

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// behind knows how far reading is behind the tip of each shard. Kinesis tells it
// with each answer (MillisBehindLatest). Between two answers the tip moves on: a
// shard that waits, as OpenSearch takes nothing more, falls behind with the time.
type behind struct {
	desc *prometheus.Desc

	mu     sync.Mutex
	shards map[string]told
}

// told is what an answer said, and when.
type told struct {
	behind  time.Duration
	at      time.Time
	failing bool // no worker has read the shard since
}

// betweenAnswers is longer than it takes from one answer to the next in steady state.
const betweenAnswers = 5 * time.Second

func newBehind() *behind {
	return &behind{
		desc:   prometheus.NewDesc("logsluice_lag_seconds", "How far reading is behind the tip of a shard.", []string{"shard"}, nil),
		shards: make(map[string]told),
	}
}

func (b *behind) set(shard string, lag time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shards[shard] = told{behind: lag, at: time.Now()}
}

// fail keeps the lag of a shard that was released, and lets it grow, until
// failing drops it.
func (b *behind) fail(shard string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, known := b.shards[shard]; known {
		t.failing = true
		b.shards[shard] = t
	}
}

// failing notes which shards no worker can read, and since when: their lag grows
// with time. It drops those that are not failing.
func (b *behind) failing(shards map[string]time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for shard, t := range b.shards {
		if _, still := shards[shard]; t.failing && !still {
			delete(b.shards, shard)
		}
	}
	for shard, since := range shards {
		t, known := b.shards[shard]
		if !known {
			t.at = since
		}
		t.failing = true
		b.shards[shard] = t
	}
}

func (b *behind) forget(shard string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shards, shard)
}

// Describe implements prometheus.Collector.
func (b *behind) Describe(descs chan<- *prometheus.Desc) { descs <- b.desc }

// Collect implements prometheus.Collector.
func (b *behind) Collect(metrics chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for shard, t := range b.shards {
		lag := t.behind
		if since := time.Since(t.at); since > betweenAnswers {
			lag += since
		}
		metrics <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, lag.Seconds(), shard)
	}
}
