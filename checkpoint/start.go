package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// startKey is the key of the one row that is not a shard's: how the
// application was first started, and what for. Shard ids begin with "shardId-".
const startKey = "logsluice-first-start"

// Attributes of that row, besides those of a position.
const (
	attrLastShard = "LastShard"      // the highest shard id listed at the first start
	attrStream    = "StreamARN"      // the stream's ARN, or its name if the ARN was never known
	attrCreated   = "StreamCreated"  // milliseconds since the epoch, when no row is foreign
	attrMadeAgain = "MadeAgain"      // when running workers found the table deleted: only compared for equality
	attrDomain    = "OpenSearchHost" // the host of OpenSearch, of the worker that started last
	attrPrefix    = "IndexPrefix"    // its index prefix
)

// Stream is the stream whose shards a table has.
type Stream struct {
	Name    string
	ARN     string    // "" if it is not known
	Created time.Time // zero if it is not known
}

func (s Stream) String() string {
	if s.ARN != "" {
		return s.ARN
	}
	return s.Name
}

// is reports whether a table notes this stream: by its ARN, or by its name where one
// of the two ARNs is not known.
func (s Stream) is(noted string) bool {
	if noted == "" || noted == s.String() {
		return true
	}
	name := noted[strings.LastIndex(noted, "/")+1:]
	return (s.ARN == "" || name == noted) && s.Name == name
}

// OtherStreamError is returned when a table is another stream's.
type OtherStreamError struct {
	Table string
	Noted string // the stream that the table is of, as an ARN or a name
	Asked Stream
}

func (e *OtherStreamError) Error() string {
	return fmt.Sprintf("the lease table %s belongs to stream %s, not to %s", e.Table, e.Noted, e.Asked)
}

// start says where the application started on its first start. A shard that
// came later is read from its oldest record, whatever the initial position: it
// holds what its parents would have got. Kinesis numbers shards upwards.
type start struct {
	position  Position
	lastShard string
	stream    string
	created   string // as it is in the row, "" if it is not
	madeAgain string // "" for a table that was never deleted
	// anew is set while the stream was created later than the table says.
	anew bool
	at   time.Time // of the first start, by Kinesis' clock; zero if the table does not say
}

func readStart(table string, it item) (start, error) {
	position, err := readPosition(it)
	if err != nil {
		return start{}, fmt.Errorf("lease table %s: row %s: %w: delete the row to start anew", table, startKey, err)
	}
	return start{
		position: position, lastShard: text(it[attrLastShard]),
		stream: text(it[attrStream]), created: text(it[attrCreated]), madeAgain: text(it[attrMadeAgain]),
		at: readTime(it, attrReadThrough),
	}, nil
}

// settleStart reads the row of the first start, or writes it when this is the
// first: "LATEST" becomes that moment, by Kinesis' clock, so that neither a
// restart before the first checkpoint nor a reshard skips a record.
func (t *Table) settleStart(ctx context.Context, shards []Shard, inherited bool, now time.Time) error {
	position := t.cfg.InitialPosition
	switch position.kind {
	case latest:
		position = Position{kind: atTimestamp, time: now}
	case "":
		position = Position{kind: trimHorizon}
	}
	if inherited {
		// Rows without a first start are those of vmware-go-kcl-v2: the
		// application has run before, and what it left unread is not to be skipped.
		position = Position{kind: trimHorizon}
	}
	first := start{position: position, at: now}
	for _, shard := range shards {
		first.lastShard = max(first.lastShard, shard.ID)
	}
	exists, err := t.writeStart(ctx, first, absent(attrShard))
	if err != nil {
		return err
	}
	t.mu.Lock()
	first = t.start
	t.mu.Unlock()
	if exists {
		if t.cfg.InitialPosition.isOtherThan(first.position) {
			t.cfg.Log.Warn().Stringer("initial_position", t.cfg.InitialPosition).Stringer("first_start_position", first.position).
				Msg("INITIAL_POSITION is ignored: the application was started before, with another; to read from elsewhere, stop the workers and run logsluice leases reset")
		}
		if err := t.joinStart(ctx, first); err != nil {
			return err
		}
	}
	t.cfg.Log.Info().Bool("first_start", !exists).Stringer("initial_position", first.position).Msg("lease table is ready")
	return nil
}

