package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"
)

func TestForeignRow(t *testing.T) {
	const before, first, within, last, after = "49599", "49600", "49650", "49700", "49800"
	f := func(name string, s listedShard, r row, streamRecreated, want bool) {
		t.Helper()
		if got := s.foreign(r, streamRecreated, time.Now()); got != "" != want {
			t.Errorf("%s: %q, want foreign: %v", name, got, want)
		}
	}
	open := listedShard{Shard: Shard{ID: shard0, First: first}}
	closed := listedShard{Shard: Shard{ID: shard0, First: first, Last: last, Closed: true}}
	f("the same shard", open, row{first: first, checkpoint: within}, false, false)
	f("another shard", open, row{first: before, checkpoint: before}, false, true)
	f("another shard, nothing acknowledged", open, row{first: before}, false, true)
	f("another shard, finished", closed, row{first: before, checkpoint: ShardEnd}, false, true)
	f("finished", closed, row{first: first, checkpoint: ShardEnd}, false, false)
	f("the same shard, a number that it does not have", closed, row{first: first, checkpoint: before}, false, false)
	f("an older row", open, row{checkpoint: within}, false, false)
	f("an older row, finished", closed, row{checkpoint: ShardEnd}, false, false)
	f("an older row, of an older stream", open, row{checkpoint: before}, false, true)
	f("an older row, behind the end", closed, row{checkpoint: after}, false, true)
	f("an older row, at the first number", open, row{checkpoint: first}, false, false)
	f("an older row, at the last number", closed, row{checkpoint: last}, false, false)
	f("a shorter number", open, row{checkpoint: "9999"}, false, true)
	f("leading zeros", closed, row{checkpoint: "000" + within}, false, false)
	f("not a number", open, row{checkpoint: "LATEST"}, false, false)
	f("the stream was recreated, an older row", closed, row{checkpoint: within}, true, true)
	f("the stream was recreated, an older row, finished", closed, row{checkpoint: ShardEnd}, true, true)
	f("the stream was recreated, nothing acknowledged", open, row{}, true, false)
	f("the stream was recreated, the row is of it", open, row{first: first, checkpoint: within}, true, false)
	f("the listing has no first number", listedShard{Shard: Shard{ID: shard0}}, row{first: before, checkpoint: before}, false, false)
	refused := open
	refused.refused = within
	f("Kinesis refuses the checkpoint", refused, row{first: first, checkpoint: within}, false, true)
	f("Kinesis refused another checkpoint", refused, row{first: first, checkpoint: "49651"}, false, false)
	reopened := open
	reopened.reopened, reopened.reopenedAt = goneAfter, time.Now().Add(-reopenedFor)
	f("open for a long time, finished", reopened, row{first: first, checkpoint: ShardEnd}, false, true)
	f("open for a long time, a checkpoint that was reset since", reopened, row{first: first, checkpoint: within}, false, false)
}

// A finished row is foreign if its shard is listed as open for long enough.
func TestOpenButFinished(t *testing.T) {
	f := func(name string, listings []Shard, apart time.Duration, want bool, unfinished ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := unconnected(t, "a")
			for i, s := range listings {
				checkpoint := ShardEnd
				if i < len(unfinished) {
					checkpoint = unfinished[i]
				}
				a.observe([]Shard{s}, map[string]row{shard0: {checkpoint: checkpoint, first: "1"}}, time.Now(), time.Now())
				time.Sleep(apart)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if got := a.snapshotLocked().cannotAcquire(shard0) == ""; got != want {
				t.Errorf("%s: it may be acquired: %v", name, got)
			}
		})
	}
	open, closed := Shard{ID: shard0, First: "1"}, Shard{ID: shard0, First: "1", Closed: true}
	f("for a minute", []Shard{open, open, open}, 30*time.Second, true)
	f("not for a minute", []Shard{open, open, open, open, open}, 10*time.Second, false)
	f("twice", []Shard{open, open}, 2*time.Minute, false)
	f("closed between", []Shard{open, open, closed, open, open}, 30*time.Second, false)
	f("closed", []Shard{closed, closed, closed}, 30*time.Second, false)
	f("finished recently", []Shard{open, open, open, open}, 30*time.Second, false, "2", "3", "4")
}

