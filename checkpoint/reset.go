package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The command leases reset: what it plans to write, and each write on condition that the
// row is as it was shown.

// Reset is what is to be done to one shard.
type Reset struct {
	Row
	// To is where reading is to begin.
	To Position

	seen   row
	exists bool
}

// PlanReset returns what a reset does to the shards named, or to all if no shard is.
// A shard that has no row yet gets one, so that it too begins there. Left out
// are shards that Kinesis lists no more, of which nothing can be read, and with
// LATEST the finished ones, in which nothing newer comes. LATEST is now, by
// Kinesis' clock.
func (v *View) PlanReset(shards []Shard, only []string, to Position, now time.Time) ([]Reset, error) {
	snap := snapshotOf(v.rows, shards)
	for _, id := range only {
		s := snap.shards.get(id)
		if s.isListed() {
			continue
		}
		if s.seen.exists {
			return nil, fmt.Errorf("shard %s is no longer listed by Kinesis: nothing of it can be read again", id)
		}
		return nil, fmt.Errorf("shard %s is neither in the lease table nor listed by Kinesis: check its id", id)
	}
	if t, isTime := to.Timestamp(); isTime && t.After(now) {
		return nil, fmt.Errorf("%s is in the future by Kinesis' clock: give a time that has passed", to)
	}
	isLatest := to.kind == latest
	if isLatest {
		to = Position{kind: atTimestamp, time: now}
	}
	var plan []Reset
	for _, r := range v.rowsOf(snap) {
		s := snap.shards.get(r.ID)
		wanted := len(only) == 0 || slices.Contains(only, r.ID)
		if !s.isListed() || !wanted || isLatest && r.State == StateFinished {
			continue
		}
		plan = append(plan, Reset{Row: r, To: to, seen: s.seen.row, exists: s.seen.exists})
	}
	return plan, nil
}

const (
	// alivePoll is the time between two looks for signs of life.
	alivePoll = time.Second
	// unknownLease is how long to wait for a sign of life from a worker whose row
	// does not tell: one of vmware-go-kcl-v2, whose default is 10 s.
	unknownLease = 30 * time.Second
)

// Alive watches the rows that have an owner, for as long as the longest of
// their leases lasts, and names the worker that gave a sign of life first; ""
// if none did. Only changes count, no wall clocks. A worker that owns no shard
// is not seen.
func (v *View) Alive(ctx context.Context) (worker string, err error) {
	begun := time.Now()
	var patience time.Duration
	for _, r := range v.rows {
		switch {
		case r.owner != "" && r.duration == 0:
			patience = max(patience, unknownLease)
		case r.owner != "":
			patience = max(patience, r.duration)
		}
	}
	for left := patience; left > 0; left = patience - time.Since(begun) {
		wait := time.NewTimer(min(alivePoll, left))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return "", ctx.Err()
		}
		later, err := Look(ctx, v.db, v.table)
		if err != nil {
			return "", err
		}
		for id, r := range later.rows {
			if before := v.rows[id]; !before.sameHolder(r) && r.owner+before.owner != "" {
				if r.owner == "" {
					return before.owner, nil // it has just released the lease
				}
				return r.owner, nil
			}
		}
	}
	return "", nil
}

// ErrChanged is returned when a row is not as it was when the reset was planned.
var ErrChanged = errors.New("the row was changed meanwhile")

// Reset carries a planned reset out, by one write on the condition that the row
// is exactly as it was seen. The write ends the owner's term: what a worker that
// still holds the lease writes afterwards fails its condition. With force the
// owner may have gone on within its term, as a living one does.
func (v *View) Reset(ctx context.Context, r Reset, force bool) error {
	var c change
	c.set(attrStartPosition, str(r.To.kind))
	if t, isTime := r.To.Timestamp(); isTime {
		c.set(attrStartTimestamp, num(t.UnixMilli()))
		// What lies before is left out on purpose.
		c.set(attrReadThrough, num(later(r.seen.reading.through, t).UnixMilli()))
	} else if r.exists {
		c.remove(attrStartTimestamp)
	}
	if r.First != "" {
		c.set(attrFirst, str(r.First))
	}
	when := absent(attrShard)
	if r.exists {
		when = r.seen.asSeen(force)
		c.increment(attrEpoch, 0)
		c.increment(attrCounter, 0)
		c.remove(attrCheckpoint, attrOwner, attrClaim, attrFailures, attrFailedBy, attrFailingSince)
	}
	it, conditionFailed, err := updateRow(ctx, v.db, v.table, r.ID, c, when, viewTimeout)
	if err != nil {
		return fmt.Errorf("reset %s: %w", r.ID, err)
	}
	if !conditionFailed || r.doneIn(it) {
		return nil
	}
	found := readRow(it)
	switch {
	case it == nil:
		return fmt.Errorf("reset %s: %w: it was deleted", r.ID, ErrChanged)
	case found.owner != "":
		return fmt.Errorf("reset %s: %w: worker %s has it", r.ID, ErrChanged, found.owner)
	}
	return fmt.Errorf("reset %s: %w", r.ID, ErrChanged)
}

// asSeen is the condition that a row is as it was read; with force, that the
// term is the same and the shard was not finished since.
func (r row) asSeen(force bool) condition {
	when := all(rowExists(), asRead(attrOwner, str(r.owner)), asRead(attrEpoch, num(r.epoch)))
	switch {
	case !force:
		return all(when, asRead(attrCounter, num(r.counter)),
			asRead(attrTimeout, str(r.timeout)), // for rows without a counter
			asRead(attrCheckpoint, str(r.checkpoint)))
	case !r.finished():
		return all(when, unfinished())
	}
	return when
}

// doneIn reports whether a row is as this reset makes it: a request that is sent
// again, because its answer was lost, meets its own work.
func (r Reset) doneIn(it item) bool {
	found := readRow(it)
	epoch := int64(0)
	if r.exists {
		epoch = r.seen.epoch + 1
	}
	return found.owner == "" && found.checkpoint == "" && found.epoch == epoch && found.start != nil &&
		found.start.kind == r.To.kind && found.start.time.UnixMilli() == r.To.time.UnixMilli()
}
