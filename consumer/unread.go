package consumer

import (
	"fmt"
	"maps"
	"time"

	"logsluice/checkpoint"
)

// unreadShards returns the shards that this worker is to report: no worker had an
// answer of them for checkpoint.UnreadAfter. A shard that waits for OpenSearch is not
// among them, nor one that another worker holds.
func (c *Consumer) unreadShards() (shards []state) {
	for _, s := range c.metrics.lag.states() {
		if s.Unanswered >= checkpoint.UnreadAfter && !s.Waits && !s.Elsewhere && !s.waitsForOpenSearch {
			shards = append(shards, s)
		}
	}
	return shards
}

// reportUnread logs a line about each shard that nobody reads, once per
// checkpoint.UnreadAfter. The goroutine of Sync calls it.
func (c *Consumer) reportUnread() {
	maps.DeleteFunc(c.unreadLogged, func(_ string, at time.Time) bool { return time.Since(at) >= checkpoint.UnreadAfter })
	for _, s := range c.unreadShards() {
		if _, logged := c.unreadLogged[s.Shard]; logged || s.Failing || !s.Reports {
			continue // of a failing one the worker that tries it logs the cause
		}
		c.unreadLogged[s.Shard] = time.Now()
		c.cfg.Log.Warn().Str("shard", s.Shard).Bool("held", s.Lease != nil).
			Str("unread_for", s.Unanswered.Round(time.Second).String()).Float64("lag_seconds", s.Lag.Seconds()).
			Msg("shard is not read")
	}
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
