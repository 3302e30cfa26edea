package checkpoint

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const shard0 = "shardId-000000000000"

func TestLeaseLifeCycle(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		if got := lease.Checkpoint(); got != "" {
			t.Errorf("a new shard begins at %q", got)
		}
		if r, _ := rowOf(t, db, name, shard0); r.owner != "a" || r.epoch != 1 || r.counter != 1 {
			t.Errorf("row after acquire: %+v", r)
		}
		lease.Acknowledge("100")
		eventually(t, "a heartbeat writes the checkpoint", func() bool {
			r, _ := rowOf(t, db, name, shard0)
			return r.checkpoint == "100" && r.counter > 1
		})
		lease.Acknowledge("200")
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if r, _ := rowOf(t, db, name, shard0); r.owner != "" || r.checkpoint != "200" || r.epoch != 1 {
			t.Errorf("row after release: %+v", r)
		}
		if lease.Reading().Err() == nil {
			t.Error("a released lease may be read")
		}
		b := open(t, db, name, "b", Shard{ID: shard0})
		if got := acquired(t, b, shard0).Checkpoint(); got != "200" {
			t.Errorf("the next owner begins at %q", got)
		}
		if r, _ := rowOf(t, db, name, shard0); r.owner != "b" || r.epoch != 2 {
			t.Errorf("row after the handover: %+v", r)
		}
	})
}

// A living owner keeps its lease. When it falls silent, another worker takes the lease over
// after a lease duration.
func TestTakeover(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		b := open(t, db, name, "b", Shard{ID: shard0})
		acquired(t, a, shard0).Acknowledge("100")
		for end := time.Now().Add(2 * leaseDuration); time.Now().Before(end); time.Sleep(poll) {
			notAcquired(t, b, shard0)
		}
		a.Close() // its heartbeats end, its row remains
		resync(t, b)
		silent := time.Now()
		lastRenewal := b.shards.get(shard0).seen.since
		eventually(t, "b takes over", func() bool {
			resync(t, b)
			return tick(b, shard0) == nil
		})
		took(t, db, "taken over", lastRenewal, leaseDuration, 0, 6*leaseDuration)
		// The last renewal was observed up to a heartbeat earlier.
		if waited := time.Since(silent); waited < leaseDuration/2 {
			t.Errorf("taken over after %s of silence", waited)
		}
		if got := b.Lease(shard0).Checkpoint(); got != "100" {
			t.Errorf("b begins at %q", got)
		}
	})
}

// A row with this worker's name and no heartbeat is from before a restart. It is taken over
// only after the lease duration, like any other row.
func TestOwnRowFromBeforeRestart(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		before := open(t, db, name, "a", Shard{ID: shard0})
		acquired(t, before, shard0)
		before.Close()
		begun := time.Now()
		again := open(t, db, name, "a", Shard{ID: shard0})
		notAcquired(t, again, shard0)
		if owner, checkpoint := again.Observed(shard0); owner != "a" || checkpoint != "" {
			t.Errorf("owner %q, checkpoint %q", owner, checkpoint)
		}
		eventually(t, "the row is taken over", func() bool {
			resync(t, again)
			return tick(again, shard0) == nil
		})
		took(t, db, "taken", begun, leaseDuration, 0, 6*leaseDuration)
	})
}

// When many workers race for one shard, new or released, one gets it.
func TestAcquireRace(t *testing.T) {
	f := func(name string, released bool) {
		t.Run(name, func(t *testing.T) {
			onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				if released {
					first := open(t, db, table, "first", Shard{ID: shard0})
					acquired(t, first, shard0)
					if err := first.Release(shard0); err != nil {
						t.Fatal(err)
					}
				}
				var workers []*Table
				for i := range 8 {
					w := open(t, db, table, "w"+strconv.Itoa(i), Shard{ID: shard0})
					resync(t, w)
					workers = append(workers, w)
				}
				var wg sync.WaitGroup
				for _, w := range workers {
					wg.Go(func() { tick(w, shard0) })
				}
				wg.Wait()
				owners := 0
				for _, w := range workers {
					owners += w.Held()
				}
				if owners != 1 {
					t.Errorf("%d workers hold the shard", owners)
				}
			})
		})
	}
	f("new", false)
	f("released", true)
}

