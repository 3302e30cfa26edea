package checkpoint

import (
	"context"
	"errors"
	"time"
)

// The leases that this worker holds: how they are found and released.

// ErrNotAcquired is returned by Acquire when the rules, or another worker, keep this worker
// from a lease.
var ErrNotAcquired = errors.New("the lease is not acquired")

// Lease returns the lease that this worker holds on a shard, nil if it holds none. A lost
// one is held until Release.
func (t *Table) Lease(shardID string) *Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shards.get(shardID).lease
}

// Observed returns the owner and the checkpoint of a shard as they were seen last, "" for
// what there is none of. The checkpoint is that at which the next reading begins: a row of
// another stream has none.
func (t *Table) Observed(shardID string) (owner, checkpoint string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shards.get(shardID)
	if t.snapshotLocked().foreign(s) != "" {
		return s.seen.owner, ""
	}
	return s.seen.owner, s.seen.checkpoint
}

// Release is to be called when the reading of a held shard has ended, for whatever reason.
// It drains and releases the lease. Without a lease it does nothing.
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
		t.note(shardID, last, time.Now())
	}
	t.signal()
	return err
}

// untilClosed returns a context that ends with ctx, and at Close at the latest.
func (t *Table) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
