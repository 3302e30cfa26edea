package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"
)

// rawRow returns a row as it is in the table, nil if it does not exist.
func rawRow(t *testing.T, db *dynamodb.Client, table, id string) item {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: item{attrShard: str(id)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

func deleteTable(t *testing.T, db *dynamodb.Client, table string) {
	t.Helper()
	if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
}

// The row of a held lease is restored in the new table. A lease that is released before that
// gets a row without an owner.
func TestRowsOfHeldLeasesAreRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		shards := []Shard{
			{ID: parent1, First: "1", Last: "5", Closed: true}, {ID: parent2, First: "2", Last: "5", Closed: true},
			{ID: child, Parents: []string{parent1, parent2}, First: "10"}, {ID: shard0, First: "3"},
		}
		a := openAt(t, db, name, "a", "LATEST", shards...)
		for _, parent := range []string{parent1, parent2} {
			if err := acquired(t, a, parent).Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := a.Release(parent); err != nil {
				t.Fatal(err)
			}
		}
		lease := acquired(t, a, child)
		acquired(t, a, shard0)
		now := time.Now()
		lease.Acknowledge("15")
		lease.ReadThrough(now)
		lease.Answered(now, 0)
		lease.AddGap(now.Add(-time.Hour), now)
		time.Sleep(leaseDuration)
		before := rawRow(t, db, name, child)
		deleteTable(t, db, name)
		if err := a.Sync(t.Context(), lists(shards...)); err != nil {
			t.Fatal(err)
		}
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		released := rawRow(t, db, name, shard0)
		if _, has := released[attrCheckpoint]; has || released == nil || text(released[attrOwner]) != "" || text(released[attrFirst]) != "3" {
			t.Errorf("the row of the released lease: %v", released)
		}
		time.Sleep(leaseDuration / 2)
		after := rawRow(t, db, name, child)
		for _, it := range []item{before, after} {
			delete(it, attrCounter)
			delete(it, attrTimeout)
		}
		equal := maps.EqualFunc(before, after, func(x, y types.AttributeValue) bool { return text(x) == text(y) })
		if !equal || lease.Context().Err() != nil {
			t.Errorf("the row of the held lease is %v, was %v; the lease: %v", after, before, lease.Context().Err())
		}
		acquired(t, a, shard0) // its row exists
	})
}

// Workers that find the table deleted at about the same time create it again only once. They
// do not change a table that belongs to another stream by then.
func TestTableIsRecreatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a, b := openAt(t, db, name, "a", "LATEST"), openAt(t, db, name, "b", "LATEST")
		deleteTable(t, db, name)
		resync(t, a)
		recreated := text(rawRow(t, db, name, startKey)[attrRecreated])
		time.Sleep(time.Millisecond)
		if err := b.rewriteStart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again := text(rawRow(t, db, name, startKey)[attrRecreated]); recreated == "" || again != recreated || b.start.recreated != recreated {
			t.Errorf("recreated at %q, then at %q; the second worker uses %q", recreated, again, b.start.recreated)
		}

		deleteTable(t, db, name)
		openStream(t, db, name, "c", Stream{Name: "other"})
		if err := a.rewriteStart(t.Context()); !errors.As(err, new(*OtherStreamError)) {
			t.Errorf("the table of another stream: %v", err)
		}
		if recorded := text(rawRow(t, db, name, startKey)[attrStream]); recorded != "other" {
			t.Errorf("the table belongs to the stream %q", recorded)
		}
	})
}

// For one lease duration only rows of held leases are written to a recreated table. After that
// the other shards are read from their oldest records.
func TestNoNewRowsInRecreatedTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		refusal := func() string {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.snapshotLocked().cannotAcquire(shard0)
		}
		if why := refusal(); why != "" {
			t.Errorf("before: %s", why)
		}
		time.Sleep(leaseDuration)
		deleteTable(t, db, name)
		resync(t, a)
		for range 2 {
			if refusal() == "" {
				t.Error("a row may be written before its holder has restored it")
			}
			time.Sleep(leaseDuration - time.Millisecond)
		}
		if why := refusal(); why != "" {
			t.Errorf("after a lease duration: %s", why)
		}
		if lease := acquired(t, a, shard0); lease.Start().String() != "TRIM_HORIZON" {
			t.Errorf("read from %s", lease.Start())
		}
	})
}

