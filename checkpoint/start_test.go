package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"
)

const logsARN = "arn:aws:kinesis:us-east-1:1:stream/logs"

// openStream opens a stream's table for a worker.
func openStream(t *testing.T, db DynamoDB, name, worker string, stream Stream, shards ...Shard) *Table {
	t.Helper()
	return openTable(t, db, Config{Table: name, Worker: worker, LeaseDuration: leaseDuration, InitialPosition: Position{kind: latest}, Log: zerolog.Nop()}, stream, lists(shards...))
}

// A worker that knows the stream's ARN or creation time adds it to the table. A worker that
// does not know it leaves it unchanged.
func TestStreamAttributes(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	name, arn := Stream{Name: "logs"}, Stream{Name: "logs", ARN: logsARN}
	since := Stream{Name: "logs", ARN: logsARN, Created: created}
	f := func(starts []Stream, wantStream, wantCreated string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			db, table := fakeDB(), tableName()
			for _, s := range starts {
				openStream(t, db, table, "w", s)
			}
			row := rawRow(t, db, table, startKey)
			_, hasCreated := row[attrCreated]
			if text(row[attrStream]) != wantStream || text(row[attrCreated]) != wantCreated || hasCreated != (wantCreated != "") {
				t.Errorf("after %+v: %v", starts, row)
			}
		})
	}
	f([]Stream{name}, "logs", "")
	f([]Stream{name, name}, "logs", "")
	f([]Stream{arn, name}, logsARN, "")
	f([]Stream{name, arn}, logsARN, "")
	f([]Stream{arn, since}, logsARN, "1700000000000")
	f([]Stream{since, name}, logsARN, "1700000000000")
	f([]Stream{{}, name}, "logs", "")
}

// A worker that does not know the creation time does not take the stream for another one.
func TestUnknownCreation(t *testing.T) {
	f := func(mine time.Time, recorded string, streamRecreated bool) {
		t.Helper()
		a := unconnected(t, "a")
		a.stream = Stream{Name: "logs", Created: mine}
		if err := a.setStart(item{attrStartPosition: str(trimHorizon), attrCreated: str(recorded)}); err != nil || a.start.streamRecreated != streamRecreated {
			t.Errorf("created %s, recorded %q: created again: %v, %v", mine, recorded, a.start.streamRecreated, err)
		}
	}
	at := time.UnixMilli(1000)
	f(at, "1000", false)
	f(time.UnixMilli(2000), "1000", true)
	f(time.UnixMilli(10_000), "9000", true)
	f(at, "2000", false) // written by a worker that started later
	f(at, "", false)
	f(time.Time{}, "1000", false)
}

// Shards that were listed at the first start begin at the initial position, whatever the order
// of the listing. Later shards begin at their oldest records.
func TestShardsOfTheFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openAt(t, fakeDB(), tableName(), "a", "LATEST", Shard{ID: child}, Shard{ID: shard0}, Shard{ID: parent1})
		for _, id := range []string{shard0, parent1, child} {
			if p := a.start.defaultPosition(id); p.kind != atTimestamp {
				t.Errorf("%s begins at %s", id, p)
			}
		}
		if p := a.start.defaultPosition("shardId-999999999999"); p.kind != trimHorizon {
			t.Errorf("a later shard begins at %s", p)
		}
	})
}

// updateStart takes changes of the row by other workers into account.
func TestUpdateStart(t *testing.T) {
	f := func(name string, change func(t *testing.T, db *faultyDB, table string), check func(err error) bool, wantStream string) {
		t.Helper()
		for _, seen := range []string{"logs", ""} {
			synctest.Test(t, func(t *testing.T) {
				db, table := &faultyDB{Client: fakeDB()}, tableName()
				a := openStream(t, db, table, "a", Stream{Name: "logs"})
				change(t, db, table)
				if err := a.updateStart(t.Context(), start{stream: seen}); !check(err) {
					t.Errorf("%s, read with stream %q: %v", name, seen, err)
				}
				if recorded := text(rawRow(t, db.Client, table, startKey)[attrStream]); recorded != wantStream {
					t.Errorf("%s, read with stream %q: the row has %q", name, seen, recorded)
				}
			})
		}
	}
	set := func(stream string) func(*testing.T, *faultyDB, string) {
		return func(t *testing.T, db *faultyDB, table string) {
			putRow(t, db.Client, table, item{attrShard: str(startKey), attrStartPosition: str(trimHorizon), attrStream: str(stream)})
		}
	}
	ok := func(err error) bool { return err == nil }
	f("as it was", func(*testing.T, *faultyDB, string) {}, ok, "logs")
	f("another worker knew the ARN", set(logsARN), ok, logsARN)
	f("another stream", set("other"), func(err error) bool {
		other, is := errors.AsType[*OtherStreamError](err)
		return is && other.Recorded == "other" && other.Requested.Name == "logs"
	}, "other")
	f("deleted", func(t *testing.T, db *faultyDB, table string) {
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(startKey)}}); err != nil {
			t.Fatal(err)
		}
	}, func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "was deleted in the meantime")
	}, "")
	f("no answer", func(_ *testing.T, db *faultyDB, _ string) { db.inject(unanswered) }, func(err error) bool { return errors.Is(err, errBroken) }, "logs")
}

