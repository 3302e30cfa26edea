package checkpoint

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func readView(t *testing.T, db DynamoDB, table string) *View {
	t.Helper()
	v, err := ReadView(t.Context(), db, table)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// planned returns the plan of a reset that must be possible.
func planned(t *testing.T, v *View, shards []Shard, to string, only ...string) []Reset {
	t.Helper()
	position, err := ParsePosition(to)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := v.PlanReset(shards, only, position, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestView_Success(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		const last, gone = "shardId-000000000004", "shardId-000000000009"
		shards := append([]Shard{{ID: shard0}, {ID: last}}, family...)
		a := openAt(t, db, name, "a", "1999-12-31T09:00:00Z", shards...)
		acquired(t, a, shard0).Acknowledge("100")
		finish(t, db, name, parent1)
		putRow(t, db, name, item{attrShard: str(parent2), attrCheckpoint: str("5"), attrStartPosition: str(trimHorizon)})
		putRow(t, db, name, item{attrShard: str(gone), attrCheckpoint: str("7"), attrParent: str("p"), attrAdjacentParent: str("q")})
		eventually(t, "the checkpoint is written", func() bool {
			r, _ := rowOf(t, db, name, shard0)
			return r.checkpoint == "100"
		})

		f := func(shards []Shard, want map[string]State) {
			t.Helper()
			rows := readView(t, db, name).Rows(shards)
			if len(rows) != len(want) {
				t.Errorf("%d rows", len(rows))
			}
			for i, r := range rows {
				if r.State != want[r.ID] || i > 0 && r.ID <= rows[i-1].ID {
					t.Errorf("%s is %q", r.ID, r.State)
				}
				if r.ID == shard0 && (r.Owner != "a" || r.Checkpoint != "100" || time.Since(r.LastHeartbeat).Abs() > 2*leaseDuration || r.Start.String() != "AT_TIMESTAMP 1999-12-31T09:00:00Z") {
					t.Errorf("%+v", r)
				}
				if r.ID == parent2 && r.State == StateFree && (r.Start.String() != trimHorizon || !r.LastHeartbeat.IsZero()) {
					t.Errorf("%+v", r)
				}
				if r.ID == gone && strings.Join(r.Parents, " ") != "p q" {
					t.Errorf("%+v", r)
				}
			}
		}
		f(shards, map[string]State{shard0: StateActive, parent1: StateFinished, parent2: StateFree, child: StateWaiting, last: StateNotStarted, gone: StateExpired})
		f(nil, map[string]State{shard0: StateActive, parent1: StateFinished, parent2: StateFree, gone: StateFree})

		putRow(t, db, name, item{attrShard: str(child), attrParent: str(parent1), attrAdjacentParent: str(parent2)})
		putRow(t, db, name, item{attrShard: str(parent2), attrCheckpoint: str("5"), attrOwner: str("a"), attrClaim: str("b")})
		f(nil, map[string]State{shard0: StateActive, parent1: StateFinished, parent2: StateClaimed, child: StateWaiting, gone: StateFree})
		// An expired parent blocks its child while it has an owner.
		f(family[2:], map[string]State{shard0: StateExpired, parent1: StateFinished, parent2: StateExpired, child: StateWaiting, gone: StateExpired})
		putRow(t, db, name, item{attrShard: str(parent2), attrCheckpoint: str("5")})
		f(family[2:], map[string]State{shard0: StateExpired, parent1: StateFinished, parent2: StateExpired, child: StateFree, gone: StateExpired})
	})
}

func TestView_Failure(t *testing.T) {
	onBoth(t, func(t *testing.T, db *dynamodb.Client) {
		if _, err := ReadView(t.Context(), db, tableName()); !errors.Is(err, ErrNoTable) {
			t.Errorf("missing table: %v", err)
		}
		name := tableName()
		openPatient(t, db, name, "a")
		putRow(t, db, name, item{attrShard: str(startKey), attrStartPosition: str("nowhere")})
		if _, err := ReadView(t.Context(), db, name); err == nil || !strings.Contains(err.Error(), startKey) {
			t.Errorf("bad first start: %v", err)
		}
	})
}

// After a reset every shard is read from the position, including shards without a row and
// finished ones. Children still wait for their parents.
func TestReset_Success(t *testing.T) {
	f := func(to, want string, finishedToo bool, only ...string) {
		t.Run(to, func(t *testing.T) {
			t.Helper()
			onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
				name := tableName()
				shards := append([]Shard{{ID: shard0}}, family...)
				a := open(t, db, name, "a", shards...)
				acquired(t, a, shard0).Acknowledge("100")
				if err := a.Release(shard0); err != nil {
					t.Fatal(err)
				}
				finish(t, db, name, parent1)
				putRow(t, db, name, item{attrShard: str(parent2), attrCheckpoint: str("5"), attrClaim: str("x"),
					attrStartPosition: str(atTimestamp), attrStartTimestamp: num(1)})

				v := readView(t, db, name)
				plan := planned(t, v, shards, to, only...)
				for _, r := range plan {
					if err := v.Reset(t.Context(), r, false); err != nil {
						t.Fatal(err)
					}
				}
				begins := func(r row) string {
					switch {
					case r.checkpoint != "":
						return r.checkpoint
					case r.start == nil:
						return ""
					case want == "now" && time.Since(r.start.time).Abs() < 5*time.Second:
						return "now"
					}
					return r.start.String()
				}
				wants := map[string]string{shard0: want, parent2: want, child: want, parent1: ShardEnd}
				if finishedToo {
					wants[parent1] = want
				}
				if len(only) > 0 {
					wants = map[string]string{shard0: want, parent2: "5", child: "", parent1: ShardEnd}
				}
				for id, want := range wants {
					r, exists := rowOf(t, db, name, id)
					if begins(r) != want || exists != (want != "") || r.owner != "" || want != "5" && r.claim != "" {
						t.Errorf("%s: %+v begins at %q, want %q", id, r, begins(r), want)
					}
				}
				if r, _ := rowOf(t, db, name, shard0); r.epoch != 2 || r.counter < 3 {
					t.Errorf("%+v", r)
				}

				b := open(t, db, name, "b", shards...)
				if got := acquired(t, b, shard0); got.Checkpoint() != "" || got.Start() != *must(rowOf(t, db, name, shard0)).start {
					t.Errorf("the next owner begins at %q, %s", got.Checkpoint(), got.Start())
				}
				if len(only) > 0 {
					return
				}
				notAcquired(t, b, child)
				finish(t, db, name, parent1)
				finish(t, db, name, parent2)
				resync(t, b)
				if got := acquired(t, b, child); got.Checkpoint() != "" || got.Start() != *must(rowOf(t, db, name, child)).start {
					t.Errorf("the child begins at %q, %s", got.Checkpoint(), got.Start())
				}
				if r, _ := rowOf(t, db, name, child); r.owner != "b" || r.epoch != 1 || r.counter == 0 || len(r.parents) != 2 {
					t.Errorf("the row that the reset made: %+v", r)
				}
			})
		})
	}
	f("trim-horizon", trimHorizon, true)
	f("1999-12-31T09:00:00.123Z", "AT_TIMESTAMP 1999-12-31T09:00:00.123Z", true)
	f("latest", "now", false)
	f("TRIM_HORIZON", trimHorizon, false, shard0)
}