// The row of the first start in a scan shows whether and by which worker the table was
// recreated.
func TestCheckRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := unconnected(t, "a")
		var lines bytes.Buffer
		a.cfg.Log = zerolog.New(&lines)
		at := time.UnixMilli(1_700_000_000_000)
		a.start = start{position: Position{kind: atTimestamp, time: at}, lastShard: child, at: at}
		first := func(kind string, at int64) item {
			return item{attrStartPosition: str(kind), attrStartTimestamp: num(at), attrReadThrough: num(at)}
		}
		same := first(atTimestamp, at.UnixMilli())
		note := func(name string, it item, want bool) {
			t.Helper()
			a.mu.Lock()
			defer a.mu.Unlock()
			if lost := a.checkRecreated(it, map[string]row{parent1: {}}); lost != want {
				t.Errorf("%s: lost: %v", name, lost)
			}
		}
		note("as it was", same, false)
		note("absent", nil, false)
		note("exists again", same, false)
		note("absent", nil, false)
		note("absent twice", nil, true)
		note("exists again", same, false)
		note("of a worker that mistook the table for a new one", first(trimHorizon, 0), true)
		note("of a worker that started later", first(atTimestamp, at.UnixMilli()+1), true)
		note("unreadable", item{attrStartPosition: str("x")}, false)
		if a.isRecreated() || lines.Len() > 0 {
			t.Errorf("recreated: %v, logged: %s", a.isRecreated(), &lines)
		}

		for _, id := range []string{parent1, parent2, shard0} {
			a.shards.state(id).seen = observation{exists: true}
		}
		a.shards[shard0].lease = &Lease{}
		later := first(trimHorizon, at.UnixMilli()-1000)
		later[attrRecreated] = str("now")
		note("recreated", later, false)
		time.Sleep(a.cfg.LeaseDuration / 2)
		note("recreated, observed again", later, false)
		var ids []string
		for id, s := range a.shards {
			if s.seen.exists {
				ids = append(ids, id)
			}
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{parent1, shard0}) && !slices.Equal(ids, []string{shard0, parent1}) {
			t.Errorf("rows of %v are known", ids)
		}
		if s := a.start; s.position.kind != trimHorizon || s.defaultPosition(child).kind != trimHorizon || s.lastShard != "" || !s.at.Equal(at.Add(-time.Second)) {
			t.Errorf("start %+v", s)
		}
		if n := strings.Count(lines.String(), "another worker created it again"); n != 1 {
			t.Errorf("%d lines: %s", n, &lines)
		}
		time.Sleep(a.cfg.LeaseDuration/2 - time.Nanosecond)
		if !a.isRecreated() {
			t.Error("not recreated, before a lease duration is over")
		}
		if time.Sleep(time.Nanosecond); a.isRecreated() {
			t.Error("still recreated, after a lease duration")
		}
	})
}

// A holder does not overwrite the row of another worker that has the lease in a later epoch.
func TestRowOfAnotherIsNotReplaced(t *testing.T) {
	f := func(epoch int64, replaced bool) {
		t.Helper()
		for _, late := range []bool{false, true} { // between two requests of the holder
			synctest.Test(t, func(t *testing.T) {
				db, name := &faultyDB{Client: fakeDB()}, tableName()
				a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
				lease := acquired(t, a, shard0)
				deleteTable(t, db.Client, name)
				resync(t, a)
				put := func() {
					putRow(t, db.Client, name, item{attrShard: str(shard0), attrOwner: str("b"), attrEpoch: num(epoch), attrCounter: num(1)})
				}
				if !late {
					put()
				}
				db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
					if late && restores(in) {
						put()
					}
					return db.Client.UpdateItem(ctx, in)
				})
				time.Sleep(leaseDuration / 2)
				if owner := text(rawRow(t, db.Client, name, shard0)[attrOwner]); (owner == "a") != replaced || lease.isLost() == replaced {
					t.Errorf("epoch %d of another worker, late %v: the owner is %s, the lease is lost: %v", epoch, late, owner, lease.isLost())
				}
			})
		}
	}
	f(1, true) // a worker that mistook the table for a new one
	f(2, false)
}

// restores reports whether an update writes the row of a held lease to a recreated table.
func restores(in *dynamodb.UpdateItemInput) bool {
	return strings.Contains(*in.ConditionExpression, "attribute_not_exists")
}

