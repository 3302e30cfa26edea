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

// startKey is the key of the only row that does not belong to a shard. It records how and
// for which stream the application was first started. Shard ids begin with "shardId-".
const startKey = "logsluice-first-start"

// Attributes of that row, in addition to those of a position.
const (
	attrLastShard = "LastShard"      // the highest shard id listed at the first start
	attrStream    = "StreamARN"      // the stream's ARN, or its name if the ARN was never known
	attrCreated   = "StreamCreated"  // milliseconds since the Unix epoch, written when no row is foreign
	attrRecreated = "MadeAgain"      // when running workers created the table again: only compared for equality
	attrDomain    = "OpenSearchHost" // OpenSearch host of the worker that started last
	attrPrefix    = "IndexPrefix"    // index prefix of that worker
)

// Stream identifies the stream whose shards a table has.
type Stream struct {
	Name    string
	ARN     string    // "" if unknown
	Created time.Time // zero if unknown
}

func (s Stream) String() string {
	if s.ARN != "" {
		return s.ARN
	}
	return s.Name
}

// is reports whether recorded, the stream in the table, is this stream. It compares names
// where one of the ARNs is unknown.
func (s Stream) is(recorded string) bool {
	if recorded == "" || recorded == s.String() {
		return true
	}
	name := recorded[strings.LastIndex(recorded, "/")+1:]
	return (s.ARN == "" || name == recorded) && s.Name == name
}

// OtherStreamError is returned when a table belongs to another stream.
type OtherStreamError struct {
	Table string
	// Recorded is the table's stream, as an ARN or a name.
	Recorded  string
	Requested Stream
}

func (e *OtherStreamError) Error() string {
	return fmt.Sprintf("the lease table %s belongs to stream %s, not to %s", e.Table, e.Recorded, e.Requested)
}

// start records where the application started on its first start. A shard that was created
// later is read from its oldest record, regardless of the initial position: it continues its
// parents. Kinesis numbers shards in ascending order.
type start struct {
	position  Position
	lastShard string
	stream    string
	created   string // as in the row, "" if the row has none
	recreated string // "" for a table that was never deleted
	// streamRecreated is set while the table has the creation time of an earlier stream.
	streamRecreated bool
	at              time.Time // of the first start, by Kinesis' clock; zero if the table does not record it
}

func readStart(table string, it item) (start, error) {
	position, err := readPosition(it)
	if err != nil {
		return start{}, fmt.Errorf("lease table %s: row %s: %w: delete the row to start over", table, startKey, err)
	}
	return start{
		position: position, lastShard: text(it[attrLastShard]),
		stream: text(it[attrStream]), created: text(it[attrCreated]), recreated: text(it[attrRecreated]),
		at: readTime(it, attrReadThrough),
	}, nil
}

// initStart reads the row of the first start, or writes it on the first start. LATEST
// becomes the time of that start, by Kinesis' clock, so that neither a restart before the
// first checkpoint nor a reshard skips a record.
func (t *Table) initStart(ctx context.Context, shards []Shard, inherited bool, now time.Time) error {
	position := t.cfg.InitialPosition
	switch position.kind {
	case latest:
		position = Position{kind: atTimestamp, time: now}
	case "":
		position = Position{kind: trimHorizon}
	}
	if inherited {
		// Rows without a first start were written by vmware-go-kcl-v2: the application has run
		// before, and its unread records must not be skipped.
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
				Str("remedy", "to change where reading begins, stop the workers and run logsluice leases reset").
				Msg("INITIAL_POSITION is ignored: the application was first started with a different one")
		}
		if err := t.updateStart(ctx, first); err != nil {
			return err
		}
	}
	t.cfg.Log.Info().Bool("first_start", !exists).Stringer("initial_position", first.position).Msg("lease table is ready")
	return nil
}

// writeStart writes the row of the first start if a condition holds, and sets t.start from
// the resulting row. exists reports whether the condition failed.
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
	if first.recreated != "" {
		c.set(attrRecreated, str(first.recreated))
	}
	it, exists, err := t.update(ctx, startKey, c, when, t.cfg.LeaseDuration)
	if err != nil {
		return false, fmt.Errorf("lease table %s: write row %s: %w", t.cfg.Table, startKey, err)
	}
	return exists, t.setStart(it)
}

