package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Acquiring leases: which leases this worker tries, when, and with which conditional write.

// Assignment waits until this worker may acquire leases. It returns the shards of these
// leases and of the leases that it holds. Each lease is tried once between two calls of
// Sync.
func (t *Table) Assignment(ctx context.Context) ([]string, error) {
	for ctx.Err() == nil {
		t.mu.Lock()
		free, next := t.snapshotLocked().acquirable()
		shards := slices.Clone(free)
		for id, s := range t.shards {
			if s.lease != nil {
				shards = append(shards, id)
			}
		}
		changed := t.changed
		t.mu.Unlock()
		if len(free) > 0 {
			return shards, nil
		}
		// A silent owner's lease can expire between two scans.
		due := time.NewTimer(next)
		select {
		case <-changed:
		case <-due.C:
		case <-ctx.Done():
		}
		due.Stop()
	}
	return nil, ctx.Err()
}

// Acquire acquires the lease of a shard. The error wraps ErrNotAcquired when the rules do
// not allow it or another worker was faster. A lease that is lost or draining is not
// acquired again before its Release, so a shard never has two readers. Close ends Acquire.
func (t *Table) Acquire(ctx context.Context, shardID string) (*Lease, error) {
	ctx, cancel := t.untilClosed(ctx)
	defer cancel()
	t.mu.Lock()
	s := t.shards.state(shardID)
	if s.lease != nil {
		t.mu.Unlock()
		return nil, fmt.Errorf("%s is held until its release: %w", shardID, ErrNotAcquired)
	}
	shard, seen := s.listed.Shard, s.seen
	snap := t.snapshotLocked()
	reason := snap.cannotAcquire(shardID)
	if snap.wasTried(s) {
		reason = shardID + " was already tried since the last scan"
	}
	s.tried = time.Now()
	deleted := !s.deleted.IsZero()
	unreadSince := t.unreadSince(shardID)
	// A row that was deleted and is recreated continues from its previous epoch, because
	// earlier requests may still be under way.
	epoch := s.epoch
	if seen.exists {
		epoch = seen.epoch
	}
	expired := snap.expired(shard)
	foreign := snap.foreign(s)
	t.mu.Unlock()
	if reason != "" {
		return nil, fmt.Errorf("%s: %w", reason, ErrNotAcquired)
	}
	for _, parent := range expired {
		t.cfg.Log.Warn().Str("shard", shardID).Str("parent", parent).
			Msg("the parent expired in Kinesis before it was read to its end: its child is read from its oldest record")
	}

	timeout := t.informativeTimeout()
	var c change
	c.set(attrOwner, str(t.cfg.Worker))
	c.set(attrTimeout, str(timeout))
	c.set(attrDuration, num(t.cfg.LeaseDuration.Milliseconds()))
	c.increment(attrEpoch, epoch)
	c.increment(attrCounter, 0)
	c.setParents(shard.Parents)
	if shard.First != "" {
		c.set(attrFirst, str(shard.First))
	}
	if deleted || foreign != "" {
		c.set(attrStartPosition, str(trimHorizon))
	}
	if deleted && !seen.exists || foreign != "" { // the next owner cannot derive it
		c.set(attrReadThrough, num(unreadSince.UnixMilli()))
	}
	c.remove(attrClaim)
	if foreign != "" {
		c.remove(attrCheckpoint, attrStartTimestamp, attrFailures, attrFailedBy, attrFailingSince, attrReadAt, attrReadRate, attrGaps, attrGapFrom, attrGapTo)
	}

	sent := time.Now()
	it, conditionFailed, err := t.update(ctx, shardID, c, acquiring(seen, foreign != ""), t.callTimeout())
	if err != nil {
		// The request may have been applied. Then the row names this worker but has no
		// heartbeat, and can be taken over like any other row that stays unchanged.
		return nil, fmt.Errorf("acquire the lease of %s: %w", shardID, err)
	}
	got := readRow(it)
	// The condition also fails for a retry when the answer to the first request was lost.
	// Then the row is as that request wrote it, to the nanosecond of its timeout.
	ours := got.owner == t.cfg.Worker && got.epoch == epoch+1 && got.timeout == timeout
	if conditionFailed && it == nil {
		return nil, fmt.Errorf("the row of %s was deleted: %w", shardID, ErrNotAcquired)
	}
	if conditionFailed && !ours {
		t.mu.Lock()
		t.noteRow(shardID, got, time.Now())
		t.mu.Unlock()
		return nil, fmt.Errorf("%s was acquired by %s: %w", shardID, got.owner, ErrNotAcquired)
	}
	lease, err := t.newLease(shardID, got, sent)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	lease.unreadSince = unreadSince
	t.mu.Unlock()
	if foreign != "" {
		t.cfg.Log.Error().Str("shard", shardID).Str("reason", foreign).Str("was", seen.checkpoint).
			Msg("the row of the shard belonged to another stream: it is reset, and the shard is read from its oldest record")
	}
	t.cfg.Log.WithLevel(leaseLogLevel(got.failures)).Str("shard", shardID).Int64("epoch", got.epoch).Str("from_worker", seen.owner).
		Str("checkpoint", got.checkpoint).Msg("lease acquired")
	return lease, nil
}

// acquiring returns the condition for acquiring a lease: the row is as it was observed.
func acquiring(seen observation, foreign bool) condition {
	if !seen.exists {
		return absent(attrShard)
	}
	// A row that was deleted in the meantime is recreated after a scan has shown that it is
	// gone. A foreign row may be finished.
	when := all(rowExists(), seen.unchanged(), asRead(attrFirst, str(seen.first)))
	if !foreign {
		when = all(when, unfinished())
	}
	return when
}