func unanswered(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	return nil, errBroken
}

// The creation time of a stream that was created again is written once, and never overwrites
// that of a later one.
func TestCreationIsWrittenOnce(t *testing.T) {
	created := func(n int64) Stream { return Stream{Name: "logs", ARN: logsARN, Created: time.UnixMilli(n)} }
	f := func(name string, change func(t *testing.T, db *faultyDB, table string), want string, wantWrites int64, wantErr error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			db, table := &faultyDB{Client: fakeDB()}, tableName()
			openStream(t, db, table, "a", created(1000))
			b := openStream(t, db, table, "b", created(2000))
			if !b.start.streamRecreated {
				t.Fatalf("%s: the stream does not count as created again", name)
			}
			change(t, db, table)
			before := db.writes.Load()
			for range 3 {
				if err := b.writeCreation(t.Context()); !errors.Is(err, wantErr) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if n := db.writes.Load() - before; n != wantWrites {
				t.Errorf("%s: %d writes", name, n)
			}
			if recorded := text(rawRow(t, db.Client, table, startKey)[attrCreated]); recorded != want {
				t.Errorf("%s: %s is written", name, recorded)
			}
		})
	}
	f("as it was", func(*testing.T, *faultyDB, string) {}, "2000", 1, nil)
	f("a later one is written", func(t *testing.T, db *faultyDB, table string) {
		it := rawRow(t, db.Client, table, startKey)
		it[attrCreated] = str("3000")
		putRow(t, db.Client, table, it)
	}, "3000", 1, nil)
	f("the row was deleted", func(t *testing.T, db *faultyDB, table string) {
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(startKey)}}); err != nil {
			t.Fatal(err)
		}
	}, "", 3, nil)
	f("no answer", func(_ *testing.T, db *faultyDB, _ string) { db.inject(unanswered) }, "1000", 3, errBroken)
}

// A lease is not acquired if the row has changed since it was observed.
func TestAcquireChangedRow(t *testing.T) {
	f := func(name string, seen, change item, want bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			db, table := fakeDB(), tableName()
			a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0, First: "10"})
			put := func(change item) {
				it := item{attrShard: str(shard0), attrEpoch: num(1), attrCounter: num(1), attrCheckpoint: str("15")}
				for attribute, value := range change {
					it[attribute] = value
				}
				putRow(t, db, table, it)
			}
			put(seen)
			resync(t, a)
			if change != nil {
				put(change)
			} else if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
				t.Fatal(err)
			}
			if err := tick(a, shard0); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
			if owned := text(rawRow(t, db, table, shard0)[attrOwner]) == "a"; owned != want {
				t.Errorf("%s: owned: %v", name, owned)
			}
			time.Sleep(time.Second)
		})
	}
	first := func(n string) item { return item{attrFirst: str(n)} }
	f("as it was", first("10"), first("10"), true)
	f("an older row", item{}, item{}, true)
	f("deleted", first("10"), nil, false)
	f("an older row, deleted", item{}, nil, false)
	f("finished", first("10"), item{attrFirst: str("10"), attrCheckpoint: str("SHARD_END")}, false)
	f("taken", first("10"), item{attrFirst: str("10"), attrOwner: str("b"), attrEpoch: num(2)}, false)
	f("another shard's", first("9"), first("9"), true)
	f("another shard's, finished", item{attrFirst: str("9"), attrCheckpoint: str("SHARD_END")}, item{attrFirst: str("9"), attrCheckpoint: str("SHARD_END")}, true)
	f("another shard's, renewed since", first("9"), first("10"), false)
	f("an older row, renewed since", item{}, first("10"), false)
}

// When a foreign row is acquired, all attributes of the other shard are removed.
func TestForeignRowIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "10"})
		old := item{attrShard: str(shard0), attrFirst: str("9"), attrEpoch: num(3), attrCounter: num(4), attrCheckpoint: str("15"), attrStartPosition: str(atTimestamp), attrStartTimestamp: num(5),
			attrFailures: num(1), attrFailedBy: str("b"), attrFailingSince: str("2026-01-31T09:00:00Z"), attrReadThrough: num(6), attrReadAt: num(7), attrReadRate: num(8), attrGaps: num(1), attrGapFrom: num(2), attrGapTo: num(3)}
		putRow(t, db, name, old)
		lease := acquired(t, a, shard0)
		renewed := rawRow(t, db, name, shard0)
		for attribute := range renewed {
			switch attribute {
			case attrShard, attrOwner, attrTimeout, attrDuration:
			case attrEpoch, attrCounter, attrFirst, attrStartPosition, attrReadThrough:
				if text(renewed[attribute]) == text(old[attribute]) {
					t.Errorf("%s is %s", attribute, text(renewed[attribute]))
				}
			default:
				t.Errorf("%s is left: %s", attribute, text(renewed[attribute]))
			}
		}
		if lease.Start().kind != trimHorizon || lease.epoch != 4 {
			t.Errorf("start %s, epoch %d", lease.Start(), lease.epoch)
		}
		// A worker that starts later also knows since when it is unread.
		since := lease.UnreadSince()
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		b := openAt(t, db, name, "b", "LATEST", Shard{ID: shard0, First: "10"})
		if got := acquired(t, b, shard0).UnreadSince(); !got.Equal(since) {
			t.Errorf("unread since %s, want %s", got, since)
		}
	})
}

