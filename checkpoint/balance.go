package checkpoint

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// shares is how many leases each living worker has, or is about to get: a
// claimed one counts for its claimer. Workers are known by their rows, so a
// worker without a row is known only to itself.
type shares map[string]int

// shares counts the leases of each worker, and the shards that are there for
// the taking. t.mu must be held.
func (t *Table) shares() (of shares, free int) {
	of = shares{t.cfg.Worker: 0}
	for id, s := range t.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		switch holder := t.holder(seen); {
		case t.isFinished(id, seen), seen.failing():
		case seen.counter == 0 && t.alive(seen):
			// A worker of vmware-go-kcl-v2: it balances by no rule of ours.
		case holder != "":
			of[holder]++
		case t.refusal(id) == "":
			free++
		}
	}
	return of, free
}

// holder is the worker that a lease counts for: its living owner, or the one
// that has claimed it; "" if there is none.
func (t *Table) holder(o observation) string {
	switch {
	case o.owner == "" && t.reserved(o), t.alive(o) && o.claim != "":
		return o.claim
	case t.alive(o):
		return o.owner
	}
	return ""
}

// alive reports whether a row's owner had given a sign of life when the row was last
// read. One that was not read since has not died of it: where Kinesis does not
// answer, scans are further apart than renewals.
func (t *Table) alive(o observation) bool {
	return o.owner != "" && o.read.Sub(o.since) < t.patience(o)
}

// reserved reports whether a row was released for the worker that claimed it, which
// has a while to take it.
func (t *Table) reserved(o observation) bool {
	return o.claim != "" && time.Since(o.since) < t.callTimeout()
}

// fair is the most that one worker should have.
func (of shares) fair(free int) int {
	total := free
	for _, n := range of {
		total += n
	}
	return (total + len(of) - 1) / len(of)
}

// extremes are the workers with the fewest and with the most leases; of equal
// ones the first by name, so that workers that see the same decide the same.
func (of shares) extremes() (least, most string) {
	for i, worker := range slices.Sorted(maps.Keys(of)) {
		if i == 0 || of[worker] < of[least] {
			least = worker
		}
		if i == 0 || of[worker] > of[most] {
			most = worker
		}
	}
	return least, most
}

// claimable is a lease that another worker can be asked for.
type claimable struct {
	shard string
	owner string
	epoch int64
}

// plan returns which leases this worker is to claim. Every worker that has some
// lays the same plan for all of them, as far as they see the same rows, and does
// its own part: while the fullest has at least two more than the emptiest, one
// moves. t.mu must be held.
func (t *Table) plan() []claimable {
	if t.coolingDown() {
		return nil
	}
	of, free := t.shares()
	of = maps.Clone(of)
	// Doubling: a worker that joins makes itself known with the first claim,
	// before it and others that join too take more than their shares.
	mine := of[t.cfg.Worker]
	limit := max(1, mine)
	for range free {
		least, _ := of.extremes()
		of[least]++
	}
	movable := make(map[string][]claimable)
	for _, id := range slices.Sorted(maps.Keys(t.shards)) {
		s := t.shards[id]
		if o := s.seen; o.exists && s.isListed() && !t.isFinished(id, o) && !o.failing() && o.claim == "" && o.counter != 0 && t.holder(o) == o.owner {
			movable[o.owner] = append(movable[o.owner], claimable{id, o.owner, o.epoch})
		}
	}
	if mine == 0 {
		// The others know nothing of this worker, nor it of others that join with
		// it: chance keeps them from claiming the same.
		for _, leases := range movable {
			rand.Shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] }) //nolint:gosec // no secret
		}
	}
	var claims []claimable
	for len(claims) < limit {
		least, most := of.extremes()
		if of[most]-of[least] < 2 {
			break
		}
		if len(movable[most]) == 0 {
			delete(of, most) // all that it can give is claimed
			continue
		}
		if least == t.cfg.Worker {
			claims = append(claims, movable[most][0])
		}
		movable[most] = movable[most][1:]
		of[most]--
		of[least]++
	}
	return claims
}

// balance claims the leases that are to be this worker's.
func (t *Table) balance(ctx context.Context) error {
	t.mu.Lock()
	plan := t.plan()
	t.mu.Unlock()
	for _, lease := range plan {
		if err := t.claim(ctx, lease); err != nil {
			return err
		}
	}
	return nil
}

// claim asks the owner of a lease to give it up. It counts for its term alone.
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
		t.note(lease.shard, readRow(it), time.Now())
	}
	return nil
}

// Claiming reports whether leases that this worker has claimed lately are not yet
// its own.
func (t *Table) Claiming() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.claimingLocked()
}

// claimingLocked is Claiming while t.mu is held.
func (t *Table) claimingLocked() bool {
	if time.Since(t.claimed) > t.cfg.LeaseDuration {
		return false
	}
	for _, s := range t.shards {
		if o := s.seen; o.claim == t.cfg.Worker && s.lease == nil && t.holder(o) == t.cfg.Worker {
			return true
		}
	}
	return false
}
