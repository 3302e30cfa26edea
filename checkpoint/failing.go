package checkpoint

import (
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
)

// Shards that cannot be read: each failure lengthens the pause before the next try. It is
// logged at most once a minute per shard.

// Attributes of a row whose shard could not be read under its last lease.
const (
	attrFailures     = "ReadFailures"     // readings that failed in a row, of all workers
	attrFailedBy     = "ReadFailedBy"     // the worker whose reading failed last
	attrFailingSince = "ReadFailingSince" // when the first one failed: for people and metrics only
)

// failingAt is the number of failures in a row from which a shard is failing: it
// counts in nobody's share until it is read again. The first failure is repeated at
// once, as most faults pass.
const failingAt = 2

// maxRetryPause bounds the pause between two tries of a failing shard, and so
// the time that it takes to notice that a permission is back.
const maxRetryPause = 2 * time.Minute

// failing reports whether the shard could not be read several times in a row.
func (r row) failing() bool { return r.failures >= failingAt }

// retryPause returns how long a shard is left alone after so many failures in a
// row: 0, then a third of a lease duration, doubled with each failure. The count
// is in the row, so all workers together try as often as one would.
func (t *Table) retryPause(failures int64) time.Duration {
	if failures < failingAt {
		return 0
	}
	const most = 16 // doublings, so that nothing overflows
	return min(t.callTimeout()<<min(failures-failingAt, most), maxRetryPause)
}

// retryTime returns when a shard may be tried again whose row was seen at a time.
// Jitter lets one worker try first, and the others see it.
func (t *Table) retryTime(r row, seen time.Time) time.Time {
	pause := t.retryPause(r.failures)
	return seen.Add(pause*3/4 + jitter(pause/2))
}

// retrySoon schedules an early try of all failing shards: when this worker starts,
// since it may have the permission that others lack, and when any worker reads one
// of them again, since the cause may be gone for all. t.mu must be held.
func (t *Table) retrySoon() {
	if !t.retried.IsZero() && time.Since(t.retried) < reportInterval {
		return // one of them may fail only now and then
	}
	t.retried = time.Now()
	for _, s := range t.shards {
		if s.seen.failing() {
			s.seen.retry = time.Now().Add(jitter(t.callTimeout()))
		}
	}
}

// recovered logs that this worker reads a shard that was failing.
func (t *Table) recovered(shard string, failures int64) {
	t.cfg.Log.Info().Str("shard", shard).Int64("failures", failures).Msg("shard is read again")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards.state(shard).report = report{}
}

func jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most) + 1)) //nolint:gosec // no secret
}

// Failing returns the listed shards that could not be read several times in a
// row, by whichever worker, and since when.
func (t *Table) Failing() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	snap := t.snapshotLocked()
	shards := make(map[string]time.Time)
	for id, s := range t.shards {
		if s.seen.failing() && !snap.isFinished(s) && s.isListed() {
			shards[id] = s.seen.failingSince
		}
	}
	return shards
}

// reportInterval is the time between two lines about the failures of a shard.
const reportInterval = time.Minute

// report is what was logged of a shard's failures.
type report struct {
	at    time.Time
	times int // failures since
}

// reportFailure logs that the reading of a shard failed, once per shard and
// reportInterval. failures is their number in a row, of all workers.
func (t *Table) reportFailure(shard string, failures int64, cause error) {
	t.mu.Lock()
	s := t.shards.state(shard)
	s.report.times++
	r := s.report
	due := r.at.IsZero() || time.Since(r.at) >= reportInterval
	if due {
		s.report = report{at: time.Now()}
	}
	t.mu.Unlock()
	if due {
		t.cfg.Log.Warn().Str("shard", shard).Int64("failures", failures).Int("since_last_line", r.times).
			Stringer("pause", t.retryPause(failures)).Err(cause).Msg("shard cannot be read")
	}
}

// routine is the level of lines about a lease: while its shard is failing,
// reportFailure has the line of them all.
func routine(failures int64) zerolog.Level {
	if failures > 0 {
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}
