package checkpoint

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const planLease = time.Minute // the lease duration of the observing worker

// snapshotWith returns the snapshot of worker w with listed shards.
func snapshotWith(listed ...Shard) *snapshot {
	now := time.Now()
	snap := &snapshot{shards: make(shardStates), worker: "w", now: now, leaseDuration: planLease, listed: now}
	for _, s := range listed {
		snap.shards.state(s.ID).listed = listedShard{Shard: s, known: true, since: now}
	}
	return snap
}

// show adds a row that was just read and has been unchanged for a time.
func (snap *snapshot) show(id string, r row, unchanged time.Duration) *shardState {
	s := snap.shards.state(id)
	s.seen = observation{row: r, exists: true, since: snap.now.Add(-unchanged), read: snap.now}
	return s
}

// Whether a row's owner is alive and its lease is free depends on how long the row has been
// unchanged, on both lease durations, and on the claim.
func TestHolder(t *testing.T) {
	t.Parallel()
	f := func(name string, r row, unchanged time.Duration, alive, free bool, holder string) {
		t.Helper()
		snap := snapshotWith()
		o := snap.show(shard0, r, unchanged).seen
		if snap.isAlive(o) != alive || snap.isFree(o) != free || snap.holder(o) != holder {
			t.Errorf("%s: alive %v, free %v, holder %q", name, snap.isAlive(o), snap.isFree(o), snap.holder(o))
		}
	}
	f("no owner", row{}, 0, false, true, "")
	f("renewed just now", row{owner: "a"}, 0, true, false, "a")
	f("about to be lost", row{owner: "a"}, planLease-1, true, false, "a")
	f("silent", row{owner: "a"}, planLease, false, true, "")
	f("silent, of a longer lease", row{owner: "a", duration: 2 * planLease}, planLease, true, false, "a")
	f("silent for a longer lease", row{owner: "a", duration: 2 * planLease}, 2*planLease, false, true, "")
	f("of a shorter lease", row{owner: "a", duration: time.Second}, planLease-1, true, false, "a")
	f("claimed", row{owner: "a", claim: "b"}, 0, true, false, "b")
	f("claimed, and silent", row{owner: "a", claim: "b"}, planLease, false, true, "")
	f("released to its claimer", row{claim: "b"}, planLease/heartbeatsPerLease-1, false, true, "b")
	f("released to a claimer that does not acquire it", row{claim: "b"}, planLease/heartbeatsPerLease, false, true, "")

	snap := snapshotWith()
	o := snap.show(shard0, row{owner: "a"}, planLease).seen
	o.read = o.since
	if !snap.isAlive(o) || !snap.isFree(o) {
		t.Error("an owner whose row was not read since counts as dead, or its lease does not become free")
	}
}

// A child waits for parents that are not finished, unless their records have expired.
func TestWaitsFor(t *testing.T) {
	t.Parallel()
	f := func(name string, parent *shardState, waits bool, expired ...string) {
		t.Helper()
		snap := snapshotWith()
		if parent != nil {
			parent.listed.ID, parent.listed.known = parent1, true
			snap.shards[parent1] = parent
		}
		done := snap.show(parent2, row{checkpoint: ShardEnd}, 0)
		done.listed = listedShard{Shard: Shard{ID: parent2, Closed: true}, known: true}
		shard := Shard{ID: child, Parents: []string{parent2, parent1}}
		if why := snap.waitsFor(shard); (why != "") != waits || waits && !strings.Contains(why, parent1) {
			t.Errorf("%s: %q", name, why)
		}
		if got := snap.expired(shard); !slices.Equal(got, expired) {
			t.Errorf("%s: expired: %v", name, got)
		}
	}
	now := time.Now()
	state := func(missing int, r *row, unchanged time.Duration) *shardState {
		s := &shardState{listed: listedShard{missing: missing}}
		if r != nil {
			s.seen = observation{row: *r, exists: true, since: now.Add(-unchanged), read: now}
		}
		return s
	}
	f("never listed, without a row", nil, true)
	f("listed, without a row", state(0, nil, 0), true)
	f("listed, unfinished", state(0, &row{}, 0), true, parent1)
	f("listed, finished", state(0, &row{checkpoint: ShardEnd}, 0), false)
	f("missing for a while", state(goneAfter-1, &row{}, 0), true, parent1)
	f("gone, without a row", state(goneAfter, nil, 0), false)
	f("gone, unfinished, without an owner", state(goneAfter, &row{checkpoint: "7"}, 0), false, parent1)
	f("gone, unfinished, with an owner", state(goneAfter, &row{owner: "a"}, 0), true, parent1)
	f("gone, unfinished, with a silent owner", state(goneAfter, &row{owner: "a"}, 2*planLease), false, parent1)
	foreign := state(0, &row{checkpoint: ShardEnd, first: "1"}, 0)
	foreign.listed.First = "2"
	f("finished in another stream", foreign, true, parent1)
}

