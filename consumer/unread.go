package consumer

import (
	"fmt"
	"time"

	"logsluice/checkpoint"
)

// unreadShards returns the shards that have not been read for checkpoint.UnreadAfter. It
// leaves out shards that wait for OpenSearch or for a parent, and those that another worker
// holds.
func (c *Consumer) unreadShards() (shards []shardState) {
	for _, s := range c.lag.states() {
		if s.Unanswered >= checkpoint.UnreadAfter && !s.WaitsForParent && !s.HeldByOther && !s.waitsForOpenSearch {
			shards = append(shards, s)
		}
	}
	return shards
}

// reportUnread logs each shard that is not read, once per checkpoint.UnreadAfter.
func (c *Consumer) reportUnread() {
	for _, s := range c.unreadShards() {
		// For a failing shard, the worker that tries to read it logs the cause.
		if s.Failing || !s.Reports || !c.shards.logUnread(s.Shard) {
			continue
		}
		c.cfg.Log.Warn().Str("shard", s.Shard).Bool("held", s.Lease != nil).
			Str("unread_for", s.Unanswered.Round(time.Second).String()).Float64("lag_seconds", s.Lag.Seconds()).
			Msg("shard is not read")
	}
}

// logUnread reports whether to log that a shard is not read, and records that it is logged.
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

// checkUnread returns an error when a shard that no other worker holds has not been
// read for checkpoint.UnreadAfter.
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
	return fmt.Errorf("%d shards are not read, %s for %s: see the log for the cause", len(shards), oldest.Shard, oldest.Unanswered.Round(time.Second))
}
