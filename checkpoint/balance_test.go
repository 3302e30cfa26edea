package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"
)

func shardIDs(n int) (shards []Shard) {
	for i := range n {
		shards = append(shards, Shard{ID: fmt.Sprintf("shardId-%012d", i)})
	}
	return shards
}

// A worker that joins claims its share. The owner stops reading, drains, writes its checkpoint
// and releases the lease. Only the claimer gets it, and continues from the checkpoint.
func TestHandover(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		shards := shardIDs(3)
		a := open(t, db, name, "a", shards...)
		for _, s := range shards {
			acquired(t, a, s.ID)
		}
		b := open(t, db, name, "b", shards...)
		resync(t, b)
		if !b.Claiming() {
			t.Fatal("b has no lease and claims none of three")
		}
		resync(t, b)
		resync(t, a)
		claimed := ""
		for _, s := range shards {
			lease := a.Lease(s.ID)
			if lease.Context().Err() != nil {
				t.Errorf("the lease of %s is lost", s.ID)
			}
			if lease.Reading().Err() != nil {
				if claimed != "" {
					t.Errorf("b claims %s and %s, it should have one of three", claimed, s.ID)
				}
				claimed = s.ID
			}
		}
		if claimed == "" {
			t.Fatal("a does not observe the claim")
		}
		notAcquired(t, b, claimed) // a has not released it
		lease := a.Lease(claimed)
		lease.Acknowledge("100") // drained while it waits
		if err := a.Release(claimed); err != nil {
			t.Fatal(err)
		}
		notAcquired(t, a, claimed)
		c := open(t, db, name, "c", shards...)
		notAcquired(t, c, claimed)
		if got := acquired(t, b, claimed).Checkpoint(); got != "100" {
			t.Errorf("b begins at %q", got)
		}
		if r, _ := rowOf(t, db, name, claimed); r.owner != "b" || r.epoch != 2 || r.claim != "" {
			t.Errorf("row after the handover: %+v", r)
		}
		if b.Claiming() {
			t.Error("b still waits for a lease that it has")
		}
	})
}

// A renewal also returns the claim: an owner does not wait for its next scan.
func TestRenewalSeesClaim(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", shardIDs(2)...)
		acquired(t, a, shard0)
		acquired(t, a, shardIDs(2)[1].ID)
		resync(t, open(t, db, name, "b", shardIDs(2)...))
		eventually(t, "a stops reading one", func() bool {
			return a.Lease(shard0).Reading().Err() != nil || a.Lease(shardIDs(2)[1].ID).Reading().Err() != nil
		})
	})
}

// A lease that was released for a claimer which has died becomes free for all workers.
func TestClaimOfDeadWorkerExpires(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		acquired(t, a, shard0)
		if err := a.claim(t.Context(), claimable{shard0, "a", 1}); err != nil { // as if by another worker
			t.Fatal(err)
		}
		putClaim(t, db, name, shard0, "dead")
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		b := open(t, db, name, "b", Shard{ID: shard0})
		begun := time.Now()
		notAcquired(t, b, shard0)
		eventually(t, "b acquires it", func() bool {
			resync(t, b)
			return tick(b, shard0) == nil
		})
		took(t, db, "taken", begun, (leaseDuration/3).Truncate(poll)+poll, leaseDuration, 6*leaseDuration)
	})
}

func putClaim(t *testing.T, db *dynamodb.Client, table, id, claimer string) {
	t.Helper()
	expression := "SET " + attrClaim + " = :claimer"
	if _, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: &table, Key: item{attrShard: str(id)},
		UpdateExpression: &expression, ExpressionAttributeValues: item{":claimer": str(claimer)}}); err != nil {
		t.Fatal(err)
	}
}