// A worker that lost a shard changes nothing.
func TestLostLeaseChangesNothing(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		name := tableName()
		db := &faultyDB{Client: real}
		a := open(t, db, name, "a", Shard{ID: shard0})
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		lease := a.Lease(shard0)
		lease.Acknowledge("100")
		eventually(t, "the checkpoint is written", func() bool {
			r, _ := rowOf(t, real, name, shard0)
			return r.checkpoint == "100"
		})
		// a pauses: its requests are delayed until b has taken over.
		db.inject(func(ctx context.Context, _ *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		b := open(t, real, name, "b", Shard{ID: shard0})
		eventually(t, "b takes over", func() bool {
			resync(t, b)
			return tick(b, shard0) == nil
		})
		b.Lease(shard0).Acknowledge("150")
		db.update.Store(nil)

		<-lease.Context().Done()
		if err := tick(a, shard0); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a lost lease is acquired before its release: %v", err)
		}
		lease.Acknowledge("50")
		if err := lease.Finish(t.Context()); err == nil {
			t.Error("a lost lease wrote the end of the shard")
		}
		// Write to the row directly, as if the loss were not known locally.
		if err := lease.try(t.Context(), renewal, "50", true, false, leaseDuration); !errors.Is(err, errTaken) {
			t.Errorf("renewal by the former owner: %v", err)
		}
		if err := lease.try(t.Context(), releasing, "50", true, false, leaseDuration); !errors.Is(err, errTaken) {
			t.Errorf("release by the former owner: %v", err)
		}
		if err := a.Release(shard0); err != nil {
			t.Errorf("release of a lost lease: %v", err)
		}
		eventually(t, "b's checkpoint is written", func() bool {
			r, _ := rowOf(t, real, name, shard0)
			return r.owner == "b" && r.epoch == 2 && r.checkpoint == "150"
		})
	})
}

// The epoch fences off an owner that lost a shard and acquired it again: a write of the first
// epoch must not be applied in the second.
func TestEpochFences(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		first := acquired(t, a, shard0)
		first.Acknowledge("100")
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		second := acquired(t, a, shard0)
		// The counter alone is not sufficient: it starts again when a row is deleted and
		// created again.
		first.last.counter = second.last.counter
		if err := first.try(t.Context(), renewal, "50", true, false, leaseDuration); !errors.Is(err, errTaken) {
			t.Errorf("write of an earlier epoch: %v", err)
		}
		if r, _ := rowOf(t, db, name, shard0); r.checkpoint != "100" {
			t.Errorf("checkpoint is %q", r.checkpoint)
		}
	})
}

// A lease that cannot be renewed is lost before others may take it over, even when requests
// hang.
func TestLeaseIsLostInTime(t *testing.T) {
	f := func(name string, fault func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error)) {
		t.Run(name, func(t *testing.T) {
			onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
				db := &faultyDB{Client: real}
				a := open(t, db, tableName(), "a", Shard{ID: shard0})
				lease := acquired(t, a, shard0)
				db.inject(fault)
				since := time.Now()
				select {
				case <-lease.Context().Done():
					took(t, real, "lease lost", since, leaseDuration*9/10, leaseDuration*9/10, leaseDuration/10)
				case <-time.After(3 * leaseDuration):
					t.Error("never lost")
				}
			})
		})
	}
	f("hanging", func(ctx context.Context, _ *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f("failing", func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
		return nil, errBroken
	})
}

// A lease is kept when errors pass within its duration.
func TestLeaseSurvivesTransientErrors(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		n := 0
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			if n++; n%3 != 0 {
				return nil, errBroken
			}
			return real.UpdateItem(ctx, in)
		})
		time.Sleep(3 * leaseDuration)
		if lease.isLost() {
			t.Error("the lease was lost")
		}
	})
}

// losingAnswers returns an UpdateItem that carries out each write, and loses the first answers
// like a broken connection.
func losingAnswers(real *dynamodb.Client, times int) func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	return func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
		out, err := real.UpdateItem(ctx, in)
		if times > 0 {
			times--
			return nil, errBroken
		}
		return out, err
	}
}

func TestUnansweredAcquire(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		// The SDK retries when the answer is lost: the second request finds the row that the
		// first has written.
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			if _, err := real.UpdateItem(ctx, in); err != nil {
				return nil, err
			}
			return real.UpdateItem(ctx, in)
		})
		acquired(t, a, shard0)
		if r, _ := rowOf(t, real, name, shard0); r.owner != "a" || r.epoch != 1 {
			t.Errorf("row: %+v", r)
		}
	})
}

func TestUnansweredReleaseAndRenewal(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		lease.Acknowledge("100")
		db.inject(losingAnswers(real, 1))
		eventually(t, "the renewal succeeds", func() bool {
			r, _ := rowOf(t, real, name, shard0)
			return r.checkpoint == "100"
		})
		lease.Acknowledge("200")
		db.inject(losingAnswers(real, 1))
		if err := a.Release(shard0); err != nil {
			t.Errorf("release: %v", err)
		}
		if r, _ := rowOf(t, real, name, shard0); r.owner != "" || r.checkpoint != "200" {
			t.Errorf("row: %+v", r)
		}
	})
}