// When a stream is deleted and created again, the old rows are ignored for shards with the
// same ids: they are read from their oldest records, and their children after them.
func TestStreamCreatedAgain(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		of := func(created time.Time) Stream {
			return Stream{Name: "logs", ARN: "arn:aws:kinesis:us-east-1:1:stream/logs", Created: created}
		}
		start := func(worker string, stream Stream, lines *bytes.Buffer, shards ...Shard) *Table {
			return openTable(t, db, Config{Table: name, Worker: worker, LeaseDuration: leaseDuration, InitialPosition: Position{kind: latest}, Log: zerolog.New(lines)}, stream, lists(shards...))
		}
		finish := func(table *Table, id string) {
			lease := acquired(t, table, id)
			if err := lease.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := table.Release(id); err != nil {
				t.Fatal(err)
			}
		}
		first, second := time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_700_000_100_000)
		var lines bytes.Buffer
		before := []Shard{{ID: parent1, First: "10", Last: "19", Closed: true}, {ID: child, Parents: []string{parent1}, First: "20"}}
		a := start("a", of(first), &lines, before...)
		finish(a, parent1)
		resync(t, a)
		lease := acquired(t, a, child)
		lease.Acknowledge("25")
		if err := a.Release(child); err != nil {
			t.Fatal(err)
		}
		a.Close()

		lines.Reset()
		after := []Shard{{ID: parent1, First: "110", Last: "119", Closed: true}, {ID: child, Parents: []string{parent1}, First: "120"}}
		b := start("b", of(second), &lines, after...)
		if n := strings.Count(lines.String(), "created again"); n != 1 {
			t.Errorf("%d lines: %s", n, &lines)
		}
		notAcquired(t, b, child) // its parent is not read yet
		lease = acquired(t, b, parent1)
		if start, got := lease.Start().String(), lease.Checkpoint(); start != "TRIM_HORIZON" || got != "" {
			t.Errorf("%s begins at %s, checkpoint %q", parent1, start, got)
		}
		if r, _ := rowOf(t, db, name, parent1); r.epoch != 2 || r.first != "110" {
			t.Errorf("renewed: %+v", r)
		}
		if !b.start.streamRecreated {
			t.Error("the creation time is written before the rows are reset")
		}
		if err := lease.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Release(parent1); err != nil {
			t.Fatal(err)
		}
		resync(t, b)
		lease = acquired(t, b, child)
		if start, got := lease.Start().String(), lease.Checkpoint(); start != "TRIM_HORIZON" || got != "" {
			t.Errorf("%s begins at %s, checkpoint %q", child, start, got)
		}
		lease.Acknowledge("125")
		resync(t, b)
		if b.start.streamRecreated {
			t.Error("the creation time is not written")
		}
		if err := b.Release(child); err != nil {
			t.Fatal(err)
		}
		b.Close()
		lines.Reset()
		c := start("c", of(second), &lines, after...)
		if got := acquired(t, c, child).Checkpoint(); got != "125" {
			t.Errorf("begins again at %q", got)
		}
		if strings.Contains(lines.String(), `"level":"error"`) {
			t.Errorf("logged: %s", &lines)
		}
	})
}

// When a stream is created again while a worker runs, the lease ends and is acquired again.
func TestStreamCreatedAgainWhileWorkerRuns(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0, First: "10"})
		lease := acquired(t, a, shard0)
		lease.Acknowledge("15")
		if err := a.Sync(t.Context(), lists(Shard{ID: shard0, First: "110"})); err != nil {
			t.Fatal(err)
		}
		if lease.Reading().Err() == nil {
			t.Fatal("the shard of the old stream is still read")
		}
		b := open(t, db, name, "b", Shard{ID: shard0, First: "110"})
		notAcquired(t, b, shard0) // a lives
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		resync(t, b)
		if got := acquired(t, b, shard0).Checkpoint(); got != "" {
			t.Errorf("begins at %q", got)
		}
		if r, _ := rowOf(t, db, name, shard0); r.epoch != 2 || r.first != "110" || r.checkpoint != "" {
			t.Errorf("renewed: %+v", r)
		}
	})
}

