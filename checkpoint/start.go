package checkpoint

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// startKey is the key of the one row that is not a shard's: how the
// application was first started. Shard ids begin with "shardId-".
const startKey = "logsluice-first-start"

const (
	attrStartPosition  = "StartPosition"  // TRIM_HORIZON or AT_TIMESTAMP
	attrStartTimestamp = "StartTimestamp" // milliseconds since the epoch
	attrLastShard      = "LastShard"      // the highest shard id listed then
)

// start says where the application started on its first start. A shard that
// came later is read from its oldest record, whatever the initial position: it
// holds what its parents would have got. Kinesis numbers shards upwards.
type start struct {
	position  Position
	lastShard string
}

// settleStart reads the row of the first start, or writes it when this is the
// first: "LATEST" becomes that moment, by Kinesis' clock, so that neither a
// restart before the first checkpoint nor a reshard skips a record.
func (t *Table) settleStart(ctx context.Context, now time.Time) error {
	position := t.cfg.InitialPosition
	if position.kind == latest {
		position = Position{kind: atTimestamp, time: now}
	}
	t.mu.Lock()
	t.stale = true
	t.mu.Unlock()
	if err := t.sync(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	lastShard := ""
	for id := range t.shards {
		lastShard = max(lastShard, id)
	}
	inherited := len(t.seen) > 0
	t.mu.Unlock()
	if inherited {
		// Rows without a first start are those of vmware-go-kcl-v2: the
		// application has run before, and what it left unread is not to be skipped.
		position = Position{kind: trimHorizon}
	}

	it, exists, err := t.update(ctx, startKey,
		"SET "+attrStartPosition+" = :position, "+attrStartTimestamp+" = :timestamp, "+attrLastShard+" = :shard",
		"attribute_not_exists("+attrShard+")",
		item{
			":position":  str(position.kind),
			":timestamp": num(position.time.UnixMilli()),
			":shard":     str(lastShard),
		}, t.cfg.LeaseDuration)
	if err != nil {
		return fmt.Errorf("lease table %s: write the first start: %w", t.cfg.Table, err)
	}
	milliseconds, err := strconv.ParseInt(text(it[attrStartTimestamp]), 10, 64)
	if err != nil {
		return fmt.Errorf("lease table %s: row %s has no valid %s: delete the row to start anew", t.cfg.Table, startKey, attrStartTimestamp)
	}
	first := start{
		position:  Position{kind: text(it[attrStartPosition]), time: time.UnixMilli(milliseconds)},
		lastShard: text(it[attrLastShard]),
	}
	t.mu.Lock()
	t.start = first
	t.mu.Unlock()
	t.cfg.Log.Info().Bool("first_start", !exists).Stringer("initial_position", first.position).Msg("lease table is ready")
	return nil
}

// StartingPosition tells where reading a shard begins that has no checkpoint.
func (t *Table) StartingPosition(shardID string) Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shardID > t.start.lastShard {
		return Position{kind: trimHorizon}
	}
	return t.start.position
}