// The end of a shard is final: no heartbeat, late acknowledgement or release reverts it, and
// no worker leases the shard again.
func TestShardEndIsFinal(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		lease := a.Lease(shard0)
		lease.Acknowledge("100")
		if err := lease.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		lease.Acknowledge("200")
		time.Sleep(leaseDuration)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if r, _ := rowOf(t, db, name, shard0); !r.finished() || r.owner != "" {
			t.Errorf("row: %+v", r)
		}
		b := open(t, db, name, "b", Shard{ID: shard0})
		if _, err := b.Acquire(t.Context(), shard0); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a finished shard was leased: %v", err)
		}
	})
}

// A shard that was finished since the last scan is not leased.
func TestFinishedSinceScan(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		putRow(t, db, name, item{attrShard: str(shard0), attrCheckpoint: str("100")})
		resync(t, a)
		resync(t, a)
		finish(t, db, name, shard0)
		if _, err := a.Acquire(t.Context(), shard0); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a finished shard was leased: %v", err)
		}
	})
}

// A request that timed out and arrives late changes neither the end of the shard nor a newer
// checkpoint.
func TestLateRenewal(t *testing.T) {
	f := func(name string, end bool, want string) {
		t.Run(name, func(t *testing.T) {
			onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
				db := &faultyDB{Client: real}
				table := tableName()
				a := open(t, db, table, "a", Shard{ID: shard0})
				lease := acquired(t, a, shard0)
				late := make(chan func(), 1)
				db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
					if _, carries := in.ExpressionAttributeValues[":"+attrCheckpoint]; !carries {
						return real.UpdateItem(ctx, in)
					}
					db.update.Store(nil)
					late <- func() { real.UpdateItem(context.Background(), in) }
					<-ctx.Done()
					return nil, ctx.Err()
				})
				lease.Acknowledge("100")
				arrive := <-late
				lease.Acknowledge("200")
				if end {
					if err := lease.Finish(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					eventually(t, "the newer checkpoint is written", func() bool {
						r, _ := rowOf(t, real, table, shard0)
						return r.checkpoint == "200"
					})
				}
				arrive()
				if err := a.Release(shard0); err != nil {
					t.Fatal(err)
				}
				if r, _ := rowOf(t, real, table, shard0); r.checkpoint != want || r.owner != "" {
					t.Errorf("row: %+v", r)
				}
			})
		})
	}
	f("end", true, ShardEnd)
	f("checkpoint", false, "200")
}

// This worker's own unchanged row is not mistaken for the result of an acquisition: others may
// already have waited for most of its lease duration.
func TestOwnRowIsNotAdopted(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		a := open(t, db, tableName(), "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		lease.lose(errLost) // as the heartbeat does when DynamoDB does not respond
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Acquire(t.Context(), shard0); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("adopted: %v", err)
		}
	})
}

// With different lease durations, as in a rolling deployment, the owner's longer lease
// duration applies.
func TestLongerLease(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		long := openFor(t, db, name, "long", 4*leaseDuration, Position{kind: trimHorizon}, Shard{ID: shard0})
		acquired(t, long, shard0)
		short := open(t, db, name, "short", Shard{ID: shard0})
		for end := time.Now().Add(3 * leaseDuration); time.Now().Before(end); time.Sleep(leaseDuration / 20) {
			notAcquired(t, short, shard0)
		}
	})
}

// ReleaseAll releases the leases of readers that hang.
func TestReleaseAll(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0}, Shard{ID: parent1})
		acquired(t, a, shard0).Acknowledge("100")
		acquired(t, a, parent1).Acknowledge("200")
		a.ReleaseAll()
		if err := a.Release(parent1); err != nil { // this reader ends
			t.Fatal(err)
		}
		eventually(t, "both are released", func() bool {
			x, _ := rowOf(t, db, name, shard0)
			y, _ := rowOf(t, db, name, parent1)
			return x.owner == "" && x.checkpoint == "100" && y.owner == "" && y.checkpoint == "200"
		})
	})
}

// While a lease drains, and after it was lost, it is not acquired again. Otherwise the KCL
// would run two readers at once.
func TestNoSecondReader(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		a := open(t, db, tableName(), "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		draining, drained := make(chan struct{}), make(chan struct{})
		lease.BeforeRelease(func() { close(draining); <-drained })
		released := make(chan error)
		go func() { released <- a.Release(shard0) }()
		<-draining
		notAcquired(t, a, shard0)
		if lease.isLost() {
			t.Error("the heartbeat ended before the drain")
		}
		close(drained)
		if err := <-released; err != nil {
			t.Fatal(err)
		}
		acquired(t, a, shard0)
	})
}
