package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"
)

const (
	parent1 = "shardId-000000000001"
	parent2 = "shardId-000000000002"
	child   = "shardId-000000000003"
)

var family = []Shard{{ID: parent1, Closed: true}, {ID: parent2, Closed: true}, {ID: child, Parents: []string{parent1, parent2}}}

func finish(t *testing.T, db *dynamodb.Client, table, id string) {
	t.Helper()
	putRow(t, db, table, item{attrShard: str(id), attrCheckpoint: str(ShardEnd), attrEpoch: num(1), attrCounter: num(1)})
}

// A child is leased only when both its parents are finished.
func TestParentsFirst(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", family...)
		notAcquired(t, a, child) // the parents are not started
		acquired(t, a, parent1)
		notAcquired(t, a, child)
		if err := a.Release(parent1); err != nil {
			t.Fatal(err)
		}
		finish(t, db, name, parent1)
		notAcquired(t, a, child) // the second parent is not started
		putRow(t, db, name, item{attrShard: str(parent2), attrCheckpoint: str("5")})
		notAcquired(t, a, child) // the second parent is not finished
		finish(t, db, name, parent2)
		acquired(t, a, child)
		if p := a.start.defaultPosition("shardId-000000000004"); p.String() != "TRIM_HORIZON" {
			t.Errorf("a later shard begins at %s", p)
		}
	})
}

// Parents that are neither listed nor in the table count as finished.
func TestParentsGone(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		a := open(t, db, tableName(), "a", family[2])
		for range goneAfter - 2 {
			notAcquired(t, a, child) // a page may be missing from a listing
		}
		acquired(t, a, child)
	})
}

// A parent that expired in Kinesis before it was read to its end blocks its child only while a
// worker still holds it.
func TestParentExpired(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		b := open(t, db, name, "b", family...)
		acquired(t, b, parent1)
		a := open(t, db, name, "a", family[2])
		for range goneAfter {
			notAcquired(t, a, child)
		}
		b.Close()
		eventually(t, "the child is leased", func() bool {
			resync(t, a)
			return tick(a, child) == nil
		})
	})
}

// Rows of finished shards are deleted when Kinesis no longer lists them and each child was
// read.
func TestSweep(t *testing.T) {
	f := func(name string, rows []item, listings [][]Shard, removed bool) {
		t.Run(name, func(t *testing.T) {
			onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				a := open(t, db, table, "a", family...)
				for _, it := range rows {
					putRow(t, db, table, it)
				}
				for _, listing := range listings {
					if err := a.Sync(t.Context(), lists(listing...)); err != nil {
						t.Fatal(err)
					}
				}
				if _, exists := rowOf(t, db, table, parent1); exists == removed {
					t.Errorf("row exists: %v", exists)
				}
			})
		})
	}
	ended := item{attrShard: str(parent1), attrCheckpoint: str(ShardEnd)}
	started := item{attrShard: str(child), attrOwner: str("b"), attrCheckpoint: str("9")}
	without := [][]Shard{family[1:], family[1:], family[1:]}
	f("finished, child started", []item{ended, started}, without, true)
	f("finished, no child", []item{ended}, [][]Shard{family[1:2], family[1:2], family[1:2], family[1:2], family[1:2], family[1:2]}, true)
	f("finished, child not started", []item{ended}, without, false)
	f("finished, child not read", []item{ended, {attrShard: str(child), attrOwner: str("b")}}, without, false)
	f("finished, still listed", []item{ended, started}, [][]Shard{family, family, family}, false)
	f("finished, a page missing twice", []item{ended, started}, [][]Shard{family[1:], family[1:], family, family[1:], family[1:]}, false)
	f("not finished", []item{{attrShard: str(parent1), attrCheckpoint: str("7")}, started}, without, false)
	f("empty row", []item{{attrShard: str(parent1), attrEpoch: num(1), attrCounter: num(2)}, started}, without, true)
	f("empty row, still listed", []item{{attrShard: str(parent1), attrEpoch: num(1), attrCounter: num(2)}, started}, [][]Shard{family, family, family}, false)
	f("empty row, owned", []item{{attrShard: str(parent1), attrOwner: str("b"), attrEpoch: num(1), attrCounter: num(2)}, started}, without, false)
}

// LATEST is the time of the first start, also for later starts of any worker. Shards that did
// not exist then are read from their beginning.
func TestFirstStart(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		before := time.Now().Truncate(time.Millisecond)
		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0}, Shard{ID: parent1})
		first, ok := a.start.defaultPosition(shard0).Timestamp()
		if !ok || first.Before(before) || first.After(time.Now()) {
			t.Fatalf("LATEST became %s", a.start.defaultPosition(shard0))
		}
		time.Sleep(10 * time.Millisecond)
		b := openAt(t, db, name, "b", "TRIM_HORIZON", Shard{ID: shard0}, Shard{ID: parent1}, Shard{ID: parent2})
		for _, id := range []string{shard0, parent1} {
			if later, ok := b.start.defaultPosition(id).Timestamp(); !ok || !later.Equal(first) {
				t.Errorf("%s begins at %s, first start was %s", id, b.start.defaultPosition(id), first)
			}
		}
		if p := b.start.defaultPosition(parent2); p.String() != "TRIM_HORIZON" {
			t.Errorf("a later shard begins at %s", p)
		}
	})
}