// cannotAcquire returns the rule that prevents a lease.
func TestCannotAcquire(t *testing.T) {
	t.Parallel()
	f := func(name, want string, change func(*snapshot)) {
		t.Helper()
		snap := snapshotWith(Shard{ID: shard0, First: "1"}, Shard{ID: parent1, First: "1"})
		change(snap)
		if why := snap.cannotAcquire(shard0); (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s: %q", name, why)
		}
	}
	shows := func(r row, unchanged time.Duration) func(*snapshot) {
		return func(snap *snapshot) { snap.show(shard0, r, unchanged) }
	}
	f("without a row", "", func(*snapshot) {})
	f("without an owner", "", shows(row{}, 0))
	f("unknown", "not listed", func(snap *snapshot) { delete(snap.shards, shard0) })
	f("missing once", "not listed", func(snap *snapshot) { snap.shards[shard0].listed.missing = 1 })
	f("finished", "is finished", shows(row{checkpoint: ShardEnd}, 0))
	f("held", "held by a", shows(row{owner: "a"}, planLease-1))
	f("silent", "", shows(row{owner: "a"}, planLease))
	f("its own row from before a restart", "held by w", shows(row{owner: "w"}, 0))
	f("claimed by another", "claimed by b", shows(row{claim: "b"}, 0))
	f("claimed by itself", "", shows(row{claim: "w"}, 0))
	f("claimed long ago", "", shows(row{claim: "b"}, planLease))
	f("of another stream", "", shows(row{first: "2", checkpoint: ShardEnd}, 0))
	f("of another stream, read after the listing", "have not been listed", func(snap *snapshot) {
		snap.show(shard0, row{first: "2"}, 0)
		snap.listed = snap.now.Add(-1)
	})
	f("in a recreated table", "was recreated", func(snap *snapshot) { snap.tableRecreated = true })
	f("in a recreated table, with a row", "", func(snap *snapshot) {
		snap.tableRecreated = true
		snap.show(shard0, row{}, 0)
	})
	f("with a parent", "waits for its parent", func(snap *snapshot) { snap.shards[shard0].listed.Parents = []string{parent1} })
}

// Shares count each unfinished lease for its holder, and what may be acquired as free.
func TestShares(t *testing.T) {
	t.Parallel()
	listed := shardIDs(10)
	snap := snapshotWith(listed...)
	rows := []row{
		{owner: "a", counter: 1}, {owner: "a", counter: 1}, {owner: "b", counter: 1},
		{owner: "a", counter: 1, claim: "w"}, // being handed off
		{checkpoint: ShardEnd},               // finished
		{failures: failingAt},                // failing
		{owner: "kcl"},                       // of vmware-go-kcl-v2
		{},                                   // free
		{claim: "c"},                         // reserved
	} // and a shard without a row
	for i, r := range rows {
		snap.show(listed[i].ID, r, 0)
	}
	counts, free := snap.shares()
	if want := (shares{"w": 1, "a": 2, "b": 1, "c": 1}); !maps.Equal(counts, want) || free != 2 {
		t.Errorf("shares %v, free %d; want %v, 2", counts, free, want)
	}
	if n := counts.fair(free); n != 2 {
		t.Errorf("a fair share is %d", n)
	}
}

// A worker is offered the leases that the rules and its share allow, and checks again when a
// silent owner's lease or the pause of a failing shard ends.
func TestAcquirable(t *testing.T) {
	t.Parallel()
	f := func(name string, offered []int, next time.Duration, change func(snap *snapshot, ids []Shard)) {
		t.Helper()
		ids := shardIDs(3)
		snap := snapshotWith(ids...)
		change(snap, ids)
		free, after := snap.acquirable()
		var want []string
		for _, i := range offered {
			want = append(want, ids[i].ID)
		}
		if slices.Sort(free); !slices.Equal(free, want) || after != next {
			t.Errorf("%s: %v, next %s; want %v, %s", name, free, after, want, next)
		}
	}
	held := row{owner: "a", counter: 1}
	f("all", []int{0, 1, 2}, planLease, func(*snapshot, []Shard) {})
	f("one was tried", []int{0, 2}, planLease, func(snap *snapshot, ids []Shard) { snap.shards[ids[1].ID].tried = snap.now.Add(-1) })
	f("one was tried long ago", []int{0, 1, 2}, planLease, func(snap *snapshot, ids []Shard) { snap.shards[ids[1].ID].tried = snap.now.Add(-planLease) })
	f("one lease expires", []int{1, 2}, planLease/4, func(snap *snapshot, ids []Shard) { snap.show(ids[0].ID, held, planLease*3/4) })
	f("the rest is the other's share", nil, planLease, func(snap *snapshot, ids []Shard) {
		snap.show(ids[0].ID, row{owner: "w", counter: 1}, 0)
		snap.show(ids[1].ID, row{owner: "w", counter: 1}, 0)
		snap.show(ids[2].ID, row{counter: 1}, 0)
		snap.shards["other"] = &shardState{listed: listedShard{Shard: Shard{ID: "other"}, known: true}}
		snap.show("other", held, 0)
	})
	f("the other's share, which it does not acquire", []int{2}, planLease, func(snap *snapshot, ids []Shard) {
		snap.show(ids[0].ID, row{owner: "w", counter: 1}, 0)
		snap.show(ids[1].ID, row{owner: "w", counter: 1}, 0)
		snap.show(ids[2].ID, row{counter: 1}, planLease)
		snap.shards["other"] = &shardState{listed: listedShard{Shard: Shard{ID: "other"}, known: true}}
		snap.show("other", held, 0)
	})
	f("a lease released to it counts for it already", []int{1}, planLease, func(snap *snapshot, ids []Shard) {
		snap.show(ids[0].ID, row{owner: "w", counter: 1}, 0)
		snap.show(ids[1].ID, row{counter: 1, claim: "w"}, 0)
		snap.show(ids[2].ID, held, 0)
		snap.shards["other"] = &shardState{listed: listedShard{Shard: Shard{ID: "other"}, known: true}}
		snap.show("other", held, 0)
	})
	f("one is paused", []int{0, 1}, time.Second, func(snap *snapshot, ids []Shard) {
		snap.show(ids[2].ID, row{failures: failingAt, failedBy: "a"}, 0).seen.retry = snap.now.Add(time.Second)
	})
	f("one is held here", []int{0, 1}, planLease, func(snap *snapshot, ids []Shard) { snap.shards[ids[2].ID].lease = &Lease{} })
	f("refused, and one is held", nil, planLease, func(snap *snapshot, ids []Shard) {
		snap.refused, snap.shards[ids[2].ID].lease = true, &Lease{}
	})
}

