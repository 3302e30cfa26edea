package consumer

import (
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
type lagCollector struct {
	lagDesc, unreadDesc *prometheus.Desc
	shards              *shards
	statuses            func() []checkpoint.ReadStatus
}

// betweenAnswers is longer than it takes from one answer to the next in steady state.
const betweenAnswers = 5 * time.Second

func newLagCollector(all *shards, standings func() []checkpoint.ReadStatus) *lagCollector {
	return &lagCollector{
		lagDesc: prometheus.NewDesc("logsluice_lag_seconds", "How far reading is behind the tip of a shard that this worker reads or nobody.", []string{"shard"}, nil),
		unreadDesc: prometheus.NewDesc("logsluice_shards_unread",
			"Shards that no worker reads: they have no living owner, or their reading fails.", nil, nil),
		shards:   all,
		statuses: standings,
	}
}

// setWatermark notes the watermark that the records of a shard go into.
func (s *shards) setWatermark(id string, lease *checkpoint.Lease, marks *watermark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofLocked(id).lag = lag{lease: lease, marks: marks}
}

// answered notes how far an answer was behind the tip, and returns the watermark of
// the shard, nil if it has none yet.
func (s *shards) answered(id string, lease *checkpoint.Lease, behind time.Duration) *watermark {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.ofLocked(id)
	if known.lag.lease != lease {
		known.lag = lag{lease: lease}
	}
	known.lag.behind, known.lag.at = behind, time.Now()
	return known.lag.marks
}

// leases returns the lease that is known of each shard, nil for none.
func (s *shards) leases() map[string]*checkpoint.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	leases := make(map[string]*checkpoint.Lease, len(s.byID))
	for id, known := range s.byID {
		leases[id] = known.lag.lease
	}
	return leases
}

// marksOfLocked returns the watermark of a shard under a lease, nil if it has none. s.mu
// must be held.
func (s *shards) marksOfLocked(id string, lease *checkpoint.Lease) *watermark {
	if known := s.byID[id]; known != nil && known.lag.lease == lease {
		return known.lag.marks
	}
	return nil
}

// state is a shard as this worker sees it.
type shardState struct {
	checkpoint.ReadStatus
	// WaitsForOpenSearch is set while records that were read have no verdict.
	waitsForOpenSearch bool
}

// states returns the shards that are not read to their ends. It forgets what answers said
// under leases that have ended.
func (b *lagCollector) states() []shardState {
	before := b.shards.leases()
	standings := b.statuses()
	b.shards.mu.Lock()
	defer b.shards.mu.Unlock()
	all := make([]shardState, len(standings))
	current := make(map[string]bool)
	for i, s := range standings {
		if known := b.shards.byID[s.Shard]; known != nil && s.Lease != nil && known.lag.lease == s.Lease {
			current[s.Shard] = true
			r := known.lag
			all[i].waitsForOpenSearch = r.marks != nil && r.marks.pending() > 0
			if !r.at.IsZero() {
				s.Unanswered = time.Since(r.at)
				s.Lag = r.behind
				if s.Unanswered > betweenAnswers {
					s.Lag += s.Unanswered
				}
			}
		}
		all[i].ReadStatus = s
	}
	for id, known := range b.shards.byID {
		// A lease that was acquired after the table was looked at is not among the standings.
		if !current[id] && known.lag.lease == before[id] {
			known.lag = lag{}
		}
	}
	b.shards.forgetLocked()
	return all
}

// Describe implements prometheus.Collector.
func (b *lagCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- b.lagDesc
	descs <- b.unreadDesc
}

// Collect implements prometheus.Collector.
func (b *lagCollector) Collect(metrics chan<- prometheus.Metric) {
	unread := 0
	for _, s := range b.states() {
		if s.Unread() {
			unread++
		}
		if !s.HeldByOther {
			metrics <- prometheus.MustNewConstMetric(b.lagDesc, prometheus.GaugeValue, s.Lag.Seconds(), s.Shard)
		}
	}
	metrics <- prometheus.MustNewConstMetric(b.unreadDesc, prometheus.GaugeValue, float64(unread))
}