// Values in the row of another stream are not shown for the shard with the same id.
func TestViewOfForeignRow(t *testing.T) {
	old := time.Now().Add(-72 * time.Hour)
	v := &View{rows: map[string]row{shard0: {first: "10", checkpoint: "15", reading: readState{through: old, at: old, rate: 2}, gaps: Gaps{Count: 1, From: old, To: old}}}}
	r := v.Rows([]Shard{{ID: shard0, First: "110"}})[0]
	if r.State != StateForeign || r.Checkpoint != "" || r.Start.String() != "TRIM_HORIZON" || r.Gaps.Count != 0 || !r.ReadThrough.IsZero() || r.Unread(time.Now()) != 0 {
		t.Errorf("%+v", r)
	}
}

// A shard of the first start that was never read counts as read at that start. A later shard
// has no such time, and a shard that was read has its own.
func TestViewOfUnreadShard(t *testing.T) {
	begun, read := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute)
	v := &View{
		rows:  map[string]row{shard0: {}, parent1: {reading: readState{at: read}}, parent2: {}},
		first: start{position: Position{kind: trimHorizon}, at: begun, lastShard: parent1},
	}
	want := map[string]time.Time{shard0: begun, parent1: read, parent2: {}}
	for _, r := range v.Rows(nil) {
		if !r.ReadAt.Equal(want[r.ID]) {
			t.Errorf("%s was read at %s, want %s", r.ID, r.ReadAt, want[r.ID])
		}
	}
}

// The finished row of an open shard belongs to another stream, and the shard's children wait
// for it. Without a listing, a child waits for the row of its parent.
func TestViewOfOpenButFinished(t *testing.T) {
	f := func(what string, parentRow row, shards []Shard, parent, child State) {
		t.Helper()
		v := &View{rows: map[string]row{shard0: parentRow, parent1: {parents: []string{shard0}}}}
		got := map[string]State{}
		for _, r := range v.Rows(shards) {
			got[r.ID] = r.State
		}
		if got[shard0] != parent || got[parent1] != child {
			t.Errorf("%s: the parent is %q, the child %q", what, got[shard0], got[parent1])
		}
	}
	listed := func(closed bool) []Shard {
		return []Shard{{ID: shard0, Closed: closed}, {ID: parent1, Parents: []string{shard0}}}
	}
	finished := row{checkpoint: ShardEnd}
	f("open", finished, listed(false), StateForeign, StateWaiting)
	f("closed", finished, listed(true), StateFinished, StateFree)
	f("closed and unfinished", row{}, listed(true), StateFree, StateWaiting)
	f("not listed", finished, nil, StateFinished, StateFree)
	f("not listed and unfinished", row{}, nil, StateFree, StateWaiting)
}

// CheckStream fails for a table of another stream.
func TestViewOfAnotherStream(t *testing.T) {
	const arn = "arn:aws:kinesis:us-east-1:1:stream/"
	v := &View{table: "t", first: start{stream: arn + "logs"}}
	if err := v.CheckStream(Stream{Name: "logs", ARN: arn + "logs"}); err != nil {
		t.Error(err)
	}
	var other *OtherStreamError
	if err := v.CheckStream(Stream{Name: "other", ARN: arn + "other"}); !errors.As(err, &other) {
		t.Errorf("%v", err)
	}
}

// A checkpoint that Kinesis rejects is dropped with the next lease.
func TestRefusedCheckpoint(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0, First: "10"})
		putRow(t, db, name, item{attrShard: str(shard0), attrFirst: str("10"), attrCheckpoint: str("15")})
		resync(t, a)
		lease := acquired(t, a, shard0)
		lease.CheckpointRefused()
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		resync(t, a)
		if got := acquired(t, a, shard0); got.Checkpoint() != "" || got.Start().String() != "TRIM_HORIZON" {
			t.Errorf("begins at %q, %s", got.Checkpoint(), got.Start())
		}
	})
}