// setStart sets t.start from the row of the first start. It returns *OtherStreamError if the
// row is for another stream.
func (t *Table) setStart(it item) error {
	first, err := readStart(t.cfg.Table, it)
	if err != nil {
		return err
	}
	if err := t.otherStream(first.stream); err != nil {
		return err
	}
	first.streamRecreated = first.created != "" && CompareNumbers(t.stream.created(), first.created) > 0
	t.mu.Lock()
	defer t.mu.Unlock()
	if first.streamRecreated {
		first.lastShard = "" // it belongs to the old stream
	}
	if first.recreated != t.start.recreated {
		// It is unknown how long ago that was: lease holders may not have written their rows yet.
		t.recreatedAt = time.Now()
	}
	t.start = first
	return nil
}

// otherStream returns *OtherStreamError if recorded, the stream in the table, is not this
// worker's stream.
func (t *Table) otherStream(recorded string) error {
	if t.stream.is(recorded) {
		return nil
	}
	return &OtherStreamError{Table: t.cfg.Table, Recorded: recorded, Requested: t.stream}
}

// reportStreamRecreated logs that the stream was created again, unless other workers have
// already reset all rows.
func (t *Table) reportStreamRecreated() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.start.streamRecreated || t.noneIsForeign() {
		return
	}
	t.cfg.Log.Error().Str("stream", t.stream.String()).Time("created", t.stream.Created.UTC()).
		Msg("the stream was deleted and created again: its shards are read from their oldest records")
}

// noneIsForeign reports whether no shard has a foreign row. t.mu must be held.
func (t *Table) noneIsForeign() bool {
	snap := t.snapshotLocked()
	for _, s := range t.shards {
		if s.listed.known && snap.foreign(s) != "" {
			return false
		}
	}
	return true
}

// created returns the creation time as it is written to the table, "" if unknown.
func (s Stream) created() string {
	if s.Created.IsZero() {
		return ""
	}
	return strconv.FormatInt(s.Created.UnixMilli(), 10)
}

// updateStart updates the row of an earlier start: it adds missing attributes of the stream
// and sets this worker's domain and index prefix.
func (t *Table) updateStart(ctx context.Context, first start) error {
	stream := t.stream.String()
	if t.stream.ARN == "" && first.stream != "" {
		stream = first.stream
	}
	var c change
	c.set(attrStream, str(stream))
	c.set(attrDomain, str(t.cfg.Domain))
	c.set(attrPrefix, str(t.cfg.IndexPrefix))
	if created := t.stream.created(); created != "" && first.created == "" {
		c.set(attrCreated, str(created))
	}
	it, _, err := t.update(ctx, startKey, c, all(rowExists(), asRead(attrStream, str(first.stream))), t.cfg.LeaseDuration)
	switch {
	case err != nil:
		return fmt.Errorf("lease table %s: write row %s: %w", t.cfg.Table, startKey, err)
	case it == nil:
		return fmt.Errorf("lease table %s: row %s was deleted in the meantime", t.cfg.Table, startKey)
	}
	// If the condition failed, another worker started at the same time: its row counts.
	return t.setStart(it)
}

// writeCreation writes when the stream was created, once no row is foreign. It is written
// last, so that the next worker repeats the other steps if this worker stops before.
func (t *Table) writeCreation(ctx context.Context) error {
	t.mu.Lock()
	first := t.start
	due := first.streamRecreated && t.noneIsForeign()
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
	return t.setStart(it)
}

// positionFor returns where reading a shard without a checkpoint begins. r is its row, or
// zero.
func (s start) positionFor(shardID string, r row) Position {
	if r.start != nil {
		return *r.start
	}
	return s.defaultPosition(shardID)
}

// defaultPosition returns where reading a shard with neither a checkpoint nor its own
// position begins.
func (s start) defaultPosition(shardID string) Position {
	if shardID > s.lastShard {
		return Position{kind: trimHorizon}
	}
	return s.position
}

// missingTable reports whether err is DynamoDB's error for a table that does not exist.
func missingTable(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing)
}
