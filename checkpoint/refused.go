package checkpoint

import (
	"errors"
	"fmt"
	"time"
)

// ErrRefused is wrapped by errors of reads and listings that persist until a setting or a
// permission is changed.
var ErrRefused = errors.New("refused by Kinesis")

// refusals records what Kinesis refuses to this worker.
type refusals struct {
	hasRead bool               // this worker has read a shard since it started
	causes  map[string]refusal // by shard, since this worker last read any shard
	listing error              // from the last listing, nil if it was not refused
	since   time.Time          // when the first refusal occurred
	last    error
	// readers holds when each other worker was last observed to read a shard.
	readers map[string]time.Time
}

// refusal is why Kinesis refuses a read.
type refusal struct {
	cause error
	// failedBy is the other worker that failed to read the shard before, "" if none did.
	failedBy string
}

// noteListing records the outcome of a listing.
func (r *refusals) noteListing(err error) {
	switch {
	case err == nil:
		r.listing = nil
	case errors.Is(err, ErrRefused):
		if !r.active() {
			r.since = time.Now()
		}
		r.listing, r.last = err, err
	}
}

// add records the error of a read. before is the shard's row when this worker acquired it.
func (r *refusals) add(shard string, err error, worker string, before row) {
	if !errors.Is(err, ErrRefused) {
		return
	}
	if !r.active() {
		r.since = time.Now()
	}
	by := r.causes[shard].failedBy
	if before.failures > 0 && before.failedBy != worker {
		by = before.failedBy
	}
	r.causes[shard], r.last = refusal{err, by}, err
}

// active reports whether Kinesis has refused a call of this worker since the worker last
// read a shard. A shard that is also refused to another worker does not count if that
// worker reads other shards.
func (r *refusals) active() bool {
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

// noteRead records that this worker has read a shard.
func (r *refusals) noteRead() {
	clear(r.causes)
	r.hasRead = true
}

// unreadFor is how long a worker that has read before may read nothing until CanRead returns
// an error. A worker with other readable shards reads one of them sooner.
const unreadFor = 10 * time.Second

// isRefused reports whether Kinesis has refused every call of this worker since it started.
// Then the worker takes one lease at a time, because others may be able to read the shards.
// Their success says nothing about this worker, which may have a different role.
func (r *refusals) isRefused() bool { return !r.hasRead && r.active() }

// Refused returns since when Kinesis has refused every attempt of this worker to read, and
// why. cause is nil once this worker has read a shard.
func (t *Table) Refused() (since time.Time, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.refusals.isRefused() {
		return time.Time{}, nil
	}
	return t.refusals.since, t.refusals.last
}

// CanRead returns an error when no shard of the stream can be read, when this worker cannot
// read any shard, or when the shards cannot be listed.
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
		cause = errors.New("see the logs of the other workers for the cause")
	}
	switch {
	case failing > 0 && failing == listed:
		return fmt.Errorf("no shard can be read: %w", cause)
	case snap.isCoolingDown() && time.Since(t.cooldown.since) >= unreadFor:
		return fmt.Errorf("this worker cannot read any shard: %w", cause)
	case t.refusals.isRefused(), t.refusals.active() && time.Since(t.refusals.since) >= unreadFor:
		if t.refusals.listing != nil && len(t.refusals.causes) == 0 {
			return fmt.Errorf("the shards cannot be listed: %w", t.refusals.listing) // held shards may still be read
		}
		return fmt.Errorf("this worker reads nothing: %w", t.refusals.last)
	}
	return nil
}