// A table of another stream is rejected, whether the streams are known by name or ARN.
func TestOtherStream(t *testing.T) {
	const arn = "arn:aws:kinesis:us-east-1:1:stream/"
	f := func(recorded, requested Stream, same bool) {
		t.Helper()
		onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
			name := tableName()
			start := func(worker string, stream Stream) error {
				position, _ := ParsePosition("LATEST")
				table, err := New(Config{Table: name, Worker: worker, LeaseDuration: leaseDuration, InitialPosition: position, Log: zerolog.Nop()}, db)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(table.Close)
				return table.Open(t.Context(), stream, lists())
			}
			if err := start("a", recorded); err != nil {
				t.Fatal(err)
			}
			err := start("b", requested)
			other, refused := errors.AsType[*OtherStreamError](err)
			if refused == same || err != nil && !refused {
				t.Errorf("%s after %s: %v", requested, recorded, err)
			}
			if refused && (other.Recorded != recorded.String() || other.Requested != requested) {
				t.Errorf("%s after %s: %+v", requested, recorded, other)
			}
		})
	}
	logs, other := Stream{Name: "logs", ARN: arn + "logs"}, Stream{Name: "other", ARN: arn + "other"}
	f(logs, logs, true)
	f(logs, other, false)
	f(logs, Stream{Name: "logs", ARN: "arn:aws:kinesis:us-east-1:2:stream/logs"}, false) // of another account
	f(logs, Stream{Name: "logs"}, true)
	f(logs, Stream{Name: "other"}, false)
	f(Stream{Name: "logs"}, logs, true)
	f(Stream{Name: "logs"}, other, false)
	f(Stream{Name: "logs"}, Stream{Name: "other"}, false)
}

// Tables that are older than the attributes of the stream keep their checkpoints and get the
// attributes.
func TestOlderTableIsCompleted(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		open(t, db, name, "creator").Close()
		if _, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &name, Key: item{attrShard: str(startKey)},
			UpdateExpression: aws.String("REMOVE " + attrStream + ", " + attrCreated + ", " + attrDomain + ", " + attrPrefix)}); err != nil {
			t.Fatal(err)
		}
		putRow(t, db, name, item{attrShard: str(parent1), attrCheckpoint: str(ShardEnd), attrEpoch: num(3), attrCounter: num(4)})
		putRow(t, db, name, item{attrShard: str(child), attrCheckpoint: str("25"), attrEpoch: num(1), attrCounter: num(4)})
		created := time.UnixMilli(1_700_000_000_000)
		var lines bytes.Buffer
		shards := []Shard{{ID: parent1, First: "10", Last: "19", Closed: true}, {ID: child, Parents: []string{parent1}, First: "20"}}
		a := openTable(t, db, Config{Table: name, Domain: "search.example.com", IndexPrefix: "logs",
			Worker: "a", LeaseDuration: leaseDuration, InitialPosition: Position{kind: latest}, Log: zerolog.New(&lines)},
			Stream{Name: "logs", ARN: "arn:aws:kinesis:us-east-1:1:stream/logs", Created: created}, lists(shards...))
		resync(t, a)
		if got := acquired(t, a, child).Checkpoint(); got != "25" {
			t.Errorf("begins at %q", got)
		}
		for id, want := range map[string]string{parent1: "10", child: "20"} {
			if r, _ := rowOf(t, db, name, id); r.first != want {
				t.Errorf("%s: %+v", id, r)
			}
		}
		if r, _ := rowOf(t, db, name, parent1); !r.finished() || r.epoch != 3 {
			t.Errorf("%s: %+v", parent1, r)
		}
		got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: item{attrShard: str(startKey)}, ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		for attribute, want := range map[string]string{attrStream: "arn:aws:kinesis:us-east-1:1:stream/logs", attrCreated: "1700000000000", attrDomain: "search.example.com", attrPrefix: "logs"} {
			if value := text(got.Item[attribute]); value != want {
				t.Errorf("%s is %q", attribute, value)
			}
		}
		if strings.Contains(lines.String(), `"level":"error"`) {
			t.Errorf("logged: %s", &lines)
		}
	})
}

