package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"
)

func TestRetryPause(t *testing.T) {
	table := unconnected(t, "w")
	table.cfg.LeaseDuration = 15 * time.Second
	for failures, want := range []int{0, 0, 5, 10, 20, 40, 80, 120, 120} {
		if got := table.retryPause(int64(failures)); int(got.Seconds()) != want {
			t.Errorf("after %d failures the pause is %s, want %ds", failures, got, want)
		}
	}
	if got := table.retryPause(1 << 40); got != maxRetryPause {
		t.Errorf("the longest pause is %s", got)
	}
	for range 100 {
		r := row{failures: 5}
		if wait := time.Until(table.retryTime(r, time.Now())); wait < 29*time.Second || wait > 50*time.Second {
			t.Fatalf("a pause of 40s is %s", wait)
		}
	}
}

// failedBy makes a worker acquire a lease and fail to read.
func failedBy(t *testing.T, table *Table) {
	t.Helper()
	acquired(t, table, shard0).ReadFailed(errBroken)
	if err := table.Release(shard0); err != nil {
		t.Fatal(err)
	}
}

// Consecutive failures of all workers are counted in the row, until a worker has read the
// shard and renewed its lease.
func TestFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		f := func(when string, failures int64, by string) row {
			t.Helper()
			r, _ := rowOf(t, db, name, shard0)
			if r.failures != failures || r.failedBy != by || r.failingSince.IsZero() != (failures == 0) || r.owner != "" && failures > 0 && by == "" {
				t.Errorf("%s: %+v", when, r)
			}
			return r
		}
		a, b := open(t, db, name, "a", Shard{ID: shard0}), open(t, db, name, "b", Shard{ID: shard0})
		failedBy(t, a)
		since := f("once", 1, "a").failingSince
		time.Sleep(time.Second)
		failedBy(t, b)
		if f("by another", 2, "b").failingSince != since {
			t.Error("the first failure was forgotten")
		}
		lease := acquired(t, a, shard0)
		lease.ReadSucceeded()
		f("read once", 2, "b")
		lease.ReadFailed(errBroken)
		time.Sleep(leaseDuration)
		f("read and failed, throttled for example", 2, "b")
		lease.ReadSucceeded()
		time.Sleep(leaseDuration)
		f("read again", 0, "")
		lease.ReadFailed(errBroken)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		f("failed after a long time", 1, "a")
		lease = acquired(t, b, shard0)
		lease.ReadFailed(errBroken)
		lease.yield("a")
		if err := b.Release(shard0); err != nil {
			t.Fatal(err)
		}
		f("ended by a claim", 1, "a")
	})
}

// A shard that failed is not offered during its pause. The worker that failed last waits
// longer than others. A failing shard is offered regardless of shares.
func TestFailingIsOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shards := shardIDs(3)
		bad := shards[2].ID
		f := func(what string, failures int64, by string, unread bool, mine, theirs int, from time.Duration) {
			t.Helper()
			table := unconnected(t, "w")
			if unread {
				table.cooldown.add(bad, "w", row{}, failures, errBroken)
			}
			table.observe(shards, map[string]row{}, time.Now(), time.Now()) // the start is over
			rows := map[string]row{bad: {epoch: 1, counter: 1, failures: failures, failedBy: by}}
			for i, s := range shards[:mine+theirs] {
				owner := "a"
				if i < mine {
					owner = "w"
					table.shards[s.ID].lease = &Lease{}
				}
				rows[s.ID] = row{owner: owner, epoch: 1, counter: 1}
			}
			begun := time.Now()
			table.observe(shards, rows, begun, begun)
			defer forgetLeases(table)
			for {
				table.mu.Lock()
				free, next := table.snapshotLocked().acquirable()
				table.mu.Unlock()
				if slices.Contains(free, bad) {
					break
				}
				time.Sleep(max(next, time.Millisecond))
				for _, s := range table.shards { // the others are alive
					s.seen.read = s.seen.since
				}
			}
			if after := time.Since(begun); after < from*3/4 || after > from*5/4 {
				t.Errorf("%s: offered after %s, not %s", what, after, from)
			}
		}
		const lease = time.Hour
		f("one failure", 1, "w", false, 1, 1, 0)
		f("one failure here, and nothing read", 1, "w", true, 1, 1, 2*lease)
		f("one failure of another, with more than the share", 1, "a", false, 2, 0, 0)
		f("failing", 2, "a", false, 1, 1, maxRetryPause)
		f("failing, with more than the share", 2, "a", false, 2, 0, maxRetryPause)
		f("failed here, without others", 2, "w", true, 2, 0, maxRetryPause)
		f("failed here, with others", 2, "w", false, 1, 1, maxRetryPause+2*lease)
	})
}

