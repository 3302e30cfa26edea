package consumer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/checkpoint"
)

// lagCollector exports the lag of each shard that this worker reads or that no worker reads.
// For a shard that this worker reads, each answer of Kinesis has the lag
// (MillisBehindLatest). Between two answers the tip moves on, so the lag of a shard that
// waits for OpenSearch grows with time. For a shard that no worker reads, and for one without
// an answer yet, the lag is calculated from ReadThrough in the lease table.
type lagCollector struct {
	lagDesc, unreadDesc *prometheus.Desc
	shards              *shards
	statuses            func() []checkpoint.ReadStatus
}

// betweenAnswers is longer than the time between two answers in steady state.
const betweenAnswers = 5 * time.Second

func newLagCollector(all *shards, statuses func() []checkpoint.ReadStatus) *lagCollector {
	return &lagCollector{
		lagDesc: prometheus.NewDesc("logsluice_lag_seconds", "How far reading is behind the tip of a shard that this worker reads or that no worker reads.", []string{"shard"}, nil),
		unreadDesc: prometheus.NewDesc("logsluice_shards_unread",
			"Shards that no worker reads: they have no living owner, or their reading fails.", nil, nil),
		shards:   all,
		statuses: statuses,
	}
}

// setWatermark sets the watermark of a shard's records.
func (s *shards) setWatermark(id string, lease *checkpoint.Lease, marks *watermark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofLocked(id).lag = lag{lease: lease, marks: marks}
}

// answered records how far an answer was behind the tip. It returns the watermark of the
// shard, nil if it has none yet.
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

// leases returns, by shard, the lease under which the lag was measured, or nil if there is no lag.
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

// shardState is the state of a shard as this worker knows it.
type shardState struct {
	checkpoint.ReadStatus
	// waitsForOpenSearch is set while records that were read have no outcome.
	waitsForOpenSearch bool
}

// states returns the shards that are not read to their ends. It forgets the lag of leases
// that have ended.
func (c *lagCollector) states() []shardState {
	before := c.shards.leases()
	statuses := c.statuses()
	c.shards.mu.Lock()
	defer c.shards.mu.Unlock()
	all := make([]shardState, len(statuses))
	current := make(map[string]bool)
	for i, s := range statuses {
		if known := c.shards.byID[s.Shard]; known != nil && s.Lease != nil && known.lag.lease == s.Lease {
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
	for id, known := range c.shards.byID {
		// A lease that was acquired in the meantime is not in the statuses.
		if !current[id] && known.lag.lease == before[id] {
			known.lag = lag{}
		}
	}
	c.shards.pruneLocked()
	return all
}

// Describe implements prometheus.Collector.
func (c *lagCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.lagDesc
	descs <- c.unreadDesc
}

// Collect implements prometheus.Collector.
func (c *lagCollector) Collect(metrics chan<- prometheus.Metric) {
	unread := 0
	for _, s := range c.states() {
		if s.Unread() {
			unread++
		}
		if !s.HeldByOther {
			metrics <- prometheus.MustNewConstMetric(c.lagDesc, prometheus.GaugeValue, s.Lag.Seconds(), s.Shard)
		}
	}
	metrics <- prometheus.MustNewConstMetric(c.unreadDesc, prometheus.GaugeValue, float64(unread))
}
