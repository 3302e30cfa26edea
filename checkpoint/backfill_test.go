package checkpoint

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Finished rows of older tables get their shards' first sequence numbers. Other rows, and
// rows that other workers changed in the meantime, do not.
func TestBackfillFirst(t *testing.T) {
	f := func(name string, row, concurrent item, wantFirst string, wantWrites int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			db, table := &faultyDB{Client: fakeDB()}, tableName()
			a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0, First: "10", Last: "20", Closed: true}, Shard{ID: parent1, Last: "20", Closed: true})
			row[attrShard] = str(shard0)
			putRow(t, db.Client, table, row)
			putRow(t, db.Client, table, item{attrShard: str(parent1), attrCheckpoint: str("SHARD_END")})
			rows, _, err := a.scan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			a.observe(nil, rows, a.listing, a.listing)
			if concurrent != nil {
				concurrent[attrShard] = str(shard0)
				putRow(t, db.Client, table, concurrent)
			} else if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
				t.Fatal(err)
			}
			writes := db.writes.Load()
			a.mu.Lock()
			before := a.shards[shard0].listed
			a.shards[shard0].listed = listedShard{Shard: before.Shard, known: true, missing: 1}
			a.mu.Unlock()
			if err := a.backfillFirst(t.Context()); err != nil || db.writes.Load() > writes {
				t.Errorf("%s: written to although not listed: %v", name, err)
			}
			a.mu.Lock()
			a.shards[shard0].listed = before
			a.mu.Unlock()
			for range 2 {
				if err := a.backfillFirst(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			after := rawRow(t, db.Client, table, shard0)
			if n := db.writes.Load() - writes; text(after[attrFirst]) != wantFirst || n != wantWrites || (after == nil) != (concurrent == nil) {
				t.Errorf("%s: %d writes, %v", name, n, after)
			}
			if r := a.shards.get(shard0).seen; r.first != wantFirst || concurrent != nil && r.checkpoint != text(concurrent[attrCheckpoint]) {
				t.Errorf("%s: observed as %+v", name, r)
			}
			if without := rawRow(t, db.Client, table, parent1); without[attrFirst] != nil {
				t.Errorf("%s: %v", name, without)
			}
		})
	}
	finished := func(first string) item {
		it := item{attrCheckpoint: str("SHARD_END"), attrEpoch: num(1)}
		if first != "" {
			it[attrFirst] = str(first)
		}
		return it
	}
	unfinished := item{attrCheckpoint: str("15"), attrEpoch: num(1)}
	f("finished", finished(""), finished(""), "10", 1)
	f("backfilled", finished("10"), finished("10"), "10", 0)
	f("unfinished", unfinished, unfinished, "", 0)
	f("reset concurrently", finished(""), unfinished, "", 1)
	f("backfilled concurrently", finished(""), finished("110"), "110", 1)
	f("deleted concurrently", finished(""), nil, "", 2)
}

// One Sync updates a bounded number of rows.
func TestBackfillFirst_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, table := &faultyDB{Client: fakeDB()}, tableName()
		var shards []Shard
		for i := range maxRowsPerSync + 5 {
			shards = append(shards, Shard{ID: fmt.Sprintf("shardId-%012d", i), First: "10", Last: "20", Closed: true})
		}
		a := openAt(t, db, table, "a", "LATEST", shards...)
		for _, s := range shards {
			putRow(t, db.Client, table, item{attrShard: str(s.ID), attrCheckpoint: str("SHARD_END")})
		}
		writes := db.writes.Load()
		for _, want := range []int64{maxRowsPerSync, 5, 0} {
			resync(t, a)
			if n := db.writes.Load() - writes; n != want {
				t.Errorf("%d rows are updated, want %d", n, want)
			}
			writes = db.writes.Load()
		}
	})
}
