package checkpoint

import (
	"context"
	"fmt"
	"time"
)

// startKey is the key of the one row that is not a shard's: how the
// application was first started. Shard ids begin with "shardId-".
const startKey = "logsluice-first-start"

// attrLastShard is the highest shard id listed then.
const attrLastShard = "LastShard"

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
func (t *Table) settleStart(ctx context.Context, shards []Shard, inherited bool, now time.Time) error {
	position := t.cfg.InitialPosition
	if position.kind == latest {
		position = Position{kind: atTimestamp, time: now}
	}
	if inherited {
		// Rows without a first start are those of vmware-go-kcl-v2: the
		// application has run before, and what it left unread is not to be skipped.
		position = Position{kind: trimHorizon}
	}
	lastShard := ""
	for _, shard := range shards {
		lastShard = max(lastShard, shard.ID)
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
	position, err = readPosition(it)
	if err != nil {
		return fmt.Errorf("lease table %s: row %s: %w: delete the row to start anew", t.cfg.Table, startKey, err)
	}
	first := start{position: position, lastShard: text(it[attrLastShard])}
	t.mu.Lock()
	t.start = first
	t.mu.Unlock()
	t.cfg.Log.Info().Bool("first_start", !exists).Stringer("initial_position", first.position).Msg("lease table is ready")
	return nil
}

// of is where reading a shard begins that has no checkpoint.
func (s start) of(shardID string) Position {
	if shardID > s.lastShard {
		return Position{kind: trimHorizon}
	}
	return s.position
}