// A failing shard counts in no worker's share and is not claimed.
func TestFailingIsInNoShare(t *testing.T) {
	table := unconnected(t, "w")
	shards := shardIDs(5)
	rows := map[string]row{
		shards[0].ID: {owner: "a", epoch: 1, counter: 1, failures: failingAt, failedBy: "a"},
		shards[1].ID: {owner: "a", epoch: 1, counter: 1},
		shards[2].ID: {owner: "a", epoch: 1, counter: 1, failures: failingAt - 1, failedBy: "a"},
		shards[3].ID: {epoch: 1, counter: 1, failures: failingAt, failedBy: "a"},
		shards[4].ID: {epoch: 1, counter: 1, failures: failingAt, failedBy: "a", checkpoint: ShardEnd},
	}
	table.observe(shards, rows, time.Now(), time.Now())
	if counts, free := table.snapshotLocked().shares(); counts["a"] != 2 || free != 0 {
		t.Errorf("shares %v, %d free", counts, free)
	}
	for range 20 { // a worker without a lease claims by chance
		if plan := table.snapshotLocked().plan(rand.Shuffle); len(plan) != 1 || plan[0].shard == shards[0].ID {
			t.Fatalf("claims %v", plan)
		}
	}
	if failing := table.Failing(); len(failing) != 2 {
		t.Errorf("failing: %v", failing)
	}
}

// The cause is the shard if it fails for other workers, too, and none has read it since.
// Otherwise the cause is the worker: it claims nothing until it reads any shard.
func TestBlame(t *testing.T) {
	type failure struct {
		acquired row
		failures int64
	}
	f := func(what string, mine []failure, now row, cooling bool) {
		t.Helper()
		table := unconnected(t, "w")
		table.observe(shardIDs(1), map[string]row{shard0: now}, time.Now(), time.Now())
		for _, m := range mine {
			table.cooldown.add(shard0, "w", m.acquired, m.failures, errBroken)
		}
		if table.snapshotLocked().isCoolingDown() != cooling {
			t.Errorf("%s: cooling down %v", what, !cooling)
		}
		if err := table.CanRead(); err != nil && !now.failing() {
			t.Errorf("%s: CanRead fails at once: %v", what, err)
		}
		table.cooldown.since = table.cooldown.since.Add(-unreadFor)
		if err := table.CanRead(); err == nil && (cooling || now.failing()) {
			t.Errorf("%s: CanRead returns nil", what)
		}
		table.cooldown.noteRead()
		if table.snapshotLocked().isCoolingDown() {
			t.Errorf("%s: cooling down though it reads", what)
		}
	}
	byA, byW := func(n int64) row { return row{failures: n, failedBy: "a"} }, func(n int64) row { return row{failures: n, failedBy: "w"} }
	f("failed here alone", []failure{{row{}, 1}, {byW(1), 2}}, byW(2), true)
	f("failed elsewhere before", []failure{{byA(1), 2}}, byW(2), false)
	f("failed elsewhere before, and twice here", []failure{{byA(1), 2}, {byW(2), 3}}, byW(3), false)
	f("failed elsewhere after", []failure{{row{}, 1}}, byA(2), false)
	f("read elsewhere after", []failure{{row{}, 1}}, row{}, true)
	f("failed elsewhere before, read elsewhere after", []failure{{byA(1), 2}}, row{}, true)
	f("failed elsewhere, read elsewhere, failed elsewhere once", []failure{{byA(4), 5}}, byA(1), true)
	f("failed, read elsewhere, and failed again", []failure{{byA(4), 5}, {row{}, 1}}, byW(1), true)
	f("the lease was not released", []failure{{row{}, 0}}, row{}, true)
}

// A worker that could not read anything claims one lease after its cooldown, and the next one
// when it has read that shard.
func TestOneClaimAfterCooldown(t *testing.T) {
	table := unconnected(t, "w")
	rows := map[string]row{}
	for _, s := range shardIDs(8) {
		rows[s.ID] = row{owner: "a", epoch: 1, counter: 1}
	}
	table.observe(shardIDs(8), rows, time.Now(), time.Now())
	f := func(when string, claims int) {
		t.Helper()
		if plan := table.snapshotLocked().plan(rand.Shuffle); len(plan) != claims {
			t.Errorf("%s: claims %v", when, plan)
		}
	}
	f("before", 1)
	table.cooldown.add(shard0, "w", row{}, 1, errBroken)
	f("cooling down", 0)
	table.cooldown.last = time.Now().Add(-2 * table.cfg.LeaseDuration)
	f("after one failure", 1)
	table.cooldown.add(shard0, "w", row{}, 1, errBroken)
	table.cooldown.last = time.Now().Add(-2 * table.cfg.LeaseDuration)
	f("after two failures", 0)
	table.cooldown.last = time.Now().Add(-9 * table.cfg.LeaseDuration)
	table.claimed = time.Now()
	o := &table.shards[shard0].seen
	o.claim = "w"
	f("it has claimed one", 0)
	o.claim, o.owner = "", "w"
	lease := &Lease{table: table, shard: shard0}
	table.shards[shard0].lease = lease
	defer forgetLeases(table)
	f("it has one", 0)
	lease.ReadSucceeded()
	f("it reads", 1)
	table.cooldown.add("another", "w", row{}, 1, errBroken)
	lease.ReadSucceeded()
	f("it still reads, another failed", 1)
}

