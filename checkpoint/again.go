package checkpoint

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A table that is deleted while workers run is made again by one of them. For a
// lease duration from when a worker sees that, it makes no new rows: the holders of
// leases write theirs, with their checkpoints. All other shards are then read from
// their oldest records, wherever the application first began, as how far they were
// read is lost.

// makeAgain creates the table that was deleted, and its row of the first start.
func (t *Table) makeAgain(ctx context.Context) error {
	t.cfg.Log.Error().Str("table", t.cfg.Table).
		Msg("the lease table was deleted: it is made again; shards that are held go on from their checkpoints, all others are read from their oldest records")
	if err := t.ensureTable(ctx, t.cfg.LeaseDuration); err != nil {
		return err
	}
	return t.startAgain(ctx)
}

// startAgain writes the row of the first start, unless another worker that found it
// deleted has done so. One that starts meanwhile takes the table for a first one:
// its row is replaced.
func (t *Table) startAgain(ctx context.Context) error {
	t.mu.Lock()
	now := t.now()
	t.mu.Unlock()
	first := start{position: Position{kind: trimHorizon}, at: now, madeAgain: t.cfg.Clock().UTC().Format(time.RFC3339Nano)}
	_, err := t.writeStart(ctx, first, "attribute_not_exists("+attrMadeAgain+") AND (attribute_not_exists("+attrStream+") OR "+attrStream+" = :stream)")
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginAgain(nil)
	return nil
}

// beginAgain forgets the rows that a table made again does not have. t.mu must be held.
func (t *Table) beginAgain(rows map[string]row) {
	t.again = time.Now()
	for id := range t.seen {
		if _, exists := rows[id]; !exists && t.held[id] == nil {
			delete(t.seen, id)
		}
	}
}

// isAgain reports whether the table was made again less than a lease duration ago.
// t.mu must be held.
func (t *Table) isAgain() bool {
	return !t.again.IsZero() && time.Since(t.again) < t.cfg.LeaseDuration
}

// noteAgain takes in the row of the first start as a scan shows it, and reports
// whether it is to be written again. A scan may be behind, so it takes two to tell
// that it is gone. t.mu must be held.
func (t *Table) noteAgain(first item, rows map[string]row) (lost bool) {
	if first == nil {
		t.absences++
		return t.absences > 1
	}
	t.absences = 0
	made := text(first[attrMadeAgain])
	if made == "" {
		// A worker that takes the table for a first one wrote another first start.
		position, err := readPosition(first)
		return err == nil && (position.kind != t.start.position.kind || !position.time.Equal(t.start.position.time))
	}
	if made != t.start.madeAgain {
		t.start.madeAgain, t.start.position, t.start.lastShard, t.start.at = made, Position{kind: trimHorizon}, "", readTime(first, attrReadThrough)
		t.cfg.Log.Error().Str("table", t.cfg.Table).Str("made_again", made).Msg("the lease table was deleted, and another worker made it again")
		t.beginAgain(rows)
	}
	return false
}

// restore is the update that writes the row of a held lease to a table made again. One
// that a worker wrote which takes the table for a first one has a lower epoch.
func (l *Lease) restore(why purpose, checkpoint string, counter int64) (expression, condition string, values item) {
	values = item{":epoch": num(l.epoch)}
	var set []string
	put := func(attribute string, value types.AttributeValue) {
		name := ":put" + attribute
		set = append(set, attribute+" = "+name)
		values[name] = value
	}
	put(attrEpoch, num(l.epoch))
	put(attrCounter, num(counter+1))
	put(attrDuration, num(l.table.cfg.LeaseDuration.Milliseconds()))
	put(attrTimeout, str(l.table.informativeTimeout()))
	if why != releasing {
		put(attrOwner, str(l.table.cfg.Worker))
	}
	for attribute, value := range map[string]string{attrCheckpoint: checkpoint, attrFirst: l.acquired.first} {
		if value != "" {
			put(attribute, str(value))
		}
	}
	l.mu.Lock()
	set = l.gaps.write(l.read.write(set, values), values)
	l.mu.Unlock()
	for i, parent := range l.acquired.parents {
		put([]string{attrParent, attrAdjacentParent}[i], str(parent))
	}
	return "SET " + strings.Join(set, ", "), "attribute_not_exists(" + attrShard + ") OR " + attrEpoch + " < :epoch", values
}
