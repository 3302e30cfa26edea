package checkpoint

import (
	"context"
	"time"
)

// When the lease table is deleted while workers run, one of them creates it again. For one
// lease duration after noticing this, a worker writes only the rows of leases that it holds,
// with their checkpoints. After that, all other shards are read from their oldest records,
// regardless of the initial position, because their checkpoints are lost.

// recreate creates the table that was deleted, and its row of the first start.
func (t *Table) recreate(ctx context.Context) error {
	t.reportDeleted()
	if err := t.ensureTable(ctx, t.cfg.LeaseDuration); err != nil {
		return err
	}
	return t.rewriteStart(ctx)
}

// reportDeleted logs that the table was deleted, once per deletion.
func (t *Table) reportDeleted() {
	t.mu.Lock()
	logged := t.deletionLogged
	t.deletionLogged = true
	t.mu.Unlock()
	if logged {
		return
	}
	t.cfg.Log.Error().Str("table", t.cfg.Table).
		Msg("the lease table was deleted: it is created again, shards that are held continue from their checkpoints, all others are read from their oldest records")
}

// rewriteStart writes the row of the first start, unless another running worker has done
// so. It replaces the row of a worker that starts at that moment and mistakes the table for a
// new one.
func (t *Table) rewriteStart(ctx context.Context) error {
	t.reportDeleted()
	t.mu.Lock()
	at := t.allUnreadSince()
	t.mu.Unlock()
	first := start{position: Position{kind: trimHorizon}, at: at, recreated: t.cfg.Clock().UTC().Format(time.RFC3339Nano)}
	_, err := t.writeStart(ctx, first, all(absent(attrRecreated), either(absent(attrStream), is(attrStream, str(t.stream.String())))))
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetMissingRows(nil)
	return nil
}

// forgetMissingRows forgets the rows that the recreated table does not have. t.mu must be
// held.
func (t *Table) forgetMissingRows(rows map[string]row) {
	t.recreatedAt, t.deletionLogged = time.Now(), false
	for id, s := range t.shards {
		if _, exists := rows[id]; !exists && s.lease == nil {
			s.seen = observation{}
		}
	}
}

// isRecreated reports whether the table was created again less than a lease duration ago.
// t.mu must be held.
func (t *Table) isRecreated() bool {
	return time.Since(t.recreatedAt) < t.cfg.LeaseDuration
}

// checkRecreated evaluates the row of the first start in a scan, nil if it is absent, and
// reports whether the row must be written again. Scans are eventually consistent, so it
// takes two without the row to show that it is gone. t.mu must be held.
func (t *Table) checkRecreated(first item, rows map[string]row) (lost bool) {
	if first == nil {
		t.absences++
		return t.absences > 1
	}
	t.absences = 0
	recreated := text(first[attrRecreated])
	if recreated == "" {
		// The row was written by a worker that mistook the table for a new one.
		position, err := readPosition(first)
		return err == nil && (t.start.recreated != "" ||
			!position.time.Equal(t.start.position.time) || !readTime(first, attrReadThrough).Equal(t.start.at)) // only AT_TIMESTAMP has a time
	}
	if recreated != t.start.recreated {
		began, read := t.start.at, readTime(first, attrReadThrough)
		t.start.recreated, t.start.position, t.start.lastShard, t.start.at = recreated, Position{kind: trimHorizon}, "", read
		t.cfg.Log.Error().Str("table", t.cfg.Table).Str("recreated_at", recreated).Msg("the lease table was deleted, and another worker created it again")
		if began.After(read) { // this worker mistook the table for a new one
			for _, s := range t.shards {
				if s.lease != nil {
					s.lease.markFromNewTable()
				}
			}
		}
		t.forgetMissingRows(rows)
	}
	return false
}

// markFromNewTable records that this worker acquired the lease from a recreated table that
// it mistook for a new one: an earlier holder may replace the lease's row. If reading began
// later than at the oldest record, it ends. The next write to the row then removes the
// checkpoint, and the next reading begins at the oldest record.
func (l *Lease) markFromNewTable() {
	_, hasTime := l.start.Timestamp()
	isLate := hasTime && l.acquired.checkpoint == "" && l.acquired.start == nil
	l.mu.Lock()
	l.fromNewTable = true
	if isLate {
		l.restarting, l.acknowledged = true, ""
	}
	l.mu.Unlock()
	if !isLate {
		return
	}
	l.table.cfg.Log.Error().Str("shard", l.shard).Stringer("began_at", l.start).
		Msg("the shard was read from too late a position because the lease table had been deleted: it is read again from its oldest record")
	l.stopReading()
}

// isReplaced reports whether the row of a lease was replaced by a worker that mistook a
// recreated table for a new one: its epochs start again from 1. A row of vmware-go-kcl-v2
// has no epoch.
func (l *Lease) isReplaced(r row) bool {
	isOthers := r.owner != "" && r.owner != l.table.cfg.Worker
	return r.epoch < l.epoch && (r.epoch > 0 || !isOthers) || r.epoch == l.epoch && isOthers
}

// restore returns the update that writes the row of a held lease to the recreated table. It
// replaces the row of a worker that mistook the table for a new one.
func (l *Lease) restore(why purpose, checkpoint string, counter int64) (c change, when condition) {
	worker := str(l.table.cfg.Worker)
	c.set(attrEpoch, num(l.epoch))
	c.set(attrCounter, num(counter+1))
	c.set(attrDuration, num(l.table.cfg.LeaseDuration.Milliseconds()))
	c.set(attrTimeout, str(l.table.informativeTimeout()))
	if why == releasing {
		c.remove(attrOwner)
	} else {
		c.set(attrOwner, worker)
	}
	if checkpoint == "" {
		c.remove(attrCheckpoint)
	} else {
		c.set(attrCheckpoint, str(checkpoint))
	}
	if l.acquired.first != "" {
		c.set(attrFirst, str(l.acquired.first))
	}
	l.mu.Lock()
	l.readLocked().write(&c)
	l.gaps.write(&c)
	l.mu.Unlock()
	c.setParents(l.acquired.parents)
	return c, either(absent(attrShard), epochIsBelow(l.epoch), all(is(attrEpoch, num(l.epoch)), isNot(attrOwner, worker)))
}
