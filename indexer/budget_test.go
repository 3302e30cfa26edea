package indexer

import (
	"context"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// within runs a test of a budget in a bubble. try reserves and reports whether
// there was room at once; what has to wait stays in the queue.
func within(t *testing.T, limit int64, test func(t *testing.T, b *budget, try func(shard string, size int64) bool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(limit)
		ctx, cancel := context.WithCancel(t.Context())
		test(t, b, func(shard string, size int64) bool {
			given := false
			go func() { given = b.reserve(ctx, shard, size) > 0 && ctx.Err() == nil }()
			synctest.Wait()
			return given
		})
		cancel()
		synctest.Wait()
		if len(b.queue)+len(b.paused) > 0 {
			t.Errorf("%d reservations are left", len(b.queue)+len(b.paused))
		}
	})
}

// begins lets a shard begin a record, and reports whether it could.
func begins(t *testing.T, b *budget, shard string) func() bool {
	var begun atomic.Bool
	ctx := t.Context()
	go func() { begun.Store(b.begin(ctx, shard)) }()
	synctest.Wait()
	return begun.Load
}

// A document larger than the limit is let in when nothing else is in flight:
// otherwise it would wait for ever.
func TestReserveMoreThanTheLimit(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		if n := b.reserve(t.Context(), "a", 1000); n != 75 {
			t.Errorf("it counts as %d", n)
		}
		if try("a", 1000) {
			t.Error("two are in flight")
		}
		b.add("a", -75)
		synctest.Wait()
		if used, _, _ := b.state(); used != 75 {
			t.Errorf("%d bytes are used after the first ended", used)
		}
	})
}

// A shard may use half of the limit when others need the rest, and all of it
// when it is alone.
func TestReserveShares(t *testing.T) {
	within(t, 100, func(t *testing.T, _ *budget, try func(string, int64) bool) {
		for i := range 10 {
			if !try("alone", 10) {
				t.Fatalf("%d bytes are too many for the only shard", 10*(i+1))
			}
		}
		if try("alone", 1) || try("other", 1) {
			t.Error("more than the limit is in flight")
		}
	})
	within(t, 120, func(t *testing.T, _ *budget, try func(string, int64) bool) {
		for _, shard := range []string{"b", "c"} {
			if !try(shard, 1) {
				t.Fatal("no room")
			}
		}
		n := 0
		for try("behind", 10) {
			n++
		}
		if n != 5 {
			t.Errorf("the shard that is behind has %d bytes of 120", 10*n)
		}
		for _, shard := range []string{"b", "c"} {
			if !try(shard, 19) {
				t.Errorf("shard %s has no share", shard)
			}
		}
		if !try("new", 15) {
			t.Error("a shard that has nothing in flight gets nothing")
		}
	})
	within(t, 120, func(t *testing.T, _ *budget, try func(string, int64) bool) {
		if !try("behind", 50) || try("new", 75) || try("behind", 20) {
			t.Error("a shard that waits for room has no share")
		}
	})
}

// A large reservation is not passed by others for ever.
func TestReserveIsNotPassedForEver(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		try("a", 20)
		try("b", 20)
		if try("large", 90) {
			t.Fatal("it fits")
		}
		passed := 0
		for ; passed < 1000 && try("a", 5); passed++ {
			b.add("a", -5)
		}
		if passed == 0 || passed > 25 {
			t.Errorf("it was passed by %d others", passed)
		}
		b.add("a", -20)
		b.add("b", -20)
		synctest.Wait()
		if used, _, _ := b.state(); used < 75 {
			t.Errorf("%d bytes are used when there is room for it", used)
		}
	})
}

// Too many documents that wait for their indices pause their shards, and no other.
func TestBegin(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		begin := func(shard string) func() bool { return begins(t, b, shard) }
		try("a", 30)
		try("b", 30)
		b.wait("a", 25)
		if !begin("a")() || !begin("b")() {
			t.Error("a shard is paused when a quarter waits")
		}
		b.wait("a", 1)
		paused := begin("a")
		if paused() || !begin("b")() {
			t.Error("more than a quarter waits: it is the shard of these that pauses")
		}
		if _, _, shards := b.state(); !reflect.DeepEqual(shards, []string{"a"}) {
			t.Errorf("paused: %v", shards)
		}
		b.wait("a", -1)
		synctest.Wait()
		if !paused() {
			t.Error("it does not go on")
		}
		b.wait("a", -25)
		b.add("a", -30)
		b.add("b", -30)
		if len(b.shards) > 0 {
			t.Errorf("shards without anything are kept: %v", b.shards)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if b.begin(ctx, "c") || b.reserve(ctx, "c", 1) != 0 {
			t.Error("it goes on after its end")
		}
	})
}

// A reservation of nothing counts, as 0 would say that it was not given.
func TestReserveNothing(t *testing.T) {
	if n := newBudget(100).reserve(t.Context(), "a", 0); n != 1 {
		t.Errorf("it counts as %d", n)
	}
}

// A reservation that is given up no longer stands in the way of others.
func TestReservationGivenUp(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		try("a", 40)
		ctx, cancel := context.WithCancel(t.Context())
		go b.reserve(ctx, "large", 75)
		synctest.Wait()
		for try("b", 10) { // until the large one holds the others up
			b.add("b", -10)
		}
		cancel()
		synctest.Wait()
		if used, _, _ := b.state(); used != 50 || len(b.queue) > 0 {
			t.Errorf("%d bytes are used, %d wait for room", used, len(b.queue))
		}
	})
}