func TestParsePosition_Success(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		p, err := ParsePosition(s)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", s, p, err)
		}
	}
	f("TRIM_HORIZON", "TRIM_HORIZON")
	f("trim-horizon", "TRIM_HORIZON")
	f("latest", "LATEST")
	f("2026-01-31T09:00:00+09:00", "AT_TIMESTAMP 2026-01-31T00:00:00Z")
}

func TestParsePosition_Failure(t *testing.T) {
	for _, s := range []string{"", "AT_TIMESTAMP", "yesterday", "2026-01-31"} {
		if _, err := ParsePosition(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

// A table of vmware-go-kcl-v2 keeps working: its rows have no epoch and counter, and their
// owners renew the lease timeout.
func TestTableOfTheKCL(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		open(t, db, name, "creator").Close()
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &name, Key: item{attrShard: str(startKey)}}); err != nil {
			t.Fatal(err)
		}
		row := item{attrShard: str(shard0), attrOwner: str("kcl"), attrCheckpoint: str("100"), attrTimeout: str("2026-01-01T00:00:00Z")}
		putRow(t, db, name, row)

		a := openAt(t, db, name, "a", "LATEST", Shard{ID: shard0}, Shard{ID: parent1})
		if p := a.start.defaultPosition(parent1); p.String() != "TRIM_HORIZON" {
			t.Errorf("a shard that the KCL had not started begins at %s", p)
		}
		// It is alive: its timeout changes.
		for i := range 8 {
			row[attrTimeout] = str(time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339Nano))
			putRow(t, db, name, row)
			notAcquired(t, a, shard0)
			time.Sleep(leaseDuration / 4)
		}
		eventually(t, "the silent worker's shard is leased", func() bool {
			resync(t, a)
			return tick(a, shard0) == nil
		})
		if got := a.Lease(shard0).Checkpoint(); got != "100" {
			t.Errorf("begins at %q", got)
		}
		// A released row of the KCL may have an empty owner.
		putRow(t, db, name, item{attrShard: str(parent1), attrOwner: str(""), attrCheckpoint: str("7")})
		acquired(t, a, parent1)
	})
}

// A row that was deleted by hand is created again, with an error line, and its shard is read
// from its oldest record, regardless of the initial position.
func TestDeletedRow(t *testing.T) {
	f := func(name string, held bool) {
		t.Run(name, func(t *testing.T) {
			onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0})
				lease := acquired(t, a, shard0)
				if _, latest := lease.Start().Timestamp(); !latest {
					t.Fatalf("begins at %s", lease.Start())
				}
				b := openAt(t, db, table, "b", "LATEST", Shard{ID: shard0})
				if !held {
					if err := a.Release(shard0); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
					t.Fatal(err)
				}
				var lines bytes.Buffer
				b.cfg.Log = zerolog.New(&lines)
				if held {
					eventually(t, "a loses the lease", func() bool { return lease.Context().Err() != nil })
				}
				resync(t, b)
				resync(t, b)
				if got := acquired(t, b, shard0).Start().String(); got != "TRIM_HORIZON" {
					t.Errorf("begins at %s", got)
				}
				if n := strings.Count(lines.String(), `"level":"error"`); n != 1 || !strings.Contains(lines.String(), shard0) {
					t.Errorf("%d error lines: %s", n, &lines)
				}
				// It is still read from there if this worker fails before its first checkpoint.
				b.Close()
				eventually(t, "another takes over", func() bool {
					c := openAt(t, db, table, "c", "LATEST", Shard{ID: shard0})
					for range 30 {
						resync(t, c)
						if tick(c, shard0) == nil {
							return c.Lease(shard0).Start().String() == "TRIM_HORIZON"
						}
						time.Sleep(leaseDuration / 15)
					}
					return false
				})
			})
		})
	}
	f("held", true)
	f("free", false)
}

// A row that is deleted between a scan and an acquisition is not created again by the
// acquisition: it would begin at the wrong position.
func TestRowDeletedBeforeAcquisition(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		table := tableName()
		a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0})
		acquired(t, a, shard0)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		b := openAt(t, db, table, "b", "LATEST", Shard{ID: shard0})
		resync(t, b)
		key := item{attrShard: str(shard0)}
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: key}); err != nil {
			t.Fatal(err)
		}
		if err := tick(b, shard0); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("acquired: %v", err)
		}
		got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
		if err != nil || got.Item != nil {
			t.Errorf("the row exists: %v, %v", got, err)
		}
	})
}

