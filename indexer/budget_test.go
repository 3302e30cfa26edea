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

// within runs a test of a budget in a synctest bubble. try reserves bytes and reports
// whether they were granted at once; otherwise the reservation stays in the queue.
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

// startsRecord starts a record of a shard and reports whether it could.
func startsRecord(t *testing.T, b *budget, shard string) func() bool {
	var begun atomic.Bool
	ctx := t.Context()
	go func() { begun.Store(b.waitWhilePaused(ctx, shard)) }()
	synctest.Wait()
	return begun.Load
}

// A document larger than the limit is admitted when nothing else is in flight. Otherwise
// it would wait forever.
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

// A shard may use half of the limit while others need the rest, and all of it when it is
// alone.
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
			t.Errorf("the shard with a backlog has %d bytes of 120", 10*n)
		}
		for _, shard := range []string{"b", "c"} {
			if !try(shard, 19) {
				t.Errorf("shard %s has no share", shard)
			}
		}
		if !try("new", 15) {
			t.Error("a shard with nothing in flight gets no room")
		}
	})
	within(t, 120, func(t *testing.T, _ *budget, try func(string, int64) bool) {
		if !try("behind", 50) || try("new", 75) || try("behind", 20) {
			t.Error("a shard that waits for room has no share")
		}
	})
}

// Others do not overtake a large reservation forever.
func TestReserveIsNotStarved(t *testing.T) {
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
			t.Errorf("%d others overtook it", passed)
		}
		b.add("a", -20)
		b.add("b", -20)
		synctest.Wait()
		if used, _, _ := b.state(); used < 75 {
			t.Errorf("%d bytes are used although it fits", used)
		}
	})
}

// Shards are paused when too many of their documents wait for indices. Others are not.
func TestWaitWhilePaused(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		begin := func(shard string) func() bool { return startsRecord(t, b, shard) }
		try("a", 30)
		try("b", 30)
		b.addWaiting("a", 25)
		if !begin("a")() || !begin("b")() {
			t.Error("a shard is paused when a quarter waits")
		}
		b.addWaiting("a", 1)
		paused := begin("a")
		if paused() || !begin("b")() {
			t.Error("more than a quarter waits: only the shard with the waiting documents pauses")
		}
		if _, _, shards := b.state(); !reflect.DeepEqual(shards, []string{"a"}) {
			t.Errorf("paused: %v", shards)
		}
		b.addWaiting("a", -1)
		synctest.Wait()
		if !paused() {
			t.Error("it does not continue")
		}
		b.addWaiting("a", -25)
		b.add("a", -30)
		b.add("b", -30)
		if len(b.shards) > 0 {
			t.Errorf("unused shards are kept: %v", b.shards)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if b.waitWhilePaused(ctx, "c") || b.reserve(ctx, "c", 1) != 0 {
			t.Error("it continues after its context ended")
		}
	})
}

// A reservation of 0 bytes counts as 1, because 0 means that it was not granted.
func TestReserveNothing(t *testing.T) {
	if n := newBudget(100).reserve(t.Context(), "a", 0); n != 1 {
		t.Errorf("it counts as %d", n)
	}
}

// A canceled reservation no longer delays others.
func TestReservationCanceled(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		try("a", 40)
		ctx, cancel := context.WithCancel(t.Context())
		go b.reserve(ctx, "large", 75)
		synctest.Wait()
		for try("b", 10) { // until others must wait for the large one
			b.add("b", -10)
		}
		cancel()
		synctest.Wait()
		if used, _, _ := b.state(); used != 50 || len(b.queue) > 0 {
			t.Errorf("%d bytes are used, %d wait for room", used, len(b.queue))
		}
	})
}

// Waiting documents leave half of the limit to other documents, and a paused shard may
// finish the record that it is reading.
func TestReserveWithWaitingDocuments(t *testing.T) {
	within(t, 120, func(t *testing.T, b *budget, try func(string, int64) bool) {
		for _, shard := range []string{"a", "b", "c"} {
			try(shard, 20)
		}
		try("d", 1) // so that a share is less than b's use and need
		if try("b", 19) {
			t.Error("there is room although nothing waits yet")
		}
		b.addWaiting("a", 20)
		synctest.Wait()
		if used, _, _ := b.state(); used != 80 {
			t.Errorf("waiting documents take room reserved for others: %d bytes are used", used)
		}
		b.addWaiting("a", 11) // more than a quarter
		if !b.isPaused("a") {
			t.Fatal("it is not paused")
		}
		if !try("a", 100) {
			t.Error("a paused shard in the middle of a record gets no room and blocks its decoder")
		}
	})
}