// A claim is valid for one owner and one epoch.
func TestClaimCondition(t *testing.T) {
	f := func(name string, row item, claimed bool) {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				a := openPatient(t, db, table, "a", Shard{ID: shard0})
				row[attrShard], row[attrCounter] = str(shard0), num(5)
				putRow(t, db, table, row)
				if err := a.claim(t.Context(), claimable{shard0, "b", 3}); err != nil {
					t.Fatal(err)
				}
				if r, _ := rowOf(t, db, table, shard0); (r.claim == "a") != claimed {
					t.Errorf("row: %+v", r)
				}
			})
		})
	}
	f("as seen", item{attrOwner: str("b"), attrEpoch: num(3)}, true)
	f("another owner", item{attrOwner: str("c"), attrEpoch: num(3)}, false)
	f("another epoch", item{attrOwner: str("b"), attrEpoch: num(4)}, false)
	f("released", item{attrEpoch: num(3)}, false)
	f("claimed", item{attrOwner: str("b"), attrEpoch: num(3), attrClaim: str("c")}, false)
	f("finished", item{attrOwner: str("b"), attrEpoch: num(3), attrCheckpoint: str("SHARD_END")}, false)
}

// Workers that see the same rows make the same plan: if each does its part, the difference is
// at most 1, and no lease moves unnecessarily.
func TestPlan(t *testing.T) {
	f := func(name string, loads []int, joins int) {
		t.Run(name, func(t *testing.T) {
			owner := make(map[string]string)
			var shards []Shard
			for w, n := range loads {
				for range n {
					id := fmt.Sprintf("shardId-%012d", len(shards))
					shards, owner[id] = append(shards, Shard{ID: id}), fmt.Sprintf("w%02d", w)
				}
			}
			moves := 0
			for range 12 { // claims double, so few rounds are enough
				claims := make(map[string]string)
				for w := range len(loads) + joins {
					worker := fmt.Sprintf("w%02d", w)
					plan := planOf(t, worker, shards, owner, 1)
					if has := countOf(owner, worker); len(plan) > max(1, has) {
						t.Errorf("%s, which has %d, claims %d", worker, has, len(plan))
					}
					for _, c := range plan {
						by, taken := claims[c.shard]
						if taken && w < len(loads) {
							t.Errorf("%s is claimed by %s and %s", c.shard, by, worker)
						}
						if !taken { // the first claim succeeds
							claims[c.shard] = worker
						}
					}
				}
				moves += len(claims)
				for shard, by := range claims {
					owner[shard] = by
				}
			}
			counts := make(map[string]int)
			for w := range len(loads) + joins {
				counts[fmt.Sprintf("w%02d", w)] = 0
			}
			for _, by := range owner {
				counts[by]++
			}
			least, most := shares(counts).extremes()
			if counts[most]-counts[least] > 1 {
				t.Errorf("spread: %v", counts)
			}
			need := 0
			for w, n := range loads {
				need += max(0, n-counts[fmt.Sprintf("w%02d", w)])
			}
			if joins <= 1 && moves > need {
				t.Errorf("%d leases moved, want %d", moves, need)
			}
		})
	}
	f("even", []int{5, 5, 5}, 0)
	f("by one", []int{5, 6, 5}, 0)
	f("uneven", []int{2, 9, 4}, 0)
	f("one joins", []int{25, 25, 25, 25}, 1)
	f("one joins many", []int{1000}, 1)
	f("many join", []int{40}, 9)
	f("more workers than shards", []int{2, 0}, 3)
}

func countOf(owner map[string]string, worker string) (n int) {
	for _, by := range owner {
		if by == worker {
			n++
		}
	}
	return n
}

func planOf(t *testing.T, worker string, shards []Shard, owner map[string]string, counter int64) []claimable {
	table := unconnected(t, worker)
	rows := make(map[string]row)
	for id, by := range owner {
		rows[id] = row{owner: by, epoch: 1, counter: counter}
	}
	table.observe(shards, rows, time.Now(), time.Now())
	return table.snapshotLocked().plan(rand.Shuffle)
}

// Leases of vmware-go-kcl-v2 workers are not claimed: they ignore claims.
func TestPlanIgnoresKCLWorkers(t *testing.T) {
	owner := make(map[string]string)
	for _, s := range shardIDs(4) {
		owner[s.ID] = "kcl"
	}
	if len(planOf(t, "w", shardIDs(4), owner, 1)) == 0 {
		t.Fatal("nothing is claimed from one of our workers")
	}
	if plan := planOf(t, "w", shardIDs(4), owner, 0); len(plan) > 0 {
		t.Errorf("claims %v", plan)
	}
}