// The first number is not written if the listing has none.
func TestUnknownFirstNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0})
		acquired(t, a, shard0)
		if row := rawRow(t, db, name, shard0); row[attrFirst] != types.AttributeValue(nil) {
			t.Errorf("%v", row)
		}
	})
}

// The reading of a shard with a foreign row ends, with one log line. Other shards continue.
func TestStopForeign(t *testing.T) {
	a := unconnected(t, "a")
	var lines bytes.Buffer
	a.cfg.Log = zerolog.New(&lines)
	for _, id := range []string{shard0, parent1} {
		reading, stop := context.WithCancel(t.Context())
		defer stop()
		a.shards.state(id).lease = &Lease{table: a, shard: id, ctx: t.Context(), reading: reading, stopReading: stop}
	}
	rows := map[string]row{shard0: {first: "10", owner: "a"}, parent1: {first: "20", owner: "a"}}
	for range 2 {
		a.observe([]Shard{{ID: shard0, First: "110"}, {ID: parent1, First: "20"}}, rows, time.Now(), time.Now())
	}
	if a.shards[shard0].lease.reading.Err() == nil || a.shards[parent1].lease.reading.Err() != nil {
		t.Errorf("%s: %v, %s: %v", shard0, a.shards[shard0].lease.reading.Err(), parent1, a.shards[parent1].lease.reading.Err())
	}
	if n := strings.Count(lines.String(), "belongs to another stream"); n != 1 {
		t.Errorf("%d lines: %s", n, &lines)
	}
}

// A foreign finished row counts as finished once Kinesis has no shard with its id.
func TestForeignRowOfAShardThatIsGone(t *testing.T) {
	a := unconnected(t, "a")
	rows := map[string]row{shard0: {first: "10", checkpoint: "SHARD_END"}}
	f := func(name string, shards []Shard, want bool) {
		t.Helper()
		a.observe(shards, rows, time.Now(), time.Now())
		if a.snapshotLocked().isFinished(a.shards.get(shard0)) != want {
			t.Errorf("%s: finished: %v", name, !want)
		}
	}
	f("listed", []Shard{{ID: shard0, First: "110"}}, false)
	f("not listed", []Shard{{ID: parent1}}, false)
	f("not listed twice", []Shard{{ID: parent1}}, false)
	f("gone", []Shard{{ID: parent1}}, true)
}

// Older workers recorded no destination: this is not reported as a different one.
func TestNoOtherDestination(t *testing.T) {
	a := unconnected(t, "a")
	a.cfg.Domain, a.cfg.IndexPrefix = "search.example.com", "logs"
	var lines bytes.Buffer
	a.cfg.Log = zerolog.New(&lines)
	a.warnOfOtherDestination(nil)
	a.warnOfOtherDestination(item{attrShard: str(startKey)})
	if lines.Len() > 0 {
		t.Errorf("logged: %s", &lines)
	}
}

// If a row with this worker's name changes although this worker does not hold its lease,
// another worker has the same name. A row that this worker renews or acquires is ignored.
func TestRowInTheNameOfThisWorker(t *testing.T) {
	f := func(name string, before, after row, held, want bool) {
		t.Helper()
		a := unconnected(t, "a")
		var lines bytes.Buffer
		a.cfg.Log = zerolog.New(&lines)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.noteRow(shard0, before, time.Now())
		if held {
			a.shards[shard0].lease = &Lease{}
			defer forgetLeases(a)
		}
		a.noteRow(shard0, after, time.Now())
		if lines.Len() > 0 {
			t.Errorf("%s: logged %q, but a late request of this worker may have caused it", name, &lines)
		}
		after.counter++
		if a.noteRow(shard0, after, time.Now().Add(a.cfg.LeaseDuration)); strings.Contains(lines.String(), "WORKER_ID") != want {
			t.Errorf("%s: logged %q", name, &lines)
		}
	}
	f("renewed by another", row{owner: "a", epoch: 1, counter: 1}, row{owner: "a", epoch: 1, counter: 2}, false, true)
	f("renewed", row{owner: "a", epoch: 1, counter: 1}, row{owner: "a", epoch: 1, counter: 2}, true, false)
	f("taken", row{owner: "b", epoch: 1, counter: 1}, row{owner: "a", epoch: 2, counter: 2}, true, false)
	f("acquired again", row{owner: "a", epoch: 1, counter: 1}, row{owner: "a", epoch: 2, counter: 2}, true, false)
	f("another's", row{owner: "b", epoch: 1, counter: 1}, row{owner: "b", epoch: 1, counter: 2}, false, false)
}