// A holder keeps its lease if its row was written to the new table but the answer was lost.
func TestRestoreWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := &faultyDB{Client: fakeDB()}, tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		lease := acquired(t, a, shard0)
		deleteTable(t, db.Client, name)
		resync(t, a)
		lost := 0
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			out, err := db.Client.UpdateItem(ctx, in)
			if restores(in) && lost == 0 {
				lost++
				return nil, errBroken
			}
			return out, err
		})
		time.Sleep(2 * leaseDuration)
		synctest.Wait()
		if lost != 1 || lease.isLost() {
			t.Errorf("%d answers were lost; the lease is lost: %v", lost, lease.isLost())
		}
	})
}

// Failed writes of a row to the new table are not retried without a pause.
func TestRestoreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := &faultyDB{Client: fakeDB()}, tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		lease := acquired(t, a, shard0)
		deleteTable(t, db.Client, name)
		resync(t, a)
		before := db.writes.Load()
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			if restores(in) && db.writes.Load()-before < 1000 {
				return nil, &types.ConditionalCheckFailedException{} // without the row
			}
			return db.Client.UpdateItem(ctx, in)
		})
		time.Sleep(leaseDuration)
		if writes := db.writes.Load() - before; writes > 100 || !lease.isLost() {
			t.Errorf("%d writes; the lease is lost: %v", writes, lease.isLost())
		}
	})
}

// A held lease is kept while the table is deleted, however long that takes.
func TestLeaseWithoutATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		lease := acquired(t, a, shard0)
		lease.Acknowledge("7")
		deleteTable(t, db, name)
		time.Sleep(5 * leaseDuration)
		resync(t, a)
		time.Sleep(leaseDuration / 2)
		if row := rawRow(t, db, name, shard0); lease.isLost() || text(row[attrCheckpoint]) != "7" || text(row[attrOwner]) != "a" {
			t.Errorf("lost: %v, %v", lease.isLost(), row)
		}
	})
}

// A held lease is kept when another worker recreated the table before this one noticed.
func TestLeaseInTableRecreatedByAnotherWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		b := openAt(t, db, name, "b", "LATEST", Shard{ID: shard0, First: "1"})
		lease := acquired(t, a, shard0)
		time.Sleep(time.Millisecond)
		deleteTable(t, db, name)
		resync(t, b)
		time.Sleep(leaseDuration / 2) // a renewal finds no row
		resync(t, a)
		time.Sleep(leaseDuration / 2)
		if row := rawRow(t, db, name, shard0); lease.isLost() || text(row[attrOwner]) != "a" {
			t.Errorf("lost: %v, %v", lease.isLost(), row)
		}
	})
}

// A lease whose row is deleted is lost when a scan has shown that the table still exists, or
// in time without a scan. Then the row is known to be deleted. A release does not wait.
func TestLeaseOfADeletedRow(t *testing.T) {
	f := func(name string, scans bool, lostAfter time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			db, table := fakeDB(), tableName()
			a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0, First: "1"})
			lease := acquired(t, a, shard0)
			if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			for !lease.isLost() && time.Since(begun) < 2*leaseDuration {
				if time.Sleep(leaseDuration / 100); scans && time.Since(begun) > leaseDuration/2 {
					resync(t, a)
				}
			}
			if took := time.Since(begun); took > lostAfter || took <= leaseDuration/2 {
				t.Errorf("%s: lost after %s", name, took)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.shards.get(shard0).deleted.IsZero() {
				t.Errorf("%s: the row is not known to be deleted", name)
			}
		})
	}
	f("no scan", false, leaseDuration)
	f("a scan", true, leaseDuration*6/10)
	synctest.Test(t, func(t *testing.T) {
		db, table := fakeDB(), tableName()
		a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0, First: "1"})
		acquired(t, a, shard0)
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := a.Release(shard0); !errors.Is(err, errDeleted) || time.Since(begun) > 0 {
			t.Errorf("released after %s: %v", time.Since(begun), err)
		}
	})
}