// Failures are logged once per shard and minute, with their number. The leases of the tries
// are not logged.
func TestFailuresAreLoggedSparsely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		table := open(t, fakeDB(), tableName(), "w", Shard{ID: shard0})
		table.cfg.Log = zerolog.New(&log).Level(zerolog.InfoLevel)
		begun := time.Now()
		for range 60 {
			failedBy(t, table)
			time.Sleep(3 * time.Second)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if n := strings.Count(log.String(), "shard cannot be read"); n != int(time.Since(begun)/reportInterval) || len(lines) != n+1 {
			t.Errorf("%d of %d lines:\n%s", n, len(lines), log.String())
		}
		for _, want := range []string{`"failures":21,"since_last_line":20`, errBroken.Error()} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %s:\n%s", want, log.String())
			}
		}
		log.Reset()
		acquired(t, table, shard0).ReadSucceeded()
		time.Sleep(leaseDuration)
		if err := table.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), `"failures":60,"message":"shard is read again"`) {
			t.Errorf("read again:\n%s", log.String())
		}
	})
}

// Failing shards are retried soon when a worker starts or when one of them can be read again,
// but not each time if a shard can be read only intermittently.
func TestRetrySoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := unconnected(t, "w")
		table.cfg.LeaseDuration = 15 * time.Second
		shards := shardIDs(2)
		counter := int64(0)
		observe := func(failures ...int64) {
			rows := map[string]row{}
			counter++
			for i, n := range failures {
				rows[shards[i].ID] = row{epoch: 1, counter: counter, failures: n}
				if i == 0 && n > 0 {
					rows[shards[i].ID] = row{epoch: 1, counter: 1, failures: n}
				}
			}
			time.Sleep(time.Second)
			table.observe(shards, rows, time.Now(), time.Now())
		}
		f := func(when string, soon bool) {
			t.Helper()
			if wait := time.Until(table.shards[shards[0].ID].seen.retry); (wait <= table.callTimeout()) != soon {
				t.Errorf("%s: tried in %s", when, wait)
			}
		}
		again := func() {
			table.shards[shards[0].ID].seen.retry = time.Now().Add(maxRetryPause)
		}
		observe(9, 9)
		f("at start", true)
		again()
		observe(9, 9)
		f("nothing happened", false)
		time.Sleep(reportInterval)
		again()
		observe(9, 0)
		f("another is read again", true)
		again()
		observe(9, 9)
		observe(9, 0)
		f("another is read again after a while", false)
	})
}

// A reset removes the failures of a shard: it is tried at once.
func TestResetForgetsFailures(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		table := open(t, db, name, "w", Shard{ID: shard0})
		for range 9 {
			failedBy(t, table)
		}
		v, err := ReadView(t.Context(), db, name)
		if err != nil {
			t.Fatal(err)
		}
		if r := v.Rows(shardIDs(1))[0]; r.State != StateFailing || r.FailedBy != "w" {
			t.Errorf("it is shown as %+v", r)
		}
		plan, err := v.PlanReset(shardIDs(1), nil, Position{kind: trimHorizon}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Reset(t.Context(), plan[0], false); err != nil {
			t.Fatal(err)
		}
		if r, _ := rowOf(t, db, name, shard0); r.failures != 0 || r.failedBy != "" || !r.failingSince.IsZero() {
			t.Errorf("after the reset: %+v", r)
		}
	})
}

// A worker with the same name as another does not take the other's acquisition for its own,
// although owner and epoch match its request.
func TestNameUsedTwice(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		a, b := open(t, db, name, "w", Shard{ID: shard0}), open(t, db, name, "w", Shard{ID: shard0})
		b.cfg.Clock = func() time.Time { return time.Now().Add(time.Minute) }
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		if err := tick(b, shard0); !errors.Is(err, ErrNotAcquired) || b.Held() != 0 {
			t.Errorf("the second worker of the name holds %d leases: %v", b.Held(), err)
		}
	})
}

// An acquisition that is answered after Close returns no lease, because Close would not wait
// for its heartbeat.
func TestNoLeaseAfterClose(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		table := open(t, db, tableName(), "w", Shard{ID: shard0})
		db.inject(func(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
			out, err := real.UpdateItem(ctx, in)
			table.Close()
			return out, err
		})
		if err := tick(table, shard0); !errors.Is(err, context.Canceled) || table.Held() != 0 {
			t.Errorf("%d leases of a closed table: %v", table.Held(), err)
		}
	})
}