func must(r row, _ bool) row { return r }

func TestPlanReset_Failure(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		open(t, db, name, "a", family...)
		finish(t, db, name, shard0)
		v := readView(t, db, name)
		f := func(to, only, want string) {
			t.Helper()
			position, err := ParsePosition(to)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.PlanReset(family, []string{parent1, only}, position, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
		f("latest", shard0, shard0+" is no longer listed")
		f("latest", "shardId-7", "shardId-7 is neither")
		f("2999-01-01T00:00:00Z", parent1, "in the future")
		// Shards that Kinesis does not list are left out unless they are named.
		for _, r := range planned(t, v, family, "trim-horizon") {
			if r.ID == shard0 {
				t.Error("the plan resets an expired shard")
			}
		}
	})
}

// A row that has changed is not written to.
func TestReset_Failure(t *testing.T) {
	f := func(name string, force bool, before, after item) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			onBoth(t, func(t *testing.T, db *dynamodb.Client) {
				table := tableName()
				openPatient(t, db, table, "a", Shard{ID: shard0})
				put := func(it item) {
					if it != nil {
						it[attrShard] = str(shard0)
						putRow(t, db, table, it)
					}
				}
				put(before)
				v := readView(t, db, table)
				plan := planned(t, v, []Shard{{ID: shard0}}, "trim-horizon")
				if after != nil {
					put(after)
				} else if err := errorOf(db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: item{attrShard: str(shard0)}})); err != nil {
					t.Fatal(err)
				}
				was, existed := rowOf(t, db, table, shard0)
				if err := v.Reset(t.Context(), plan[0], force); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), shard0) {
					t.Errorf("%v", err)
				}
				if is, exists := rowOf(t, db, table, shard0); !is.sameHolder(was) || is.checkpoint != was.checkpoint || exists != existed {
					t.Errorf("%+v became %+v", was, is)
				}
			})
		})
	}
	owned := func(owner string, epoch, counter int64, checkpoint string) item {
		it := item{attrEpoch: num(epoch), attrCounter: num(counter), attrCheckpoint: str(checkpoint)}
		if owner != "" {
			it[attrOwner] = str(owner)
		}
		return it
	}
	f("started", false, nil, owned("b", 1, 1, "1"))
	f("taken", false, owned("", 1, 3, "1"), owned("b", 2, 4, "1"))
	f("taken and released", false, owned("", 1, 3, "1"), owned("", 2, 3, "1"))
	f("renewed", false, owned("a", 1, 3, "1"), owned("a", 1, 4, "1"))
	f("checkpointed without a counter", false, item{attrCheckpoint: str("1")}, item{attrCheckpoint: str("2")})
	f("renewed without a counter", false, item{attrOwner: str("a"), attrTimeout: str("1")}, item{attrOwner: str("a"), attrTimeout: str("2")})
	f("deleted", false, owned("", 1, 3, "1"), nil)
	f("deleted, an empty row", false, item{attrStartPosition: str(trimHorizon)}, nil)
	f("force: taken over", true, owned("a", 1, 3, "1"), owned("b", 1, 3, "1"))
	f("force: in another epoch", true, owned("a", 1, 3, "1"), owned("a", 2, 3, "1"))
	f("force: finished", true, owned("a", 1, 3, "1"), owned("a", 1, 4, ShardEnd))
}