// A missing row counts as deleted, once, if its shard is listed and the table was not
// recreated.
func TestNoteMissing(t *testing.T) {
	a := unconnected(t, "a")
	var lines bytes.Buffer
	a.cfg.Log = zerolog.New(&lines)
	a.observe([]Shard{{ID: shard0}, {ID: parent1}}, nil, time.Now(), time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 2 {
		a.noteMissing(shard0)
	}
	a.noteMissing(parent2) // not listed
	a.recreatedAt = time.Now()
	a.noteMissing(parent1)
	var deleted []string
	for id, s := range a.shards {
		if !s.deleted.IsZero() {
			deleted = append(deleted, id)
		}
	}
	if n := strings.Count(lines.String(), "was deleted"); n != 1 || !slices.Equal(deleted, []string{shard0}) {
		t.Errorf("deleted: %v, %d lines: %s", deleted, n, &lines)
	}
	if why := a.snapshotLocked().cannotAcquire(parent2); !strings.Contains(why, "not listed") {
		t.Errorf("a shard that is not listed may be leased: %q", why)
	}
}

// A recreated table is unread since the earliest time of the shards that are listed and not
// finished.
func TestAllUnreadSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := unconnected(t, "a")
		read := func(hours int, checkpoint string) row {
			return row{first: "1", checkpoint: checkpoint, reading: readState{through: time.Now().Add(-time.Duration(hours) * time.Hour)}}
		}
		shards := []Shard{{ID: shard0, First: "1"}, {ID: parent1, First: "1"}, {ID: parent2, First: "1", Closed: true}, {ID: child, First: "1"}}
		rows := map[string]row{shard0: read(1, "7"), parent1: read(2, "7"), parent2: read(3, "SHARD_END"), child: read(4, "7")}
		a.observe(shards, rows, time.Now(), time.Now())
		a.observe(shards[:3], rows, time.Now(), time.Now())
		a.mu.Lock()
		defer a.mu.Unlock()
		if since := time.Since(a.allUnreadSince()); since != 2*time.Hour {
			t.Errorf("unread for %s", since)
		}
	})
}

// A worker whose calls were all refused takes one lease at a time.
func TestRefusedWorkerTakesOneLease(t *testing.T) {
	a := unconnected(t, "a")
	a.observe(shardIDs(4), nil, time.Now(), time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	f := func(name string, want int) {
		t.Helper()
		if free, _ := a.snapshotLocked().acquirable(); len(free) != want {
			t.Errorf("%s: %v may be acquired", name, free)
		}
	}
	f("at its start", 4)
	a.refusals.add(shard0, ErrRefused, "a", row{})
	f("refused", 1)
	a.shards[shard0].lease = &Lease{}
	f("while it holds one", 0)
	a.refusals.noteRead()
	f("it has read", 3)
	a.shards[shard0].lease = nil
}

// An acquisition whose answer was lost is recognized, even if the row has a lower epoch than
// in the deleted table.
func TestAcquisitionInRecreatedTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := &faultyDB{Client: fakeDB()}, tableName()
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0, First: "1"})
		a.shards[shard0].epoch = 5
		putRow(t, db.Client, name, item{attrShard: str(shard0), attrEpoch: num(1), attrCounter: num(1)})
		resync(t, a)
		sent := 0
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			if sent++; sent == 1 { // the SDK retries without an answer
				if _, err := db.Client.UpdateItem(ctx, in); err != nil {
					return nil, err
				}
			}
			return db.Client.UpdateItem(ctx, in)
		})
		if err := tick(a, shard0); err != nil || a.Lease(shard0).epoch != 2 {
			t.Errorf("%v, %+v", err, a.Lease(shard0))
		}
	})
}

// A table that cannot be recreated does not count as recreated.
func TestTableCannotBeRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeDB()
		db, name := &faultyDB{Client: fake}, tableName()
		a := openAt(t, db, name, "a", "LATEST")
		db.inject(unanswered)
		if err := a.rewriteStart(t.Context()); !errors.Is(err, errBroken) || a.isRecreated() {
			t.Errorf("without an answer: %v, recreated: %v", err, a.isRecreated())
		}
		a.db = &undescribable{Client: fake}
		if err := a.recreate(t.Context()); !errors.Is(err, errBroken) || a.isRecreated() {
			t.Errorf("without a description: %v, recreated: %v", err, a.isRecreated())
		}
	})
}

// A worker that starts later learns from the row of the first start that the table was
// recreated, but not when.
func TestStartInRecreatedTable(t *testing.T) {
	a := unconnected(t, "a")
	if err := a.setStart(item{attrStartPosition: str(trimHorizon)}); err != nil || a.isRecreated() {
		t.Errorf("a first start: recreated: %v, %v", a.isRecreated(), err)
	}
	if err := a.setStart(item{attrStartPosition: str(trimHorizon), attrRecreated: str("once")}); err != nil || !a.isRecreated() {
		t.Errorf("recreated: %v, %v", a.isRecreated(), err)
	}
}