// What waits for an index leaves the half of the limit that documents which flow may
// take, and a paused shard may finish the record that it is in the middle of.
func TestReserveBesideWaiting(t *testing.T) {
	within(t, 120, func(t *testing.T, b *budget, try func(string, int64) bool) {
		for _, shard := range []string{"a", "b", "c"} {
			try(shard, 20)
		}
		try("d", 1) // so that a share is less than what b has and wants
		if try("b", 19) {
			t.Error("there is room before anything waits")
		}
		b.wait("a", 20)
		synctest.Wait()
		if used, _, _ := b.state(); used != 80 {
			t.Errorf("what waits takes the room of what flows: %d bytes are used", used)
		}
		b.wait("a", 11) // more than a quarter
		if !b.isPaused("a") {
			t.Fatal("it is not paused")
		}
		if !try("a", 100) {
			t.Error("a paused shard in the middle of a record keeps its decoder")
		}
	})
}

// A paused shard takes a record now and then, one at a time, while not too much waits.
func TestPausedShardLooks(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		try("a", 40)
		b.wait("a", 40)
		first := begins(t, b, "a")
		if first() {
			t.Fatal("it is not paused")
		}
		time.Sleep(pausedFor)
		synctest.Wait()
		if !first() || b.isPaused("a") {
			t.Fatalf("after %s it takes no record", pausedFor)
		}
		if len(b.paused) > 0 {
			t.Errorf("%d reservations wait on", len(b.paused))
		}
		b.reserve(t.Context(), "a", 1)
		if !b.isPaused("a") {
			t.Error("it takes a second record")
		}
		b.wait("a", 11) // more than half of the limit
		second := begins(t, b, "a")
		time.Sleep(10 * pausedFor)
		synctest.Wait()
		if second() {
			t.Error("it takes a record though more than half of the limit waits")
		}
		b.wait("a", -51)
		synctest.Wait()
		if !second() {
			t.Error("it does not go on")
		}
	})
}

// An eighth of the limit is for shards without waiting documents, for all of them
// together, whatever the others use.
func TestHealthyShardsHaveAnEighth(t *testing.T) {
	within(t, 160, func(t *testing.T, b *budget, try func(string, int64) bool) {
		b.add("blocked", 130)
		b.wait("blocked", 130)
		b.add("late", 1)
		b.wait("late", 1)
		b.add("healthy", 25)
		if try("late", 15) || try("new", 20) || try("newer", 20) {
			t.Fatal("there is room")
		}
		b.add("healthy", -25)
		synctest.Wait()
		if used, _, _ := b.state(); used != 166 || len(b.queue) != 1 || b.queue[0].shard != "newer" {
			t.Errorf("%d bytes are used, %d reservations wait", used, len(b.queue))
		}
	})
}

// A shard that leaves leaves the others a larger share of what may wait. One that is
// still paused waits on.
func TestShareOfWaitingGrows(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, _ func(string, int64) bool) {
		for shard, waiting := range map[string]int64{"a": 20, "b": 10} {
			b.add(shard, waiting)
			b.wait(shard, waiting)
		}
		b.add("c", 1)
		for range 20 { // always in the same order
			if _, _, paused := b.state(); !slices.Equal(paused, []string{"a", "b"}) {
				t.Fatalf("paused: %v", paused)
			}
		}
		first, second := begins(t, b, "a"), begins(t, b, "b")
		b.add("c", -1)
		synctest.Wait()
		if first() || !second() {
			t.Errorf("goes on: a %v, b %v", first(), second())
		}
		b.wait("a", -20)
		synctest.Wait()
		if !first() {
			t.Error("a does not go on")
		}
	})
}

// A paused shard whose reading ends takes no more records.
func TestPausedShardEnds(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, _ func(string, int64) bool) {
		b.add("a", 40)
		b.wait("a", 40)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan bool)
		go func() { begun <- b.begin(ctx, "a") }()
		synctest.Wait()
		if cancel(); <-begun {
			t.Error("it takes a record")
		}
		if b.shards["a"].looks {
			t.Error("it may take a record")
		}
	})
}

// A reservation that is given in the moment that its shard ends counts as given: its
// bytes are used.
func TestReservationGivenAtTheEnd(t *testing.T) {
	b := newBudget(100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &reservation{shard: "a", size: 1, given: make(chan struct{})}
	close(r.given)
	for range 100 {
		if !b.await(ctx, r) {
			t.Fatal("it is not given")
		}
	}
}

// Nothing is kept of a shard without documents, in whichever order they are released.
func TestNothingIsKeptOfAShard(t *testing.T) {
	b := newBudget(100)
	b.add("a", 10)
	b.wait("a", 10)
	b.add("a", -10)
	b.wait("a", -10)
	if used, waiting, _ := b.state(); used != 0 || waiting != 0 || len(b.shards) > 0 {
		t.Errorf("%d bytes are used, %d wait, shards %v", used, waiting, b.shards)
	}
	if !b.look("a") {
		t.Error("it may take no record")
	}
}

// When more than half of the limit waits, the shards with most of it are dropped, until
// the others have no more than a quarter.
func TestToShed(t *testing.T) {
	f := func(name string, waiting map[string]int64, want ...string) {
		t.Helper()
		b := newBudget(100)
		for shard, n := range waiting {
			b.add(shard, n)
			b.wait(shard, n)
		}
		if got := b.toShed(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f("half waits", map[string]int64{"a": 30, "b": 20})
	f("the one with most", map[string]int64{"a": 10, "b": 40, "c": 10}, "b")
	f("until a quarter is left", map[string]int64{"a": 10, "b": 20, "c": 30}, "c", "b")
	f("equal ones by name", map[string]int64{"b": 26, "a": 26, "c": 1}, "a", "b")
}