// A worker claims nothing while there are enough free leases for its share.
func TestPlanCountsFree(t *testing.T) {
	shards := shardIDs(6)
	owner := map[string]string{shards[0].ID: "a", shards[1].ID: "a", shards[2].ID: "a"}
	if plan := planOf(t, "w", shards, owner, 1); len(plan) > 0 {
		t.Errorf("claims %v while three are free", plan)
	}
}

// A worker acquires no more than its share of free leases.
func TestFairShare(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		shards := shardIDs(4)
		a, b := open(t, db, name, "a", shards...), open(t, db, name, "b", shards...)
		acquired(t, a, shards[0].ID)
		resync(t, b)
		for i := range 2 {
			free, err := b.Assignment(t.Context())
			if err != nil || len(free) == 0 {
				t.Fatal(free, err)
			}
			for _, id := range free {
				if b.Lease(id) == nil {
					if err := tick(b, id); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			if b.Held() != i+1 {
				t.Fatalf("b holds %d", b.Held())
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), leaseDuration/4)
		defer cancel()
		if free, err := b.Assignment(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("b has its half but is offered %v: %v", free, err)
		}
	})
}

// An acquisition that failed is not tried again before the next scan.
func TestTriedOnce(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		a := open(t, db, tableName(), "a", Shard{ID: shard0})
		db.inject(func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			return nil, errBroken
		})
		resync(t, a)
		writes := db.writes.Load()
		for range 3 {
			if err := tick(a, shard0); err == nil {
				t.Fatal("acquired")
			}
		}
		if n := db.writes.Load() - writes; n != 1 {
			t.Errorf("%d writes", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), leaseDuration/4)
		defer cancel()
		if _, err := a.Assignment(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it is offered again: %v", err)
		}
	})
}

// A silent owner's lease is offered when it expires, not at the next scan.
func TestAssignmentWhenDue(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		acquired(t, a, shard0)
		a.Close()
		b := open(t, db, name, "b", Shard{ID: shard0})
		begun := time.Now()
		time.Sleep(leaseDuration * 2 / 3)
		if _, err := b.Assignment(t.Context()); err != nil {
			t.Fatal(err)
		}
		took(t, db, "offered", begun, leaseDuration, leaseDuration/10, leaseDuration/3)
		if err := tick(b, shard0); err != nil {
			t.Error(err)
		}
	})
}

// A lease that was released after a failed read is offered again at once.
func TestAssignmentAfterRelease(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		a := open(t, db, tableName(), "a", Shard{ID: shard0})
		acquired(t, a, shard0)
		resync(t, a)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), leaseDuration/4)
		defer cancel()
		if _, err := a.Assignment(ctx); err != nil {
			t.Fatal(err)
		}
		if err := tick(a, shard0); err != nil {
			t.Error(err)
		}
	})
}