// writeStart writes the row of the first start if a condition holds, and takes in
// the row as it then is. It reports whether the condition failed.
func (t *Table) writeStart(ctx context.Context, first start, when condition) (exists bool, err error) {
	var c change
	c.set(attrStartPosition, str(first.position.kind))
	c.set(attrStartTimestamp, num(first.position.time.UnixMilli()))
	c.set(attrLastShard, str(first.lastShard))
	c.set(attrStream, str(t.stream.String()))
	c.set(attrDomain, str(t.cfg.Domain))
	c.set(attrPrefix, str(t.cfg.IndexPrefix))
	c.set(attrReadThrough, num(first.at.UnixMilli()))
	if created := t.stream.created(); created != "" {
		c.set(attrCreated, str(created))
	}
	if first.madeAgain != "" {
		c.set(attrMadeAgain, str(first.madeAgain))
	}
	it, exists, err := t.update(ctx, startKey, c, when, t.cfg.LeaseDuration)
	if err != nil {
		return false, fmt.Errorf("lease table %s: write the first start: %w", t.cfg.Table, err)
	}
	return exists, t.takeStart(it)
}

// takeStart takes in the row of the first start.
func (t *Table) takeStart(it item) error {
	first, err := readStart(t.cfg.Table, it)
	if err != nil {
		return err
	}
	if err := t.otherStream(first.stream); err != nil {
		return err
	}
	first.anew = first.created != "" && CompareNumbers(t.stream.created(), first.created) > 0
	t.mu.Lock()
	defer t.mu.Unlock()
	if first.anew {
		first.lastShard = "" // it is of the old stream
	}
	if first.madeAgain != t.start.madeAgain {
		// How long ago that was is not known: holders may have yet to write their rows.
		t.again = time.Now()
	}
	t.start = first
	return nil
}

// otherStream returns an *OtherStreamError if the table notes another stream than this
// worker's.
func (t *Table) otherStream(noted string) error {
	if t.stream.is(noted) {
		return nil
	}
	return &OtherStreamError{Table: t.cfg.Table, Noted: noted, Asked: t.stream}
}

// reportCreatedAgain logs that the stream was created again, unless other workers have
// renewed all rows meanwhile.
func (t *Table) reportCreatedAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.start.anew || t.noneIsForeign() {
		return
	}
	t.cfg.Log.Error().Str("stream", t.stream.String()).Time("created", t.stream.Created.UTC()).
		Msg("the stream was deleted and created again: its shards are read from their oldest records")
}

// noneIsForeign reports whether the rows of all shards are of these. t.mu must be held.
func (t *Table) noneIsForeign() bool {
	snap := t.snapshotLocked()
	for _, s := range t.shards {
		if s.listed.known && snap.foreign(s) != "" {
			return false
		}
	}
	return true
}

// created is the creation time as the table notes it, "" if it is not known.
func (s Stream) created() string {
	if s.Created.IsZero() {
		return ""
	}
	return strconv.FormatInt(s.Created.UnixMilli(), 10)
}

// joinStart adds to the row of an earlier start what it lacks of the stream, and
// where this worker indexes.
func (t *Table) joinStart(ctx context.Context, first start) error {
	noted := t.stream.String()
	if t.stream.ARN == "" && first.stream != "" {
		noted = first.stream
	}
	var c change
	c.set(attrStream, str(noted))
	c.set(attrDomain, str(t.cfg.Domain))
	c.set(attrPrefix, str(t.cfg.IndexPrefix))
	if created := t.stream.created(); created != "" && first.created == "" {
		c.set(attrCreated, str(created))
	}
	it, _, err := t.update(ctx, startKey, c, all(rowExists(), asRead(attrStream, str(first.stream))), t.cfg.LeaseDuration)
	switch {
	case err != nil:
		return fmt.Errorf("lease table %s: write to the first start: %w", t.cfg.Table, err)
	case it == nil:
		return fmt.Errorf("lease table %s: row %s was deleted meanwhile", t.cfg.Table, startKey)
	}
	// If the condition failed, another worker started at the same time: its row counts.
	return t.takeStart(it)
}

// noteCreation notes when the stream was created, once no row of its shards is
// foreign: it is written last, so that a worker that ends before repeats the rest.
func (t *Table) noteCreation(ctx context.Context) error {
	t.mu.Lock()
	first := t.start
	due := first.anew && t.noneIsForeign()
	t.mu.Unlock()
	if !due {
		return nil
	}
	var c change
	c.set(attrCreated, str(t.stream.created()))
	c.remove(attrLastShard)
	it, _, err := t.update(ctx, startKey, c, is(attrCreated, str(first.created)), t.callTimeout())
	if it == nil {
		return err // nil if the row was deleted
	}
	return t.takeStart(it)
}

// begin is where reading a shard begins that has a row without a checkpoint, or none.
func (s start) begin(shardID string, r row) Position {
	if r.start != nil {
		return *r.start
	}
	return s.of(shardID)
}

// of is where reading a shard begins that has neither a checkpoint nor a position.
func (s start) of(shardID string) Position {
	if shardID > s.lastShard {
		return Position{kind: trimHorizon}
	}
	return s.position
}

// missingTable reports whether DynamoDB says that the table does not exist.
func missingTable(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing)
}
