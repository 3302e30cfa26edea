package checkpoint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Balancing: workers claim leases from a worker that has more than its fair share.

// balance claims the leases that this worker's plan assigns to it.
func (t *Table) balance(ctx context.Context) error {
	t.mu.Lock()
	plan := t.snapshotLocked().plan(rand.Shuffle)
	t.mu.Unlock()
	for _, lease := range plan {
		if err := t.claim(ctx, lease); err != nil {
			return err
		}
	}
	return nil
}

// claim asks the owner of a lease to release it. The claim is valid for the current epoch
// only.
func (t *Table) claim(ctx context.Context, lease claimable) error {
	var c change
	c.set(attrClaim, str(t.cfg.Worker))
	when := all(is(attrOwner, str(lease.owner)), is(attrEpoch, num(lease.epoch)), asRead(attrClaim, str("")), unfinished())
	it, conditionFailed, err := t.update(ctx, lease.shard, c, when, t.callTimeout())
	if err != nil {
		return fmt.Errorf("claim the lease of %s: %w", lease.shard, err)
	}
	if !conditionFailed {
		t.mu.Lock()
		t.claimed = time.Now()
		t.mu.Unlock()
		t.cfg.Log.Info().Str("shard", lease.shard).Str("from_worker", lease.owner).Msg("lease claimed")
	}
	if it != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.noteRow(lease.shard, readRow(it), time.Now())
	}
	return nil
}

// Claiming reports whether this worker has recently claimed leases that it does not hold
// yet.
func (t *Table) Claiming() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshotLocked().isClaiming()
}
