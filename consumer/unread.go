package consumer

import (
	"fmt"
	"time"

	"logsluice/checkpoint"
)

// unreadShards returns the shards that this worker is to report: no worker had an
// answer of them for checkpoint.UnreadAfter. A shard that waits for OpenSearch is not
// among them, nor one that another worker holds.
func (c *Consumer) unreadShards() (shards []shardState) {
	for _, s := range c.lag.states() {
		if s.Unanswered >= checkpoint.UnreadAfter && !s.WaitsForParent && !s.HeldByOther && !s.waitsForOpenSearch {
			shards = append(shards, s)
		}
	}
	return shards
}

// reportUnread logs a line about each shard that nobody reads, once per
// checkpoint.UnreadAfter.
func (c *Consumer) reportUnread() {
	for _, s := range c.unreadShards() {
		// Of a failing one the worker that tries it logs the cause.
		if s.Failing || !s.Reports || !c.shards.logUnread(s.Shard) {
			continue
		}
		c.cfg.Log.Warn().Str("shard", s.Shard).Bool("held", s.Lease != nil).
			Str("unread_for", s.Unanswered.Round(time.Second).String()).Float64("lag_seconds", s.Lag.Seconds()).
			Msg("shard is not read")
	}
}

// logUnread reports whether to log that nobody reads a shard, and notes that it is logged.
func (s *shards) logUnread(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.ofLocked(id)
	if time.Since(known.unreadLogged) < checkpoint.UnreadAfter {
		return false
	}
	known.unreadLogged = time.Now()
	return true
}

// checkUnread returns an error when a shard that this worker holds, or nobody, has not
// been read for checkpoint.UnreadAfter.
func (c *Consumer) checkUnread() error {
	shards := c.unreadShards()
	if len(shards) == 0 {
		return nil
	}
	oldest := shards[0]
	for _, s := range shards {
		if s.Unanswered > oldest.Unanswered {
			oldest = s
		}
	}
	return fmt.Errorf("%d shards are not read, %s for %s: the log has the cause", len(shards), oldest.Shard, oldest.Unanswered.Round(time.Second))
}
