package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The command leases reset: its plan, and the writes, each on the condition that the row is
// as it was shown.

// Reset is the planned reset of one shard.
type Reset struct {
	Row
	// To is where reading will begin.
	To Position

	seen   row
	exists bool
}

// PlanReset returns the resets of the shards in only, or of all shards if it is empty. A
// shard without a row gets one. The plan leaves out shards that Kinesis no longer lists,
// which cannot be read. With LATEST it leaves out finished shards, which get no more records.
// LATEST becomes now, the time by Kinesis' clock. PlanReset fails if a named shard is not
// listed or the time is in the future.
func (v *View) PlanReset(shards []Shard, only []string, to Position, now time.Time) ([]Reset, error) {
	snap := snapshotOf(v.rows, shards)
	for _, id := range only {
		s := snap.shards.get(id)
		if s.isListed() {
			continue
		}
		if s.seen.exists {
			return nil, fmt.Errorf("shard %s is no longer listed by Kinesis: it cannot be read again", id)
		}
		return nil, fmt.Errorf("shard %s is neither in the lease table nor listed by Kinesis: check its id", id)
	}
	if t, isTime := to.Timestamp(); isTime && t.After(now) {
		return nil, fmt.Errorf("%s is in the future by Kinesis' clock: use a time in the past", to)
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
	// alivePoll is the time between two reads of the table.
	alivePoll = time.Second
	// unknownLeaseDuration is how long to wait for a renewal of a row that has no lease
	// duration. Such a row is from vmware-go-kcl-v2, whose default is 10 s.
	unknownLeaseDuration = 30 * time.Second
)

// Alive watches the rows that have an owner for the longest of their lease durations. It
// returns the first worker that renews, acquires or releases a lease, or "" if none does. It
// compares rows and no wall clocks. It does not detect a worker that owns no shard.
func (v *View) Alive(ctx context.Context) (worker string, err error) {
	begun := time.Now()
	var timeout time.Duration
	for _, r := range v.rows {
		switch {
		case r.owner != "" && r.duration == 0:
			timeout = max(timeout, unknownLeaseDuration)
		case r.owner != "":
			timeout = max(timeout, r.duration)
		}
	}
	for left := timeout; left > 0; left = timeout - time.Since(begun) {
		wait := time.NewTimer(min(alivePoll, left))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return "", ctx.Err()
		}
		later, err := ReadView(ctx, v.db, v.table)
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

// ErrChanged is returned when a row has changed since the reset was planned.
var ErrChanged = errors.New("the row has changed since it was shown")

// Reset carries out a planned reset with one write, on the condition that the row is exactly
// as it was shown. The write begins a new epoch, so later writes of a worker that still holds
// the lease fail. With force, the owner may have renewed the lease and written checkpoints
// in the same epoch.
func (v *View) Reset(ctx context.Context, r Reset, force bool) error {
	var c change
	c.set(attrStartPosition, str(r.To.kind))
	if t, isTime := r.To.Timestamp(); isTime {
		c.set(attrStartTimestamp, num(t.UnixMilli()))
		// Earlier records are skipped on purpose.
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
	if !conditionFailed || r.isAppliedIn(it) {
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

// asSeen returns the condition that a row is as it was read. With force, it is that the
// owner and epoch are the same and the shard was not finished since.
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

// isAppliedIn reports whether a row is as this reset leaves it. That is the case for a retry
// after the first answer was lost.
func (r Reset) isAppliedIn(it item) bool {
	found := readRow(it)
	epoch := int64(0)
	if r.exists {
		epoch = r.seen.epoch + 1
	}
	return found.owner == "" && found.checkpoint == "" && found.epoch == epoch && found.start != nil &&
		found.start.kind == r.To.kind && found.start.time.UnixMilli() == r.To.time.UnixMilli()
}
