package checkpoint

import (
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
)

// Shards that cannot be read: each failure lengthens the pause before the next attempt. Failures
// are logged at most once per minute and shard.

// Attributes of a row whose shard could not be read under its last lease.
const (
	attrFailures     = "ReadFailures"     // consecutive failed attempts, of all workers
	attrFailedBy     = "ReadFailedBy"     // the worker that failed last
	attrFailingSince = "ReadFailingSince" // when the first attempt failed: for people and metrics only
)

// failingAt is the number of consecutive failures from which a shard is failing. A failing
// shard counts in no worker's share until it is read again. After the first failure the
// shard is retried at once, because most faults are transient.
const failingAt = 2

// maxRetryPause bounds the pause between two attempts to read a failing shard, and thus the time
// that it takes to notice that a permission was restored.
const maxRetryPause = 2 * time.Minute

// failing reports whether the shard could not be read failingAt times in a row or more.
func (r row) failing() bool { return r.failures >= failingAt }

// retryPause returns how long a shard is not tried after a number of consecutive failures:
// 0, then a third of the lease duration, doubled with each failure. The count is in the row,
// so all workers together try as often as one would.
func (t *Table) retryPause(failures int64) time.Duration {
	if failures < failingAt {
		return 0
	}
	const maxDoublings = 16 // so that nothing overflows
	return min(t.callTimeout()<<min(failures-failingAt, maxDoublings), maxRetryPause)
}

// retryTime returns when the shard of a row that was observed at a time may be tried again.
// Jitter lets one worker try first, so the others see the outcome.
func (t *Table) retryTime(r row, seen time.Time) time.Time {
	pause := t.retryPause(r.failures)
	return seen.Add(pause*3/4 + jitter(pause/2))
}

// retrySoon schedules an early attempt to read all failing shards. It is called when this worker
// starts, because it may have a permission that others lack, and when any worker can read
// one of these shards again, because the cause may be gone for all. t.mu must be held.
func (t *Table) retrySoon() {
	if !t.retried.IsZero() && time.Since(t.retried) < reportInterval {
		return // one of them may fail only intermittently
	}
	t.retried = time.Now()
	for _, s := range t.shards {
		if s.seen.failing() {
			s.seen.retry = time.Now().Add(jitter(t.callTimeout()))
		}
	}
}

// recovered logs that this worker can read a shard that was failing.
func (t *Table) recovered(shard string, failures int64) {
	t.cfg.Log.Info().Str("shard", shard).Int64("failures", failures).Msg("shard is read again")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards.state(shard).report = report{}
}

func jitter(limit time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(limit) + 1)) //nolint:gosec // no secret
}

// Failing returns the listed shards that no worker could read several times in a row, and
// since when.
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

// reportInterval is the time between two log lines about a failing shard.
const reportInterval = time.Minute

// report is the state of logging a shard's failures.
type report struct {
	at    time.Time // of the last line
	times int       // failures since then
}

// reportFailure logs that a shard could not be read, at most once per shard and
// reportInterval. failures is the number of consecutive failures of all workers.
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

// leaseLogLevel returns the level of lines about a lease. While its shard is failing they
// are logged at debug level, because reportFailure reports the failure.
func leaseLogLevel(failures int64) zerolog.Level {
	if failures > 0 {
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}