// A paused shard reads one record now and then, while at most half of the limit waits.
func TestPausedShardReadsOneRecord(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, try func(string, int64) bool) {
		try("a", 40)
		b.addWaiting("a", 40)
		first := startsRecord(t, b, "a")
		if first() {
			t.Fatal("it is not paused")
		}
		time.Sleep(maxPause)
		synctest.Wait()
		if !first() || b.isPaused("a") {
			t.Fatalf("after %s it reads no record", maxPause)
		}
		if len(b.paused) > 0 {
			t.Errorf("%d reservations still wait", len(b.paused))
		}
		b.reserve(t.Context(), "a", 1)
		if !b.isPaused("a") {
			t.Error("it reads a second record")
		}
		b.addWaiting("a", 11) // more than half of the limit
		second := startsRecord(t, b, "a")
		time.Sleep(10 * maxPause)
		synctest.Wait()
		if second() {
			t.Error("it reads a record although more than half of the limit waits")
		}
		b.addWaiting("a", -51)
		synctest.Wait()
		if !second() {
			t.Error("it does not continue")
		}
	})
}

// An eighth of the limit is reserved for all shards without waiting documents together,
// whatever the others use.
func TestHealthyShardsHaveAnEighth(t *testing.T) {
	within(t, 160, func(t *testing.T, b *budget, try func(string, int64) bool) {
		b.add("blocked", 130)
		b.addWaiting("blocked", 130)
		b.add("late", 1)
		b.addWaiting("late", 1)
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

// When a shard leaves, the others get a larger share of what may wait. A shard that is
// still paused keeps waiting.
func TestShareOfWaitingGrows(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, _ func(string, int64) bool) {
		for shard, waiting := range map[string]int64{"a": 20, "b": 10} {
			b.add(shard, waiting)
			b.addWaiting(shard, waiting)
		}
		b.add("c", 1)
		for range 20 { // the order is stable
			if _, _, paused := b.state(); !slices.Equal(paused, []string{"a", "b"}) {
				t.Fatalf("paused: %v", paused)
			}
		}
		first, second := startsRecord(t, b, "a"), startsRecord(t, b, "b")
		b.add("c", -1)
		synctest.Wait()
		if first() || !second() {
			t.Errorf("continues: a %v, b %v", first(), second())
		}
		b.addWaiting("a", -20)
		synctest.Wait()
		if !first() {
			t.Error("a does not continue")
		}
	})
}

// A paused shard reads no more records after its context ends.
func TestPausedShardEnds(t *testing.T) {
	within(t, 100, func(t *testing.T, b *budget, _ func(string, int64) bool) {
		b.add("a", 40)
		b.addWaiting("a", 40)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan bool)
		go func() { begun <- b.waitWhilePaused(ctx, "a") }()
		synctest.Wait()
		if cancel(); <-begun {
			t.Error("it reads a record")
		}
		if b.shards["a"].mayReadOne {
			t.Error("it may read a record")
		}
	})
}

// A reservation that is granted while its context ends counts as granted: its bytes are
// used.
func TestReservationGrantedAtTheEnd(t *testing.T) {
	b := newBudget(100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &reservation{shard: "a", size: 1, granted: make(chan struct{})}
	close(r.granted)
	for range 100 {
		if !b.await(ctx, r) {
			t.Fatal("it is not granted")
		}
	}
}

// No account is kept of a shard without documents, in whichever order they are released.
func TestNothingIsKeptOfAShard(t *testing.T) {
	b := newBudget(100)
	b.add("a", 10)
	b.addWaiting("a", 10)
	b.add("a", -10)
	b.addWaiting("a", -10)
	if used, waiting, _ := b.state(); used != 0 || waiting != 0 || len(b.shards) > 0 {
		t.Errorf("%d bytes are used, %d wait, shards %v", used, waiting, b.shards)
	}
	if !b.allowOne("a") {
		t.Error("it may not read a record")
	}
}

// When more than half of the limit waits, the shards with the most waiting bytes are
// dropped until at most a quarter waits.
func TestToShed(t *testing.T) {
	f := func(name string, waiting map[string]int64, want ...string) {
		t.Helper()
		b := newBudget(100)
		for shard, n := range waiting {
			b.add(shard, n)
			b.addWaiting(shard, n)
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
