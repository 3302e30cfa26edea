package checkpoint

import (
	"errors"
	"fmt"
	"time"
)

// ErrRefused is what an error of a read or a listing wraps that Kinesis returns until
// somebody changes a setting or a permission.
var ErrRefused = errors.New("refused by Kinesis")

// refusals are the shards that Kinesis refuses this worker to read.
type refusals struct {
	hasRead bool               // this worker has read a shard since it started
	causes  map[string]refusal // by shard, since this worker last read any
	listing error              // of the last listing, nil if it was not refused
	since   time.Time          // when the first of these came
	last    error
	// readers are when the other workers were last seen to read.
	readers map[string]time.Time
}

// refusal is why Kinesis refuses a read.
type refusal struct {
	cause error
	// failedBy is the worker whose reading of the shard had failed before, "" if none
	// had.
	failedBy string
}

// list notes the outcome of a listing.
func (r *refusals) list(err error) {
	switch {
	case err == nil:
		r.listing = nil
	case errors.Is(err, ErrRefused):
		if !r.areThere() {
			r.since = time.Now()
		}
		r.listing, r.last = err, err
	}
}

// add notes the error of a read. before is the row of the shard as this worker acquired
// it.
func (r *refusals) add(shard string, err error, worker string, before row) {
	if !errors.Is(err, ErrRefused) {
		return
	}
	if !r.areThere() {
		r.since = time.Now()
	}
	by := r.causes[shard].failedBy
	if before.failures > 0 && before.failedBy != worker {
		by = before.failedBy
	}
	r.causes[shard], r.last = refusal{err, by}, err
}

// areThere reports whether Kinesis has refused what this worker tried since it last read a
// shard. A shard does not count that is refused to another worker as well, if that worker
// reads others.
func (r *refusals) areThere() bool {
	if r.listing != nil {
		return true
	}
	for _, c := range r.causes {
		if at, reads := r.readers[c.failedBy]; !reads || time.Since(at) >= UnreadAfter {
			return true
		}
	}
	return false
}

// read notes that this worker has read a shard, whichever.
func (r *refusals) read() {
	clear(r.causes)
	r.hasRead = true
}

// unreadFor is how long nothing is read until that says something of a worker that has
// read before: it reads its other shards again and again.
const unreadFor = 10 * time.Second

// isRefused reports whether Kinesis has refused all that this worker tried since it
// started: then it takes one lease at a time, as others may read what it cannot. That
// they do says nothing of this worker: its role may be another.
func (r *refusals) isRefused() bool { return !r.hasRead && r.areThere() }

// Refused returns since when Kinesis has refused all that this worker tried to read,
// and why. It returns nil once this worker has read a shard.
func (t *Table) Refused() (since time.Time, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.refusals.isRefused() {
		return time.Time{}, nil
	}
	return t.refusals.since, t.refusals.last
}

// CanRead returns an error when no shard of the stream can be read, or none by
// this worker, or when the shards cannot be listed.
func (t *Table) CanRead() error {
	failing := len(t.Failing())
	t.mu.Lock()
	defer t.mu.Unlock()
	snap := t.snapshotLocked()
	listed := 0
	for _, s := range t.shards {
		if s.isListed() && !snap.isFinished(s) {
			listed++
		}
	}
	cause := t.cooldown.cause
	if cause == nil {
		cause = errors.New("the log of the other workers has the cause")
	}
	switch {
	case failing > 0 && failing == listed:
		return fmt.Errorf("no shard can be read: %w", cause)
	case snap.isCoolingDown() && time.Since(t.cooldown.since) >= unreadFor:
		return fmt.Errorf("this worker can read no shard: %w", cause)
	case t.refusals.isRefused(), t.refusals.areThere() && time.Since(t.refusals.since) >= unreadFor:
		if t.refusals.listing != nil && len(t.refusals.causes) == 0 {
			return fmt.Errorf("the shards cannot be listed: %w", t.refusals.listing) // those that are held may be read
		}
		return fmt.Errorf("this worker reads nothing: %w", t.refusals.last)
	}
	return nil
}
