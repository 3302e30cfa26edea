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
	behind time.Duration
	at     time.Time
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
	b.shards[shard] = told{lag, time.Now()}
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