// Decisions do not change the snapshot and are deterministic, except for the shuffle of a
// worker without leases.
func TestDecisionsChangeNothing(t *testing.T) {
	t.Parallel()
	prepare := func() *snapshot {
		random := rand.New(rand.NewPCG(1, 2))
		listed := shardIDs(60)
		snap := snapshotWith(listed...)
		snap.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		snap.listed = snap.now
		for i, s := range listed {
			snap.shards[s.ID].listed.since = snap.now
			if i%7 > 0 {
				owner := []string{"", "w", "a", "a", "a", "b"}[random.IntN(6)]
				snap.show(s.ID, row{owner: owner, epoch: 1, counter: random.Int64N(3), failures: random.Int64N(3)}, time.Duration(random.Int64N(int64(2*planLease))))
			}
		}
		return snap
	}
	decide := func(snap *snapshot) string {
		free, next := snap.acquirable()
		slices.Sort(free)
		counts, n := snap.shares()
		return fmt.Sprint(free, next, counts, n, snap.plan(func(int, func(i, j int)) {}), snap.unneeded(), snap.isClaiming())
	}
	snap := prepare()
	first := decide(snap)
	if second := decide(snap); second != first {
		t.Errorf("decided %s, then %s", first, second)
	}
	if !reflect.DeepEqual(snap, prepare()) {
		t.Error("a decision changed the snapshot")
	}
}

// A command shows a shard as waiting, foreign or finished if and only if workers treat it
// as such.
func TestCommandsAndWorkersAgree(t *testing.T) {
	t.Parallel()
	rows := map[string]*row{
		"no row": nil, "free": {checkpoint: "7", first: "5"}, "owned": {owner: "a", epoch: 1, counter: 1}, "finished": {checkpoint: ShardEnd, first: "5"},
		"foreign": {checkpoint: ShardEnd, first: "4"}, "outside": {checkpoint: "3"}, "finished, of no shard": {checkpoint: ShardEnd},
	}
	listings := map[string][]Shard{
		"open": {{ID: parent1, First: "5"}}, "closed": {{ID: parent1, First: "5", Last: "9", Closed: true}}, "not listed": nil,
	}
	for rowName, r := range rows {
		for listingName, listed := range listings {
			synctest.Test(t, func(t *testing.T) {
				shards := append(slices.Clone(listed), Shard{ID: child, First: "6", Parents: []string{parent1}})
				table := make(map[string]row)
				if r != nil {
					table[parent1] = *r
				}
				a := unconnected(t, "w")
				for range goneAfter {
					time.Sleep(reopenedFor)
					if r != nil && r.owner != "" { // its owner is alive
						next := table[parent1]
						next.counter++
						table[parent1] = next
					}
					a.observe(shards, table, time.Now(), time.Now())
				}
				a.mu.Lock()
				defer a.mu.Unlock()
				worker := a.snapshotLocked()
				v := &View{rows: table, first: start{position: Position{kind: trimHorizon}}}
				for _, shown := range v.Rows(shards) {
					s := worker.shards.get(shown.ID)
					if state := worker.state(s); state != shown.State {
						t.Errorf("parent %s, %s: the command shows %s as %s, a worker takes it for %s", rowName, listingName, shown.ID, shown.State, state)
					}
				}
			})
		}
	}
}
