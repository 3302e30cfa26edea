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
	"github.com/rs/zerolog"
)

// openOf opens the table of a stream.
func openOf(t *testing.T, db DynamoDB, name, worker string, stream Stream, list List) *Table {
	t.Helper()
	return openTable(t, db, Config{Table: name, Worker: worker, LeaseDuration: leaseDuration, InitialPosition: Position{kind: trimHorizon}, Log: zerolog.Nop()}, stream, list)
}

// Sync fails for a table that was deleted and then created by a worker of another stream.
func TestTableRecreatedForAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		logs, other := Stream{Name: "logs"}, Stream{Name: "other"}
		a := openOf(t, db, name, "a", logs, lists(Shard{ID: shard0}))
		acquired(t, a, shard0).Acknowledge("7")
		if _, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		b := openOf(t, db, name, "b", other, lists(Shard{ID: shard0}))
		var last error
		for range 30 {
			last = a.Sync(t.Context(), lists(Shard{ID: shard0}))
			time.Sleep(leaseDuration / 10)
		}
		if !errors.As(last, new(*OtherStreamError)) {
			t.Errorf("Sync returns %v", last)
		}
		if err := tick(a, shard0); err == nil {
			t.Error("a acquires a lease in the other stream's table")
		}
		a.Close()
		b.Close()
	})
}

// A holder notices that a starting worker created the table again, whatever its position, and
// writes its checkpoint again.
func TestTableDeletedAndWorkerStartsAtTheSamePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		logs := Stream{Name: "logs"}
		a := openOf(t, db, name, "a", logs, lists(Shard{ID: shard0}))
		lease := acquired(t, a, shard0)
		lease.Acknowledge("7")
		time.Sleep(time.Hour)
		if _, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		b := openOf(t, db, name, "b", logs, lists(Shard{ID: shard0}))
		for range 30 {
			resync(t, a)
			time.Sleep(leaseDuration / 10)
		}
		if lease.Context().Err() != nil {
			t.Error("the lease is lost")
		}
		if r, _ := rowOf(t, db, name, shard0); r.checkpoint != "7" {
			t.Errorf("%+v", r)
		}
		a.Close()
		b.Close()
	})
}

// A scan between the creation of the table and the row of the first start does not make a
// holder treat its own row as deleted by hand.
func TestScanBeforeFirstStartIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		b := open(t, db, name, "b", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		lease.Acknowledge("7")
		time.Sleep(leaseDuration)
		if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		if err := b.ensureTable(t.Context(), leaseDuration); err != nil {
			t.Fatal(err)
		}
		time.Sleep(leaseDuration / 2) // a's renewal finds no row
		resync(t, a)
		time.Sleep(leaseDuration / 10) // the lease is valid for at least 0.7 of its duration from the deletion
		if err := b.rewriteStart(t.Context()); err != nil {
			t.Fatal(err)
		}
		resync(t, a)
		time.Sleep(leaseDuration / 5)
		if r, _ := rowOf(t, db, name, shard0); lease.Context().Err() != nil || r.checkpoint != "7" {
			t.Errorf("the lease ended: %v, the row has %+v", lease.Context().Err(), r)
		}
	})
}

// A worker that mistook a recreated table for a new one and began at the latest record starts
// again from the oldest record when it notices.
func TestLateStartIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		shards := []Shard{{ID: shard0, First: "1"}, {ID: parent1, First: "2"}}
		a := openAt(t, db, name, "a", "LATEST", shards...)
		idle := acquired(t, a, shard0) // it correctly began at the latest record
		time.Sleep(10 * time.Second)
		idle.ReadThrough(time.Now())
		time.Sleep(leaseDuration)
		if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(leaseDuration)
		b := openAt(t, db, name, "b", "LATEST", shards...)
		lease := acquired(t, b, parent1)
		lease.Acknowledge("9")
		for range 5 {
			resync(t, a)
			resync(t, b)
			time.Sleep(leaseDuration / 5)
		}
		if idle.Reading().Err() != nil {
			t.Error("the reading of the shard that is held ends")
		}
		if lease.Reading().Err() == nil {
			t.Errorf("it continues from %s", lease.Start())
		}
		if err := b.Release(parent1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * leaseDuration)
		lease = acquired(t, b, parent1)
		if lease.Checkpoint() != "" || lease.Start().String() != "TRIM_HORIZON" {
			t.Errorf("it begins at %q, %s", lease.Checkpoint(), lease.Start())
		}
	})
}

// A shard that no worker held when the table was deleted is unread since then, not since this
// worker first listed it.
func TestUnreadAfterTableIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		logs := Stream{Name: "logs"}
		shift := time.Duration(0)
		list := func(context.Context) ([]Shard, time.Time, error) {
			return []Shard{{ID: shard0}, {ID: parent1}}, time.Now().Add(shift), nil
		}
		a := openOf(t, db, name, "a", logs, list)
		if err := a.Sync(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		if err := a.Sync(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		if err := tick(a, parent1); err != nil {
			t.Fatal(err)
		}
		shift = 72 * time.Hour
		a.Lease(shard0).ReadThrough(time.Now().Add(shift))
		a.Lease(parent1).ReadThrough(time.Now().Add(shift))
		a.Lease(parent1).Acknowledge("9")
		if err := a.Release(parent1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(leaseDuration)
		if err := a.Sync(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		if got := a.Now().Sub(a.unreadSince(parent1)); got > time.Minute {
			t.Errorf("before: %s", got)
		}
		if _, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		for range 15 {
			_ = a.Sync(t.Context(), list)
			time.Sleep(leaseDuration / 10)
		}
		if err := tick(a, parent1); err != nil {
			t.Fatal(err)
		}
		if got := a.Now().Sub(a.Lease(parent1).UnreadSince()); got > time.Minute {
			t.Errorf("after: unread for %s", got)
		}
		a.Close()
	})
}

// A holder replaces the row of a worker that mistook the table for a new one, even if both have
// their first epoch.
func TestFirstEpochIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		lease.Acknowledge("7")
		time.Sleep(time.Minute)
		if _, err := db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Fatal(err)
		}
		b := open(t, db, name, "b", Shard{ID: shard0})
		acquired(t, b, shard0)
		for range 10 {
			resync(t, a)
			resync(t, b)
			time.Sleep(leaseDuration / 10)
		}
		if r, _ := rowOf(t, db, name, shard0); r.owner != "a" || r.checkpoint != "7" || lease.Context().Err() != nil {
			t.Errorf("the row has %+v", r)
		}
		if b.Lease(shard0).Context().Err() == nil {
			t.Error("the other worker continues to read")
		}
	})
}

// A lease that a worker of vmware-go-kcl-v2 took over has no epoch. It does not count as
// deleted.
func TestLeaseTakenByKCLWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		var lines bytes.Buffer
		a.cfg.Log = zerolog.New(&lines)
		lease := acquired(t, a, shard0)
		putRow(t, db, name, item{attrShard: str(shard0), attrOwner: str("kcl"), attrCheckpoint: str("7"), attrTimeout: str("2000-01-01T00:00:10Z")})
		time.Sleep(2 * leaseDuration)
		synctest.Wait()
		if lease.Context().Err() == nil || strings.Contains(lines.String(), "was deleted") {
			t.Errorf("lost: %v, logged: %s", lease.Context().Err(), &lines)
		}
	})
}
