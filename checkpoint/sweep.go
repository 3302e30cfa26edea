package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Row maintenance: unneeded rows are deleted, and finished rows of older tables get the
// StartingSequenceNumber of their shard.

// maxRowsPerSync bounds the rows that one Sync deletes, and those that it updates.
const maxRowsPerSync = 20

// sweep deletes rows that are no longer needed.
func (t *Table) sweep(ctx context.Context) error {
	t.mu.Lock()
	rows := t.snapshotLocked().unneeded()
	t.mu.Unlock()
	removed := 0
	for id, r := range rows { // in random order, so that workers share the work
		if removed++; removed > maxRowsPerSync {
			break
		}
		if err := t.remove(ctx, id, r); err != nil {
			return err
		}
	}
	return nil
}

// backfillFirst adds the StartingSequenceNumber to finished rows that lack it, because they
// are older than the attribute. Other rows get it when their lease is next acquired.
func (t *Table) backfillFirst(ctx context.Context) error {
	t.mu.Lock()
	snap := t.snapshotLocked()
	firsts := make(map[string]string)
	for id, s := range t.shards {
		if first := s.listed.First; s.seen.first == "" && first != "" && s.isListed() && snap.isFinished(s) && len(firsts) < maxRowsPerSync {
			firsts[id] = first
		}
	}
	t.mu.Unlock()
	for id, first := range firsts {
		var c change
		c.set(attrFirst, str(first))
		it, _, err := t.update(ctx, id, c, all(finished(), absent(attrFirst)), t.callTimeout())
		if err != nil {
			return fmt.Errorf("write the %s of %s: %w", attrFirst, id, err)
		}
		if it != nil {
			t.mu.Lock()
			t.noteRow(id, readRow(it), time.Now())
			t.mu.Unlock()
		}
	}
	return nil
}

// unneeded returns the rows that are no longer needed. They belong to shards that Kinesis no
// longer has, and are finished or have no checkpoint. (A late request can create a row without
// a checkpoint.) An unfinished row with a checkpoint is kept for people to see.
func (snap *snapshot) unneeded() map[string]row {
	rows := make(map[string]row)
	for id, s := range snap.shards {
		if o := s.seen; o.exists && (snap.isFinished(s) || o.checkpoint == "" && snap.isFree(o)) && s.isGone() && !snap.isAwaited(id) {
			rows[id] = o.row
		}
	}
	return rows
}

// isAwaited reports whether a child of a shard is not read yet. Until then the parent's row
// shows since when the child is unread.
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

// remove deletes a row if it is unchanged.
func (t *Table) remove(ctx context.Context, shardID string, seen row) error {
	when := finished()
	if !seen.finished() {
		when = all(absent(attrCheckpoint), seen.unchanged())
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