// One scan without a row, or scans without a listing, do not show that the row was deleted by
// hand: a scan may be stale, and the shard may have expired.
func TestAbsentRow(t *testing.T) {
	f := func(name string, listings [][]Shard, deleted bool) {
		t.Run(name, func(t *testing.T) {
			a := unconnected(t, "a")
			a.observe([]Shard{{ID: shard0}}, map[string]row{shard0: {checkpoint: "7", epoch: 1, counter: 2}}, time.Now(), time.Now())
			for _, shards := range listings {
				a.observe(shards, nil, time.Now(), time.Now())
			}
			if !a.shards.get(shard0).deleted.IsZero() != deleted {
				t.Errorf("treated as deleted: %v", a.shards.get(shard0).deleted)
			}
			if a.shards.get(shard0).seen.checkpoint != "7" != deleted {
				t.Errorf("observed: %+v", a.shards.get(shard0).seen)
			}
		})
	}
	listed, none := []Shard{{ID: shard0}}, []Shard{}
	f("once", [][]Shard{listed}, false)
	f("twice", [][]Shard{listed, listed}, true)
	f("no listing", [][]Shard{nil, nil, nil}, false)
	f("a listing after all", [][]Shard{nil, nil, listed}, true)
	a := unconnected(t, "a")
	a.observe(listed, map[string]row{shard0: {checkpoint: ShardEnd}}, time.Now(), time.Now())
	a.observe(none, nil, time.Now(), time.Now())
	a.observe(none, nil, time.Now(), time.Now())
	if !a.shards.get(shard0).deleted.IsZero() {
		t.Error("the row of a shard that Kinesis does not list is treated as deleted by hand")
	}
}

// This worker's write to a row during a scan is newer than the scan.
func TestScanIsOlder(t *testing.T) {
	a := unconnected(t, "a")
	begun := time.Now()
	time.Sleep(time.Millisecond)
	a.mu.Lock()
	a.noteRow(shard0, row{owner: "a", epoch: 2, counter: 9}, time.Now())
	a.mu.Unlock()
	a.observe([]Shard{{ID: shard0}}, map[string]row{shard0: {owner: "b", epoch: 1, counter: 8}}, begun, time.Now())
	if got := a.shards.get(shard0).seen; got.owner != "a" {
		t.Errorf("seen: %+v", got)
	}
	a.observe([]Shard{{ID: shard0}}, nil, begun, time.Now())
	if a.shards.get(shard0).seen.absent {
		t.Error("a row that was created during the scan is treated as absent")
	}
}

// The worker whose row was deleted acquires the lease again.
func TestOwnDeletedRow(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		table := tableName()
		a := openAt(t, db, table, "a", "LATEST", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the lease is lost", func() bool { return lease.Context().Err() != nil })
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if got := acquired(t, a, shard0).Start().String(); got != "TRIM_HORIZON" {
			t.Errorf("begins at %s", got)
		}
		// A late request from before the deletion must not match the row.
		if r, _ := rowOf(t, db, table, shard0); r.epoch != 2 {
			t.Errorf("epoch %d again", r.epoch)
		}
	})
}

// A row that has changed since the scan is not deleted.
func TestSweepCondition(t *testing.T) {
	f := func(name string, seen, found item) {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				a := openPatient(t, db, table, "a")
				found[attrShard] = str(parent1)
				putRow(t, db, table, found)
				if err := a.remove(t.Context(), parent1, readRow(seen)); err != nil {
					t.Fatal(err)
				}
				if _, exists := rowOf(t, db, table, parent1); !exists {
					t.Error("the row is gone")
				}
			})
		})
	}
	f("reset concurrently", item{attrCheckpoint: str(ShardEnd)}, item{attrCheckpoint: str("7")})
	f("acquired concurrently", item{attrEpoch: num(1), attrCounter: num(2)}, item{attrOwner: str("b"), attrEpoch: num(2), attrCounter: num(3)})
	f("read concurrently", item{attrOwner: str("b"), attrEpoch: num(1), attrCounter: num(2)},
		item{attrOwner: str("b"), attrEpoch: num(1), attrCounter: num(2), attrCheckpoint: str("7")})
}

// The listing follows the scan. A worker that listed the shards before they expired, and
// scanned the table after their rows were deleted, would create the rows again.
func TestListingAfterScan(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		a := open(t, db, tableName(), "a", family...)
		before := db.scans.Load()
		err := a.Sync(t.Context(), func(context.Context) ([]Shard, time.Time, error) {
			if db.scans.Load() == before {
				t.Error("the shards are listed before the table is scanned")
			}
			return nil, time.Time{}, errBroken
		})
		if !errors.Is(err, errBroken) {
			t.Fatalf("want the error of the listing, got %v", err)
		}
	})
}

// A worker does not delete rows before it has listed the shards.
func TestSweepWithoutListing(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		table := tableName()
		a := open(t, db, table, "a")
		finish(t, db, table, parent1)
		for range 2 * goneAfter {
			if err := a.Sync(t.Context(), func(context.Context) ([]Shard, time.Time, error) { return nil, time.Time{}, errBroken }); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
		}
		if _, exists := rowOf(t, db, table, parent1); !exists {
			t.Error("the row is gone")
		}
	})
}