// Two workers of one table that write to different destinations are reported once.
func TestOtherDestination(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		var lines bytes.Buffer
		start := func(worker, domain, prefix string) *Table {
			return openTable(t, db, Config{Table: name, Domain: domain, IndexPrefix: prefix,
				Worker: worker, LeaseDuration: leaseDuration, InitialPosition: Position{kind: latest}, Log: zerolog.New(&lines)}, Stream{Name: "logs"}, lists())
		}
		a := start("a", "one.example.com", "app")
		resync(t, a)
		start("b", "one.example.com", "app")
		resync(t, a)
		if strings.Contains(lines.String(), `"level":"warn"`) {
			t.Errorf("logged: %s", &lines)
		}
		start("c", "two.example.com", "web")
		for range 3 {
			resync(t, a)
		}
		for _, want := range []string{"two.example.com", "OPENSEARCH_URL", `"theirs":"web"`, "INDEX_PREFIX"} {
			if n := strings.Count(lines.String(), want); n != 1 {
				t.Errorf("%q is logged %d times: %s", want, n, &lines)
			}
		}
	})
}

// A worker with the same name as another running worker logs this once.
func TestNameOfALivingWorker(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		open(t, db, name, "w", Shard{ID: shard0}, Shard{ID: parent1})
		first := open(t, db, name, "w", Shard{ID: shard0}, Shard{ID: parent1})
		acquired(t, first, shard0)
		var lines bytes.Buffer
		second := open(t, db, name, "w", Shard{ID: shard0}, Shard{ID: parent1})
		second.cfg.Log = zerolog.New(&lines)
		eventually(t, "it is reported", func() bool {
			resync(t, second)
			return strings.Contains(lines.String(), "WORKER_ID")
		})
		before := first.Lease(shard0).epoch
		time.Sleep(leaseDuration)
		resync(t, second)
		if n := strings.Count(lines.String(), "WORKER_ID"); n != 1 || !strings.Contains(lines.String(), shard0) {
			t.Errorf("%d lines: %s", n, &lines)
		}
		if r, _ := rowOf(t, db, name, shard0); r.epoch != before {
			t.Errorf("the lease has another owner: %+v", r)
		}
	})
}

// When the table is deleted while workers run, held shards continue, and no records of the
// other shards are skipped.
func TestTableDeleted(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		shards := []Shard{{ID: shard0, First: "1"}, {ID: parent1, First: "2"}}
		a := openAt(t, db, name, "a", "LATEST", shards...)
		b := openAt(t, db, name, "b", "LATEST", shards...)
		lease := acquired(t, a, shard0)
		lease.Acknowledge("7")
		acquired(t, b, parent1).Acknowledge("8")
		if err := b.Release(parent1); err != nil {
			t.Fatal(err)
		}
		resync(t, a)
		var lines bytes.Buffer
		a.cfg.Log = zerolog.New(&lines)
		b.cfg.Log = a.cfg.Log
		if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a creates the table again", func() bool {
			err := a.Sync(t.Context(), lists(shards...))
			return err == nil
		})
		resync(t, b)
		eventually(t, "the checkpoint is written again", func() bool {
			r, _ := rowOf(t, db, name, shard0)
			return r.owner == "a" && r.checkpoint == "7" && r.epoch == 1 && r.first == "1"
		})
		if lease.Context().Err() != nil {
			t.Error("the lease is lost")
		}
		notAcquired(t, b, parent1)
		eventually(t, "the other shard is leased", func() bool {
			resync(t, b)
			return tick(b, parent1) == nil
		})
		if got := b.Lease(parent1); got.Checkpoint() != "" || got.Start().String() != "TRIM_HORIZON" {
			t.Errorf("begins at %q, %s", got.Checkpoint(), got.Start())
		}
		if n := strings.Count(lines.String(), "was deleted"); n != 2 { // one per worker
			t.Errorf("%d lines: %s", n, &lines)
		}
		shards = append(shards, Shard{ID: parent2, First: "3"})
		c := openAt(t, db, name, "c", "LATEST", shards...)
		if p := c.start.defaultPosition(parent2); p.String() != "TRIM_HORIZON" {
			t.Errorf("a worker that starts later begins at %s", p)
		}
		notAcquired(t, c, parent2) // its holder may not have written its row yet
	})
}

