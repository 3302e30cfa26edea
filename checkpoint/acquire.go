package checkpoint

import (
	"context"
	"fmt"
	"time"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
)

// acquire takes the lease of a shard if the rules allow it. What the KCL must
// be told when they do not is an error that wraps its ErrLeaseNotAcquired.
func (t *Table) acquire(ctx context.Context, shardID string) (*Lease, error) {
	t.mu.Lock()
	shard := t.shards[shardID]
	shard.ID = shardID
	seen, exists := t.seen[shardID]
	reason := t.refusal(shard, seen, exists)
	t.mu.Unlock()
	if reason != "" {
		return nil, fmt.Errorf("%s: %w", reason, kcl.ErrLeaseNotAcquired{})
	}

	// Condition: exactly what was observed.
	timeout := t.informativeTimeout()
	condition := "attribute_not_exists(" + attrShard + ")"
	values := item{
		":me":       str(t.cfg.Worker),
		":zero":     num(0),
		":one":      num(1),
		":timeout":  str(timeout),
		":duration": num(t.cfg.LeaseDuration.Milliseconds()),
	}
	if exists {
		values[":end"] = str(kcl.ShardEnd)
		condition = "(attribute_not_exists(" + attrCheckpoint + ") OR " + attrCheckpoint + " <> :end) AND "
		condition += t.unchanged(seen.row, values)
	}
	expression := "SET " + attrOwner + " = :me, " + attrTimeout + " = :timeout, " + attrDuration + " = :duration, " +
		attrEpoch + " = if_not_exists(" + attrEpoch + ", :zero) + :one, " +
		attrCounter + " = if_not_exists(" + attrCounter + ", :zero) + :one"
	for i, attribute := range []string{attrParent, attrAdjacentParent} {
		if i < len(shard.Parents) {
			name := ":" + attribute
			expression += ", " + attribute + " = " + name
			values[name] = str(shard.Parents[i])
		}
	}
	expression += " REMOVE " + attrClaim

	sent := time.Now()
	it, conditionFailed, err := t.update(ctx, shardID, expression, condition, values, t.callTimeout())
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
	ours := got.owner == t.cfg.Worker && got.epoch == seen.epoch+1 && got.timeout == timeout
	if conditionFailed && !ours {
		return nil, fmt.Errorf("%s was taken by %s: %w", shardID, got.owner, kcl.ErrLeaseNotAcquired{})
	}
	lease, err := t.newLease(shardID, got, sent)
	if err != nil {
		return nil, err
	}
	t.cfg.Log.Info().Str("shard", shardID).Int64("epoch", got.epoch).Str("from_worker", seen.owner).
		Str("checkpoint", got.checkpoint).Msg("lease acquired")
	return lease, nil
}

// unchanged is the condition that a row's holder is as it was observed. It
// adds the values it names.
func (t *Table) unchanged(seen row, values item) string {
	values[":owner"] = str(seen.owner)
	if seen.owner == "" {
		return "(attribute_not_exists(" + attrOwner + ") OR " + attrOwner + " = :owner)"
	}
	condition := attrOwner + " = :owner AND "
	if seen.counter != 0 {
		values[":counter"] = num(seen.counter)
		return condition + attrCounter + " = :counter"
	}
	values[":seen"] = str(seen.timeout)
	return condition + "attribute_not_exists(" + attrCounter + ") AND " + attrTimeout + " = :seen"
}

// refusal says why a shard may not be leased, "" if it may. t.mu is held.
func (t *Table) refusal(shard Shard, seen observation, exists bool) string {
	if exists && seen.finished() {
		return shard.ID + " is finished"
	}
	if exists && !t.free(seen) {
		return shard.ID + " is held by " + seen.owner
	}
	for _, parent := range shard.Parents {
		before, hasRow := t.seen[parent]
		_, listed := t.shards[parent]
		switch {
		case hasRow && before.finished():
		case listed:
			// A parent without a row is one that nobody has started yet.
			return shard.ID + " waits for its parent " + parent
		case hasRow && !t.free(before):
			return shard.ID + " waits for its parent " + parent + ", held by " + before.owner
		case hasRow:
			// The rest of the parent is beyond the stream's retention: waiting
			// longer brings nothing back.
			t.cfg.Log.Warn().Str("shard", shard.ID).Str("parent", parent).Str("checkpoint", before.checkpoint).
				Msg("the parent expired in Kinesis before it was read to its end; its child is read on from its oldest record")
		}
	}
	return ""
}

// free tells that nobody owns the row, or that its owner gave no sign of life
// for a whole lease duration, its own or ours, on this worker's clock.
func (t *Table) free(o observation) bool {
	return o.owner == "" || time.Since(o.since) >= max(t.cfg.LeaseDuration, o.duration)
}