func errorOf[T any](_ T, err error) error { return err }

// A reset whose first answer was lost succeeds when it is retried.
func TestReset_Unanswered(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		name := tableName()
		open(t, db, name, "a", Shard{ID: shard0}, Shard{ID: parent1})
		putRow(t, real, name, item{attrShard: str(shard0), attrCheckpoint: str("5"), attrEpoch: num(3), attrCounter: num(9)})
		v := readView(t, db, name)
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			if _, err := real.UpdateItem(ctx, in); err != nil {
				return nil, err
			}
			return real.UpdateItem(ctx, in)
		})
		for _, r := range planned(t, v, []Shard{{ID: shard0}, {ID: parent1}}, "1999-12-31T09:00:00Z") {
			if err := v.Reset(t.Context(), r, false); err != nil {
				t.Error(err)
			}
		}
		if r, _ := rowOf(t, real, name, shard0); r.epoch != 4 || r.counter != 10 {
			t.Errorf("%+v", r)
		}
	})
}

// With force a living worker is fenced off: it loses its lease, and its late checkpoint does
// not overwrite the reset.
func TestReset_Fences(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		v := readView(t, db, name)
		lease.Acknowledge("100")
		eventually(t, "the row is renewed", func() bool {
			r, _ := rowOf(t, db, name, shard0)
			return r.checkpoint == "100"
		})
		plan := planned(t, v, []Shard{{ID: shard0}}, "trim-horizon")
		if err := v.Reset(t.Context(), plan[0], false); !errors.Is(err, ErrChanged) {
			t.Fatalf("without force: %v", err)
		}
		if err := v.Reset(t.Context(), plan[0], true); err != nil {
			t.Fatal(err)
		}
		lease.Acknowledge("200")
		if err := lease.try(t.Context(), renewal, "200", true, false, leaseDuration); !errors.Is(err, errTaken) {
			t.Errorf("renewal: %v", err)
		}
		select {
		case <-lease.Context().Done():
		case <-time.After(2 * leaseDuration):
			t.Error("the lease is not lost")
		}
		if err := a.Release(shard0); err != nil {
			t.Error(err)
		}
		if r, _ := rowOf(t, db, name, shard0); r.checkpoint != "" || r.owner != "" || r.epoch != 2 || r.start == nil {
			t.Errorf("%+v", r)
		}
		if again := acquired(t, a, shard0); again.Checkpoint() != "" || again.Start().String() != trimHorizon {
			t.Errorf("it begins again at %q, %s", again.Checkpoint(), again.Start())
		}
	})
}

func TestView_Alive(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		alive := func(want string, exact, least, most time.Duration) {
			t.Helper()
			begun := time.Now()
			worker, err := readView(t, db, name).Alive(t.Context())
			if worker != want || err != nil {
				t.Errorf("%q, %v", worker, err)
			}
			took(t, db, "an answer", begun, exact, exact-least, most-exact)
		}
		a := open(t, db, name, "a", Shard{ID: shard0})
		alive("", 0, 0, time.Second) // no row has an owner: no wait
		acquired(t, a, shard0)
		alive("a", alivePoll, leaseDuration/4, 3*time.Second)
		a.Close()
		alive("", leaseDuration, leaseDuration, 3*time.Second) // silent
		// The longest lease counts.
		r := item{attrShard: str(parent1), attrOwner: str("b"), attrEpoch: num(1), attrCounter: num(1), attrDuration: num(2500)}
		putRow(t, db, name, r)
		alive("", 2500*time.Millisecond, 2500*time.Millisecond, 5*time.Second)
		go func() {
			time.Sleep(1500 * time.Millisecond)
			r[attrCounter] = num(2)
			db.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: &name, Item: r})
		}()
		alive("b", 2*alivePoll, 1500*time.Millisecond, 4*time.Second)
		// A worker that releases its lease in the meantime was alive. Workers of
		// vmware-go-kcl-v2 renew the timeout.
		name = tableName()
		open(t, db, name, "a")
		r = item{attrShard: str(parent1), attrOwner: str("c"), attrTimeout: str("1")}
		putRow(t, db, name, r)
		before := readView(t, db, name)
		putRow(t, db, name, item{attrShard: str(parent1), attrOwner: str("c"), attrTimeout: str("2")})
		if worker, err := before.Alive(t.Context()); worker != "c" || err != nil {
			t.Errorf("%q, %v", worker, err)
		}
		putRow(t, db, name, item{attrShard: str(parent1), attrTimeout: str("1")})
		if worker, err := before.Alive(t.Context()); worker != "c" || err != nil {
			t.Errorf("%q, %v", worker, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := before.Alive(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	})
}