// A worker that mistakes a recreated table for a new one does not prevent the holder of a lease
// from writing its checkpoint.
func TestTableDeletedAndWorkerStarts(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0})
		acquired(t, a, shard0)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		resync(t, a)
		acquired(t, a, shard0).Acknowledge("7")
		time.Sleep(time.Millisecond) // b starts at a different time than a
		if _, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		b := openAt(t, db, name, "b", "LATEST", Shard{ID: shard0})
		acquired(t, b, shard0)
		eventually(t, "a observes it", func() bool {
			resync(t, a)
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.start.recreated != ""
		})
		eventually(t, "the holder has restored its row", func() bool {
			r, _ := rowOf(t, db, name, shard0)
			return r.owner == "a" && r.checkpoint == "7" && r.epoch == 2
		})
	})
}

// A shard with the row of another stream is unread since the earliest time at which the stream
// may have been created again, but not since before its creation time.
func TestUnreadOfAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := unconnected(t, "a")
		old := time.Now().Add(-time.Hour)
		rows := map[string]row{shard0: {first: "10", checkpoint: ShardEnd, reading: readState{through: old}}}
		a.observe([]Shard{{ID: shard0, First: "10", Closed: true}}, rows, time.Now(), time.Now())
		if all := a.ReadStatuses(); len(all) > 0 {
			t.Errorf("a finished shard is shown: %+v", all)
		}
		time.Sleep(time.Minute)
		a.observe([]Shard{{ID: shard0, First: "110"}}, rows, time.Now(), time.Now())
		time.Sleep(10 * time.Second)
		if all := a.ReadStatuses(); len(all) != 1 || all[0].Lag != 70*time.Second {
			t.Errorf("%+v", all)
		}
		a.start.at, a.start.lastShard = old, shard0
		if all := a.ReadStatuses(); len(all) != 1 || all[0].Lag != 70*time.Second {
			t.Errorf("created after the last listing: %+v", all)
		}
		b := unconnected(t, "b") // it has not listed the earlier shard
		b.observe([]Shard{{ID: shard0, First: "110"}}, nil, time.Now(), time.Now())
		b.start.at, b.start.lastShard = old, shard0
		if all := b.ReadStatuses(); len(all) != 1 || all[0].Lag < time.Hour {
			t.Errorf("never read since the first start: %+v", all)
		}
		b.stream.Created = time.Now().Add(-30 * time.Second)
		if all := b.ReadStatuses(); len(all) != 1 || all[0].Lag != 30*time.Second {
			t.Errorf("older than the stream: %+v", all)
		}
	})
}

// A row that was read after the shards were listed may belong to a later stream: it is not
// reset before the next listing.
func TestRowIsLaterThanListing(t *testing.T) {
	a := unconnected(t, "a")
	a.observe([]Shard{{ID: shard0, First: "10"}}, map[string]row{shard0: {first: "10", checkpoint: "15", epoch: 1, counter: 1}}, time.Now(), time.Now())
	time.Sleep(time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noteRow(shard0, row{first: "110", epoch: 2, counter: 3}, time.Now())
	refusal := func() string { return a.snapshotLocked().cannotAcquire(shard0) }
	if refusal() == "" {
		t.Error("the row of a later stream may be reset after an older listing")
	}
	a.listing = time.Now().Add(time.Millisecond)
	if why := refusal(); why != "" {
		t.Errorf("after another listing: %s", why)
	}
}

// A late request of this worker does not indicate another worker with the same name, but the
// following renewals do.
func TestLateRequestIsNotAnotherWorker(t *testing.T) {
	a := unconnected(t, "a")
	var lines bytes.Buffer
	a.cfg.Log = zerolog.New(&lines)
	a.observe([]Shard{{ID: shard0}}, map[string]row{shard0: {owner: "a", epoch: 2, counter: 5}}, time.Now(), time.Now())
	time.Sleep(time.Millisecond)
	a.observe([]Shard{{ID: shard0}}, map[string]row{shard0: {owner: "a", epoch: 2, counter: 6}}, time.Now(), time.Now())
	if strings.Contains(lines.String(), "WORKER_ID") {
		t.Error(lines.String())
	}
	later := time.Now().Add(a.cfg.LeaseDuration)
	a.observe([]Shard{{ID: shard0}}, map[string]row{shard0: {owner: "a", epoch: 2, counter: 7}}, later, later)
	if !strings.Contains(lines.String(), "WORKER_ID") {
		t.Error("another worker is not reported")
	}
}
