package checkpoint

import (
	"context"
	"errors"
	"time"
)

// Finding and releasing the leases that this worker holds.

// ErrNotAcquired is returned by Acquire when the rules do not allow the lease or another
// worker acquired it first.
var ErrNotAcquired = errors.New("the lease is not acquired")

// Lease returns this worker's lease on a shard, or nil. A lost lease is returned until
// Release.
func (t *Table) Lease(shardID string) *Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shards.get(shardID).lease
}

// Observed returns the owner and the checkpoint of a shard as last observed, "" if it has
// none. The checkpoint is where the next reading begins: for a row of another stream it
// is "".
func (t *Table) Observed(shardID string) (owner, checkpoint string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shards.get(shardID)
	if t.snapshotLocked().foreign(s) != "" {
		return s.seen.owner, ""
	}
	return s.seen.owner, s.seen.checkpoint
}

// Release must be called when the reading of a held shard has ended, for whatever reason.
// It drains the shard and releases the lease. Without a lease it does nothing.
func (t *Table) Release(shardID string) error {
	lease := t.Lease(shardID)
	if lease == nil {
		return nil
	}
	err := lease.release()
	lease.mu.Lock()
	last, hasRead, failure := lease.last, lease.hasRead, lease.failure
	lease.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if failure != nil && !hasRead {
		t.cooldown.add(shardID, t.cfg.Worker, lease.acquired, last.failures, failure)
	}
	s := t.shards.state(shardID)
	s.lease = nil
	if s.deleted.IsZero() {
		t.noteRow(shardID, last, time.Now())
	}
	t.signal()
	return err
}

// untilClosed returns a context that ends with ctx or at Close.
func (t *Table) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