// unconnected returns a Table without a database. Tests pass rows and listings to it.
func unconnected(t *testing.T, worker string) *Table {
	t.Helper()
	position, _ := ParsePosition("TRIM_HORIZON")
	table, err := New(Config{Table: "t", Worker: worker, LeaseDuration: time.Hour, InitialPosition: position, Log: zerolog.Nop()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

// Workers of vmware-go-kcl-v2 follow their own rule: our workers share the other leases.
func TestSharesWithKCLWorkers(t *testing.T) {
	f := func(name string, theirs, others, mine, claims, room int) {
		t.Run(name, func(t *testing.T) {
			table := unconnected(t, "w")
			rows := make(map[string]row)
			var shards []Shard
			add := func(n int, r row) {
				for range n {
					id := fmt.Sprintf("shardId-%012d", len(shards))
					shards, rows[id] = append(shards, Shard{ID: id}), r
				}
			}
			add(theirs, row{owner: "kcl", timeout: "t"})
			add(others, row{owner: "a", epoch: 1, counter: 1})
			add(mine, row{owner: "w", epoch: 1, counter: 1})
			add(room, row{epoch: 1, counter: 1})
			table.observe(shards, rows, time.Now(), time.Now())
			if plan := table.snapshotLocked().plan(rand.Shuffle); len(plan) != claims {
				t.Errorf("claims %v", plan)
			}
			free, _ := table.snapshotLocked().acquirable()
			if len(free) != room {
				t.Errorf("offered %v", free)
			}
		})
	}
	f("the KCL has the most", 11, 9, 0, 1, 0)
	f("the KCL has the fewest", 1, 11, 4, 3, 0)
	f("the KCL takes no more", 1, 0, 5, 0, 4)
}

// If the workers whose share it is do not acquire a lease, others do after a while.
func TestLongFreeLease(t *testing.T) {
	table := unconnected(t, "w")
	shards := shardIDs(4)
	rows := map[string]row{
		shards[0].ID: {owner: "w", epoch: 1, counter: 1}, shards[1].ID: {owner: "w", epoch: 1, counter: 1},
		shards[2].ID: {owner: "a", epoch: 1, counter: 1}, shards[3].ID: {epoch: 1, counter: 1},
	}
	long := time.Now().Add(-2 * table.cfg.LeaseDuration)
	table.observe(shards, rows, long, time.Now())
	table.shards[shards[0].ID].lease, table.shards[shards[1].ID].lease = &Lease{}, &Lease{}
	defer forgetLeases(table)
	if free, _ := table.snapshotLocked().acquirable(); len(free) != 0 {
		t.Errorf("offered %v at once", free)
	}
	table.shards[shards[3].ID].seen.since = long
	if free, _ := table.snapshotLocked().acquirable(); len(free) != 1 {
		t.Errorf("offered %v after a while", free)
	}
}

// forgetLeases removes leases that a test added to a table.
func forgetLeases(table *Table) {
	for _, s := range table.shards {
		s.lease = nil
	}
}

// heldByOne returns a table whose two shards worker a holds.
func heldByOne(t *testing.T, db *dynamodb.Client) (name string, shards []Shard) {
	name, shards = tableName(), shardIDs(2)
	a := open(t, db, name, "a", shards...)
	for _, s := range shards {
		acquired(t, a, s.ID)
	}
	return name, shards
}

// A worker that cannot reach Kinesis claims nothing, because it could not read the shards.
func TestNoClaimWithoutListing(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		name, shards := heldByOne(t, real)
		b := open(t, real, name, "b", shards...)
		err := b.Sync(t.Context(), func(context.Context) ([]Shard, time.Time, error) { return nil, time.Time{}, errBroken })
		if !errors.Is(err, errBroken) {
			t.Errorf("want the error of the listing, got %v", err)
		}
		if b.Claiming() {
			t.Error("b claims a lease")
		}
		if err := b.Sync(t.Context(), lists(shards...)); err != nil {
			t.Fatal(err)
		}
		if !b.Claiming() {
			t.Error("b claims nothing when Kinesis answers again")
		}
	})
}

// Workers count as alive until a scan shows that they are not. So a worker that cannot read
// leaves shards to them, however rarely it scans.
func TestAliveUntilNextScan(t *testing.T) {
	table := unconnected(t, "w")
	shards := shardIDs(2)
	long := time.Now().Add(-2 * table.cfg.LeaseDuration)
	rows := map[string]row{shards[0].ID: {owner: "a", epoch: 1, counter: 1},
		shards[1].ID: {epoch: 1, counter: 1, failures: failingAt, failedBy: "w"}}
	table.observe(shards, rows, long, long)
	table.shards[shards[1].ID].seen.retry = time.Now()
	if free, _ := table.snapshotLocked().acquirable(); slices.Contains(free, shards[1].ID) {
		t.Error("offered a shard of a living worker after a long time without a scan")
	}
	table.observe(shards, rows, time.Now(), time.Now())
	if free, _ := table.snapshotLocked().acquirable(); !slices.Contains(free, shards[1].ID) {
		t.Error("not offered the shard of a dead worker")
	}
}

// A row that cannot be deleted does not stop the balancing.
func TestBalanceWithoutSweep(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		name, shards := heldByOne(t, real)
		finish(t, real, name, "shardId-000000000009")
		b := open(t, undeletable{real}, name, "b", shards...)
		var err error
		for range goneAfter {
			err = b.Sync(t.Context(), lists(shards...))
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("want the error of DeleteItem, got %v", err)
		}
		if !b.Claiming() {
			t.Error("b claims nothing")
		}
	})
}

type undeletable struct{ *dynamodb.Client }

func (undeletable) DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return nil, errBroken
}
