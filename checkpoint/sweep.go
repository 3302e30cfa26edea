package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Upkeep of the rows: those that nobody needs are deleted, and finished ones of older
// tables get the start of their shard.

// mostRemoved rows are deleted in one Sync, which has more to do.
const mostRemoved = 20

// sweep deletes the rows that nobody needs any more.
func (t *Table) sweep(ctx context.Context) error {
	t.mu.Lock()
	rows := t.snapshotLocked().unneeded()
	t.mu.Unlock()
	removed := 0
	for id, r := range rows { // in any order, so that workers share the work
		if removed++; removed > mostRemoved {
			break
		}
		if err := t.remove(ctx, id, r); err != nil {
			return err
		}
	}
	return nil
}

// adopt notes of which shard the rows are that are finished and do not say so: those
// of a table that is older than that attribute. Others get it with their next lease.
func (t *Table) adopt(ctx context.Context) error {
	t.mu.Lock()
	snap := t.snapshotLocked()
	firsts := make(map[string]string)
	for id, s := range t.shards {
		if first := s.listed.First; s.seen.first == "" && first != "" && s.isListed() && snap.isFinished(s) && len(firsts) < mostRemoved {
			firsts[id] = first
		}
	}
	t.mu.Unlock()
	for id, first := range firsts {
		var c change
		c.set(attrFirst, str(first))
		it, _, err := t.update(ctx, id, c, all(finished(), absent(attrFirst)), t.callTimeout())
		if err != nil {
			return fmt.Errorf("note where %s begins: %w", id, err)
		}
		if it != nil {
			t.mu.Lock()
			t.note(id, readRow(it), time.Now())
			t.mu.Unlock()
		}
	}
	return nil
}

// unneeded returns the rows that nobody needs any more: of shards that Kinesis has
// forgotten, those that are finished, and those that say nothing, which a late
// request can leave behind. An unfinished one with a checkpoint stays, for people
// to see.
func (snap *snapshot) unneeded() map[string]row {
	rows := make(map[string]row)
	for id, s := range snap.shards {
		if o := s.seen; o.exists && (snap.isFinished(s) || o.checkpoint == "" && snap.isFree(o)) && s.isGone() && !snap.isAwaited(id) {
			rows[id] = o.row
		}
	}
	return rows
}

// isAwaited reports whether nothing is read yet of a child of a shard: until then the row of
// its parent says since when it is unread.
func (snap *snapshot) isAwaited(parent string) bool {
	for _, s := range snap.shards {
		if s.seen.exists && !s.seen.neverRead() || s.isGone() {
			continue
		}
		if slices.Contains(s.listed.Parents, parent) {
			return true
		}
	}
	return false
}

// remove deletes a row that is as it was seen.
func (t *Table) remove(ctx context.Context, shardID string, seen row) error {
	when := finished()
	if !seen.finished() {
		when = all(absent(attrCheckpoint), seen.sameHolding())
	}
	conditionFailed, err := deleteRow(ctx, t.db, t.cfg.Table, shardID, when, t.callTimeout())
	switch {
	case err != nil:
		return fmt.Errorf("delete the row of %s: %w", shardID, err)
	case !conditionFailed: // otherwise another worker was first
		t.cfg.Log.Info().Str("shard", shardID).Msg("row of the expired shard deleted")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards.state(shardID).seen = observation{}
	return nil
}
