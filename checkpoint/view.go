package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The lease table as the command leases and doctor show it: read once, and evaluated with
// the rules that workers follow.

// ErrNoTable is returned when the lease table does not exist.
var ErrNoTable = errors.New("the lease table does not exist")

// State is the state of a shard's lease.
type State string

// States of a shard.
const (
	StateActive     State = "active"      // a worker owns it
	StateClaimed    State = "claimed"     // it is being handed off to another worker
	StateFree       State = "free"        // no worker owns it
	StateFailing    State = "failing"     // it cannot be read and is retried
	StateWaiting    State = "waiting"     // a parent is not finished
	StateNotStarted State = "not started" // Kinesis lists it, but the table has no row
	StateFinished   State = "finished"
	StateForeign    State = "other stream" // its row belongs to another stream: the next owner reads it from its oldest record
	StateExpired    State = "expired"      // unfinished, and Kinesis no longer has it
)

// Row describes one shard and its lease.
type Row struct {
	Shard
	State   State
	Owner   string // "" if none
	Claimer string // the worker that has claimed it, "" if none
	// FailedBy is the worker that last failed to read the shard if it is failing.
	FailedBy   string
	Checkpoint string // sequence number, SHARD_END, or "" if it has none
	// Start is where reading begins without a checkpoint.
	Start Position
	// LastHeartbeat is when the current or last owner acquired or last renewed the lease, by its own
	// clock. It is zero if the row does not record it. For people only.
	LastHeartbeat time.Time
	// ReadThrough is the time up to which every record is read and acknowledged, and ReadAt
	// that of the last answer to a read, both by Kinesis' clock. They are zero if the row does
	// not record them.
	ReadThrough, ReadAt time.Time
	// ReadRate is how many seconds of the stream were last read per second, 0 if unknown.
	ReadRate float64
	// Gaps are the intervals in which records may have expired unread.
	Gaps Gaps
}

// Unread returns the time since Kinesis last answered a read of a shard that should be
// read, 0 if unknown. now is by Kinesis' clock.
func (r Row) Unread(now time.Time) time.Duration {
	switch r.State {
	case StateFinished, StateExpired, StateWaiting:
		return 0
	}
	if r.ReadAt.IsZero() {
		return 0
	}
	return max(now.Sub(r.ReadAt), 0)
}

// View is the lease table at one moment, for commands, which take no leases.
type View struct {
	db    DynamoDB
	table string
	rows  map[string]row
	first start
}

// viewTimeout bounds one request or one scan of a command.
const viewTimeout = 30 * time.Second

// ReadView reads the lease table. It returns ErrNoTable if the table does not exist.
func ReadView(ctx context.Context, db DynamoDB, table string) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	// A table without a first start was created by vmware-go-kcl-v2.
	v := &View{db: db, table: table, rows: make(map[string]row), first: start{position: Position{kind: trimHorizon}}}
	var invalid error
	err := scanTable(ctx, db, table, true, func(id string, it item) {
		if id != startKey {
			v.rows[id] = readRow(it)
			return
		}
		v.first, invalid = readStart(table, it)
	})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return nil, fmt.Errorf("%s: %w", table, ErrNoTable)
	case err != nil:
		return nil, err
	case invalid != nil:
		return nil, invalid
	}
	return v, nil
}

// CheckStream returns *OtherStreamError if the table belongs to another stream.
func (v *View) CheckStream(stream Stream) error {
	if !stream.is(v.first.stream) {
		return &OtherStreamError{Table: v.table, Recorded: v.first.stream, Requested: stream}
	}
	return nil
}

// Rows returns the shards of the table and those that Kinesis lists, sorted by id. shards is
// nil without a listing: then only the shards of the table are returned.
func (v *View) Rows(shards []Shard) []Row {
	return v.rowsOf(snapshotOf(v.rows, shards))
}

func (v *View) rowsOf(snap *snapshot) []Row {
	rows := make([]Row, 0, len(snap.shards))
	for _, id := range slices.Sorted(maps.Keys(snap.shards)) {
		if s := snap.shards[id]; s.seen.exists || s.isListed() {
			rows = append(rows, v.row(snap, s))
		}
	}
	return rows
}

func (v *View) row(snap *snapshot, s *shardState) Row {
	seen := s.seen
	r := Row{
		Shard:         s.listed.Shard,
		Owner:         seen.owner,
		Claimer:       seen.claim,
		Checkpoint:    seen.checkpoint,
		Start:         v.first.positionFor(s.listed.ID, seen.row),
		LastHeartbeat: seen.lastHeartbeat(),
		ReadThrough:   seen.reading.through,
		ReadAt:        seen.reading.at,
		ReadRate:      seen.reading.rate,
		Gaps:          seen.gaps,
		State:         snap.state(s),
	}
	if r.ReadAt.IsZero() && r.ID <= v.first.lastShard {
		r.ReadAt = v.first.at
	}
	if seen.failing() {
		r.FailedBy = seen.failedBy
	}
	if r.State == StateForeign {
		// Except for its owner, the row describes the other stream.
		r.Start = Position{kind: trimHorizon}
		r.Checkpoint, r.ReadThrough, r.ReadAt, r.ReadRate, r.Gaps = "", time.Time{}, time.Time{}, 0, Gaps{}
	}
	return r
}

// state returns the state of a shard's lease.
func (snap *snapshot) state(s *shardState) State {
	switch {
	case snap.foreign(s) != "":
		return StateForeign
	case s.seen.finished():
		return StateFinished
	case s.isGone():
		return StateExpired
	case s.seen.failing():
		return StateFailing
	case s.seen.claim != "":
		return StateClaimed
	case s.seen.owner != "":
		return StateActive
	case snap.waitsFor(s.listed.Shard) != "":
		return StateWaiting
	case !s.seen.exists:
		return StateNotStarted
	}
	return StateFree
}
