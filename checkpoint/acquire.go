package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Assignment waits until there are leases that this worker may take, and
// returns their shards with those that it holds. Each is tried once between two
// calls of Sync.
func (t *Table) Assignment(ctx context.Context) ([]string, error) {
	for ctx.Err() == nil {
		t.mu.Lock()
		free, next := t.acquirable()
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
		// A silent owner's lease falls due between two scans.
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

// acquirable are the shards whose leases this worker may take, and how long to
// wait until there may be more without any news. t.mu must be held.
func (t *Table) acquirable() (free []string, next time.Duration) {
	next = t.cfg.LeaseDuration
	of, unowned := t.shares()
	room := of.fair(unowned) - of[t.cfg.Worker]
	for id, s := range t.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		if s.lease != nil || t.wasTried(s) || t.refusal(id) != "" {
			if seen.owner != "" && !t.free(seen) {
				next = min(next, t.patience(seen)-time.Since(seen.since))
			}
			continue
		}
		if wait := t.retryWait(id, seen, len(of) > 1); wait > 0 {
			next = min(next, wait)
			continue
		}
		since := seen.since
		if !seen.exists {
			since = s.listed.since
		}
		// What nobody has taken for so long, those whose share it is cannot take. A
		// failing shard is tried by whoever is first, as it is in nobody's share.
		if room > 0 || seen.failing() || seen.claim == t.cfg.Worker || time.Since(since) >= t.patience(seen) {
			free = append(free, id)
		}
	}
	if t.refusals.isRefused() {
		free = free[:min(len(free), max(1-t.shards.leases(), 0))]
	}
	return free, max(next, 0)
}

// wasTried reports whether a lease was asked for since the last scan, or within a
// lease duration if scans fail. t.mu must be held.
func (t *Table) wasTried(s *shardState) bool {
	return time.Since(s.tried) < t.cfg.LeaseDuration
}

// Acquire takes the lease of a shard. When the rules do not allow it, or another worker was
// faster, the error wraps ErrNotAcquired. A lease that is lost or drains is not acquired
// again before its Release, so that a shard never has two readers. Acquire ends at Close at
// the latest.
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
	reason := t.refusal(shardID)
	if t.wasTried(s) {
		reason = shardID + " was tried since the last scan"
	}
	s.tried = time.Now()
	deleted := !s.deleted.IsZero()
	unreadSince := t.unreadSince(shardID)
	// A row that was deleted and is made again goes on from the epoch that it had:
	// requests of its earlier life may be under way.
	epoch := s.epoch
	if seen.exists {
		epoch = seen.epoch
	}
	expired := t.expired(shard)
	foreign := t.foreign(shardID, seen.row)
	t.mu.Unlock()
	if reason != "" {
		return nil, fmt.Errorf("%s: %w", reason, ErrNotAcquired)
	}
	for _, parent := range expired {
		t.cfg.Log.Warn().Str("shard", shardID).Str("parent", parent).
			Msg("the parent expired in Kinesis before it was read to its end; its child is read on from its oldest record")
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
	if deleted && !seen.exists || foreign != "" { // the next owner could not know it
		c.set(attrReadThrough, num(unreadSince.UnixMilli()))
	}
	c.remove(attrClaim)
	if foreign != "" {
		c.remove(attrCheckpoint, attrStartTimestamp, attrFailures, attrFailedBy, attrFailingSince, attrReadAt, attrReadRate, attrGaps, attrGapFrom, attrGapTo)
	}

	sent := time.Now()
	it, conditionFailed, err := t.update(ctx, shardID, c, acquiring(seen, foreign != ""), t.callTimeout())
	if err != nil {
		// Whether it was applied is not known. If it was, the row bears this
		// worker's name without a heartbeat, and can be taken like any other
		// row that stays unchanged.
		return nil, fmt.Errorf("acquire the lease of %s: %w", shardID, err)
	}
	got := readRow(it)
	// A failed condition is also what a repeated request meets whose first
	// answer was lost on the way: then the row is as that request made it, to the
	// nanosecond of its timeout.
	ours := got.owner == t.cfg.Worker && got.epoch == epoch+1 && got.timeout == timeout
	if conditionFailed && it == nil {
		return nil, fmt.Errorf("the row of %s was deleted: %w", shardID, ErrNotAcquired)
	}
	if conditionFailed && !ours {
		t.mu.Lock()
		t.note(shardID, got, time.Now())
		t.mu.Unlock()
		return nil, fmt.Errorf("%s was taken by %s: %w", shardID, got.owner, ErrNotAcquired)
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
			Msg("the row of the shard was of another stream: it is renewed, and the shard is read from its oldest record")
	}
	t.cfg.Log.WithLevel(routine(got.failures)).Str("shard", shardID).Int64("epoch", got.epoch).Str("from_worker", seen.owner).
		Str("checkpoint", got.checkpoint).Msg("lease acquired")
	return lease, nil
}

// acquiring is the condition that a row is as it was observed when its lease is acquired.
func acquiring(seen observation, foreign bool) condition {
	if !seen.exists {
		return absent(attrShard)
	}
	// A row that is deleted meanwhile is made again once a scan shows that it is gone, from
	// where it has to be. A foreign one may have been renewed since.
	when := all(rowExists(), seen.sameHolding(), asRead(attrFirst, str(seen.first)))
	if !foreign {
		when = all(when, unfinished())
	}
	return when
}

// refusal returns why a shard may not be leased, "" if it may. t.mu must be held.
func (t *Table) refusal(id string) string {
	s := t.shards.get(id)
	seen := s.seen
	switch {
	case !s.isListed():
		return id + " is not listed by Kinesis"
	case t.isFinished(id, seen):
		return id + " is finished"
	case seen.exists && !t.free(seen):
		return id + " is held by " + seen.owner
	case seen.exists && seen.read.After(t.listing) && t.foreign(id, seen.row) != "":
		// Another worker may have renewed it, by a later listing than ours.
		return "the shards have not been listed since the row of " + id + " was read"
	case !seen.exists && t.isAgain():
		return "the lease table was made again: only holders write to it for a lease duration"
	case seen.owner == "" && t.reserved(seen) && seen.claim != t.cfg.Worker:
		return id + " is claimed by " + seen.claim
	}
	return t.waitsFor(s.listed.Shard)
}

// waitsFor returns which parent a shard waits for, "" if it does not wait. t.mu must be held.
func (t *Table) waitsFor(shard Shard) string {
	for _, parent := range shard.Parents {
		before := t.shards.get(parent).seen
		switch {
		case t.isFinished(parent, before):
		case !t.shards.get(parent).isGone():
			// A parent without a row is one that nobody has started yet.
			return shard.ID + " waits for its parent " + parent
		case before.exists && !t.free(before):
			return shard.ID + " waits for its parent " + parent + ", held by " + before.owner
		}
	}
	return ""
}

// expired are the parents whose rest is beyond the stream's retention: waiting
// longer brings nothing back. t.mu must be held.
func (t *Table) expired(shard Shard) (parents []string) {
	for _, parent := range shard.Parents {
		if before := t.shards.get(parent).seen; before.exists && !t.isFinished(parent, before) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// free reports whether nobody owns the row, or whether its owner gave no sign of life
// for as long as one has to wait, on this worker's clock.
func (t *Table) free(o observation) bool {
	return o.owner == "" || time.Since(o.since) >= t.patience(o)
}

// patience is the lease duration to wait out: the owner's or ours, the longer.
func (t *Table) patience(o observation) time.Duration {
	return max(t.cfg.LeaseDuration, o.duration)
}
