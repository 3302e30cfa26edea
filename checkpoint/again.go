package checkpoint

import (
	"context"
	"time"
)

// A lease table that is deleted while workers run is created again by one of them. For
// one lease duration from when a worker notices, it creates no rows except those of
// leases that it holds, with their checkpoints. After that, all other shards are read
// from their oldest records, whatever the initial position: how far they were read is
// lost.

// makeAgain creates the table that was deleted, and its row of the first start.
func (t *Table) makeAgain(ctx context.Context) error {
	t.reportDeleted()
	if err := t.ensureTable(ctx, t.cfg.LeaseDuration); err != nil {
		return err
	}
	return t.startAgain(ctx)
}

// reportDeleted logs that the table was deleted, once until it is made again.
func (t *Table) reportDeleted() {
	t.mu.Lock()
	logged := t.deletionLogged
	t.deletionLogged = true
	t.mu.Unlock()
	if logged {
		return
	}
	t.cfg.Log.Error().Str("table", t.cfg.Table).
		Msg("the lease table was deleted: it is made again; shards that are held go on from their checkpoints, all others are read from their oldest records")
}

// startAgain writes the row of the first start, unless another running worker has done
// so. A worker that starts at that moment takes the table for a new one: its row is
// replaced.
func (t *Table) startAgain(ctx context.Context) error {
	t.reportDeleted()
	t.mu.Lock()
	at := t.allUnreadSince()
	t.mu.Unlock()
	first := start{position: Position{kind: trimHorizon}, at: at, madeAgain: t.cfg.Clock().UTC().Format(time.RFC3339Nano)}
	_, err := t.writeStart(ctx, first, all(absent(attrMadeAgain), either(absent(attrStream), is(attrStream, str(t.stream.String())))))
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginAgain(nil)
	return nil
}

// beginAgain forgets the rows that the new table does not have. t.mu must be held.
func (t *Table) beginAgain(rows map[string]row) {
	t.again, t.deletionLogged = time.Now(), false
	for id, s := range t.shards {
		if _, exists := rows[id]; !exists && s.lease == nil {
			s.seen = observation{}
		}
	}
}

// isAgain reports whether the table was created again less than a lease duration ago.
// t.mu must be held.
func (t *Table) isAgain() bool {
	return time.Since(t.again) < t.cfg.LeaseDuration
}

// noteAgain takes in the row of the first start as a scan shows it, nil if it is absent,
// and reports whether it has to be written again. A scan may be behind, so one without
// the row does not show that it is gone. t.mu must be held.
func (t *Table) noteAgain(first item, rows map[string]row) (lost bool) {
	if first == nil {
		t.absences++
		return t.absences > 1
	}
	t.absences = 0
	made := text(first[attrMadeAgain])
	if made == "" {
		// Another first start was written by a worker that took the table for a new one.
		position, err := readPosition(first)
		return err == nil && (t.start.madeAgain != "" ||
			!position.time.Equal(t.start.position.time) || !readTime(first, attrReadThrough).Equal(t.start.at)) // no position but a time has one
	}
	if made != t.start.madeAgain {
		began, read := t.start.at, readTime(first, attrReadThrough)
		t.start.madeAgain, t.start.position, t.start.lastShard, t.start.at = made, Position{kind: trimHorizon}, "", read
		t.cfg.Log.Error().Str("table", t.cfg.Table).Str("made_again", made).Msg("the lease table was deleted, and another worker made it again")
		if began.After(read) { // this worker took the table for a new one
			for _, s := range t.shards {
				if s.lease != nil {
					s.lease.isOfNewTable()
				}
			}
		}
		t.beginAgain(rows)
	}
	return false
}

// isOfNewTable notes that this worker acquired the lease from a table made again that it
// took for a new one: the row of an earlier holder replaces that of the lease. A reading
// that began later than at the oldest record ends: the next write to the row removes its
// checkpoint, and the next reading begins there.
func (l *Lease) isOfNewTable() {
	_, hasTime := l.start.Timestamp()
	isLate := hasTime && l.acquired.checkpoint == "" && l.acquired.start == nil
	l.mu.Lock()
	l.ofNewTable = true
	if isLate {
		l.restarting, l.acknowledged = true, ""
	}
	l.mu.Unlock()
	if !isLate {
		return
	}
	l.table.cfg.Log.Error().Str("shard", l.shard).Stringer("began_at", l.start).
		Msg("the reading of the shard began late, as the lease table was deleted before: it begins anew at the oldest record")
	l.stopReading()
}

// isReplaced reports whether the row of a lease is by now that of a worker which took a
// table made again for a new one: its epochs begin anew. A row of vmware-go-kcl-v2 has none.
func (l *Lease) isReplaced(r row) bool {
	isOthers := r.owner != "" && r.owner != l.table.cfg.Worker
	return r.epoch < l.epoch && (r.epoch > 0 || !isOthers) || r.epoch == l.epoch && isOthers
}

// restore returns the update that writes the row of a held lease to the new table. It
// replaces the row of a worker that took the table for a new one.
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
	return c, either(absent(attrShard), isBelow(attrEpoch, num(l.epoch)), all(is(attrEpoch, num(l.epoch)), isNot(attrOwner, worker)))
}
