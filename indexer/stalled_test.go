package indexer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"logsluice/local/localtest"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// Regression: a probe that still waited for a connection when its index was given up
// became dead letters by divert. t.probing never decreased, and the index stayed given
// up.
func TestProbeQueuedWhenGivenUp(t *testing.T) {
	const indices = 10
	inVirtualTime(t, func(c *Config) {
		c.WaitForIndex, c.Connections, c.InFlightBytes = 3*time.Minute, 1, 256<<20
	}, func(t *testing.T, v *virtualIndexer) {
		v.virtualBulk.mu.Lock()
		v.took = 3 * time.Second
		v.virtualBulk.mu.Unlock()
		v.set(func(index, _ string) *refusal {
			if strings.HasPrefix(index, "app-bad") {
				return readOnly(index)
			}
			return nil
		})
		many := make([]string, 5000)
		for i := range many {
			many[i] = "app-good"
		}
		v.put("live", many...)
		for i := range indices {
			bad := make([]string, 200)
			for j := range bad {
				bad[j] = fmt.Sprintf("app-bad%d", i)
			}
			v.put("late", bad...)
		}
		for range 6 * 60 {
			v.put("live", many[:100]...)
			time.Sleep(time.Second)
		}
		if n := v.givenUp(); n != indices {
			t.Fatalf("%v given up", n)
		}
		v.set(nil)
		for range 10 {
			for i := range indices {
				v.put("late", fmt.Sprintf("app-bad%d", i))
			}
			v.feed("live", "app-good", time.Minute)
		}
		if n := v.givenUp(); n != 0 {
			t.Errorf("%v of %d indices are given up 10 minutes after they accept all documents", n, indices)
		}
	})
}

// OpenSearch is unreachable, then blocks all documents (nodes that restart). Earlier
// attempts do not count any more, so all documents in flight could become dead letters.
func TestOutageThenAllBlocked(t *testing.T) {
	localtest.Volume(t)
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.put("a", "app-1")
		time.Sleep(time.Second)
		var away atomic.Bool
		away.Store(true)
		v.virtualBulk.mu.Lock()
		v.answer = func(string) (int, bool) { return 503, away.Load() }
		v.virtualBulk.mu.Unlock()
		for v.putLarge("a", 20<<10, "app-1") { // until it is paused
		}
		time.Sleep(5 * time.Minute)
		v.set(func(index, _ string) *refusal {
			return &refusal{503, "unavailable_shards_exception", "[" + index + "][0] primary shard is not active Timeout: [1m]", index}
		})
		away.Store(false)
		for range 600 {
			v.put("a", "app-1") // paused
			time.Sleep(time.Second)
		}
		v.set(nil)
		time.Sleep(5 * time.Minute)
		if n := len(v.letters(t)); n != 0 {
			t.Errorf("%d dead letters in an outage of 15 minutes", n)
		}
	})
}

// Every document fails with a 5xx item: an outage. Documents must not become dead
// letters.
func TestAllFailAlone(t *testing.T) {
	localtest.Volume(t)
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.feed("a", "app-1", 10*time.Second)
		v.set(func(index, _ string) *refusal {
			return &refusal{500, "null_pointer_exception", "from a plugin", index}
		})
		for range 60 * 60 {
			v.putLarge("a", 5<<10, "app-1") // until it is paused
			time.Sleep(time.Second)
		}
		v.set(nil)
		time.Sleep(5 * time.Minute)
		if n := len(v.letters(t)); n != 0 {
			t.Errorf("%d dead letters in an outage of an hour", n)
		}
	})
}

// brokenStore fails each Put.
type brokenStore struct {
	takes time.Duration // duration of a call: in virtual time, a loop without pauses would never end
	n     atomic.Int64
}

func (s *brokenStore) Put(context.Context, time.Time, string, []byte) error {
	s.n.Add(1)
	time.Sleep(s.takes)
	return errors.New("AccessDenied")
}

// The dead-letter index refuses letters and the store fails. Letters waiting for the
// store must be sent to the index when it accepts letters again.
func TestStoreFailsIndexIsBack(t *testing.T) {
	store := &brokenStore{takes: time.Second}
	inVirtualTime(t, func(c *Config) { c.Store = store }, func(t *testing.T, v *virtualIndexer) {
		letters := func(index string) bool { return index == "app-dead-letter" }
		v.set(func(index, _ string) *refusal {
			if letters(index) {
				return readOnly(index)
			}
			if index == "app-never" {
				return &refusal{400, "mapper_parsing_exception", "no", index}
			}
			return nil
		})
		v.put("bad", "app-never")
		v.feed("live", "app-1", 40*time.Minute)
		v.set(func(index, _ string) *refusal {
			if index == "app-never" {
				return &refusal{400, "mapper_parsing_exception", "no", index}
			}
			return nil
		})
		for range 10 {
			v.put("other", "app-never") // may be the probe
			v.feed("live", "app-1", time.Minute)
		}
		if v.open("bad") != 0 {
			t.Errorf("the shard is still held 10 minutes after the dead-letter index accepts again; ready: %v, given up: %v", v.Ready(), v.givenUp())
		}
		if n := store.n.Load(); n == 0 || n > 1000 { // with pauses of 5 s on average
			t.Errorf("%d calls of the store in an hour", n)
		}
	})
}

// In the flood stage, one shard fills the budget. Another shard must still be read.
func TestFloodWithFullBudget(t *testing.T) {
	localtest.Volume(t)
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.virtualBulk.mu.Lock()
		v.took = 20 * time.Second // it is slow
		v.virtualBulk.mu.Unlock()
		v.put("far-behind", "app-full")
		v.set(only("app-full", floodStage))
		for v.putLarge("far-behind", 31<<10, "app-full") {
		}
		time.Sleep(3 * time.Minute)
		v.virtualBulk.mu.Lock()
		v.took = 10 * time.Millisecond
		v.virtualBulk.mu.Unlock()
		used, waiting, paused := v.budget.state()
		t.Logf("used %d waiting %d of %d paused %v", used, waiting, v.cfg.InFlightBytes, paused)
		n := 0
		for range 10 {
			if v.putLarge("live", 100<<10, "app-1") {
				n++
			}
			time.Sleep(time.Minute)
		}
		if n < 10 {
			t.Errorf("the other shard: %d of 10 records in 10 minutes (used %d, waiting %d of %d, paused %v)", n, used, waiting, v.cfg.InFlightBytes, paused)
		}
	})
}

// A reservation that does not fit because of waiting documents must not keep all others
// out once they have overtaken it by the limit: used is always more than waiting.
func TestNotStarvedByWaitingDocuments(t *testing.T) {
	within(t, 1000, func(t *testing.T, b *budget, try func(string, int64) bool) {
		if !try("blocked", 260) {
			t.Fatal("no room")
		}
		b.addWaiting("blocked", 240) // 20 bytes of rounding
		if try("behind", 750) {
			t.Fatal("it fits")
		}
		for i := range 100 {
			if !try("live", 50) {
				t.Fatalf("the live shard is not read after %d bytes", 50*i)
			}
			b.add("live", -50)
		}
	})
}

// While an index in the flood stage takes more than a quarter, another one must not be
// given up for a block of a second, because that frees nothing.
func TestGivenUpForTheFloodOfAnother(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.feed("live", "app-1", 10*time.Second)
		flood := only("app-full", floodStage)
		v.set(flood)
		for i := 0; v.putLarge("a", 31<<10, "app-full"); i++ {
			v.feed("live", "app-1", time.Second)
		}
		v.set(func(index, id string) *refusal {
			if index == "app-2" {
				return readOnly(index)
			}
			return flood(index, id)
		})
		_, waiting, paused := v.budget.state()
		t.Logf("waiting %d of %d, paused %v, b: %v", waiting, v.cfg.InFlightBytes, paused, v.put("b", "app-1", "app-1", "app-1", "app-2"))
		time.Sleep(2 * time.Second)
		v.set(flood)
		v.feed("live", "app-1", 10*time.Second)
		if n := len(v.letters(t)); n != 0 {
			t.Errorf("%d dead letters, %v given up after a block of 2 s", n, v.givenUp())
		}
	})
}

// An OpenSearch that refuses most whole requests for lack of capacity (429).
func TestOverload(t *testing.T) {
	localtest.Volume(t)
	inVirtualTime(t, func(c *Config) { c.InFlightBytes = 64 << 20 }, func(t *testing.T, v *virtualIndexer) {
		var n, requests, small atomic.Int64
		v.virtualBulk.mu.Lock()
		v.answer = func(body string) (int, bool) {
			requests.Add(1)
			if strings.Count(body, "\n") <= 20 {
				small.Add(1)
			}
			return 429, n.Add(1)%10 != 0
		}
		v.virtualBulk.mu.Unlock()
		many := make([]string, 100)
		for i := range many {
			many[i] = "app-1"
		}
		put := 0
		for range 20 * 60 {
			if v.put("a", many...) {
				put += 100
			}
			time.Sleep(time.Second)
		}
		documents, _ := v.state()
		created := len(documents)
		t.Logf("put %d created %d requests %d of which small %d", put, created, requests.Load(), small.Load())
		if n := len(v.letters(t)); n != 0 {
			t.Errorf("%d dead letters of documents that were only refused for lack of capacity", n)
		}
	})
}

// After a stall is over, the indexer is ready even if no documents arrive.
func TestStallIsOver(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.set(only("app-full", floodStage))
		for v.putLarge("a", 31<<10, "app-full") {
		}
		time.Sleep(time.Minute)
		if v.Ready() == nil {
			t.Fatal("ready")
		}
		v.set(nil)
		time.Sleep(10 * time.Minute)
		if err := v.Ready(); err != nil || v.gauge("logsluice_indices_waited_for") != 0 || v.open("a") != 0 {
			t.Errorf("10 minutes after all is indexed: open %d, waited for %v, ready: %v", v.open("a"), v.gauge("logsluice_indices_waited_for"), err)
		}
	})
}

// The end of a shard with a poison document in a worker without other documents.
func TestShardEndBehindPoison(t *testing.T) {
	for _, limit := range []time.Duration{0, 30 * time.Minute} {
		inVirtualTime(t, func(c *Config) { c.WaitForIndex = limit }, func(t *testing.T, v *virtualIndexer) {
			v.set(only("app-bad", func(i string) *refusal { return &refusal{500, "null_pointer_exception", "x", i} }))
			v.put("a", "app-bad")
			time.Sleep(time.Second)
			defer v.EndShard("a")()
			time.Sleep(20 * time.Minute)
			if v.open("a") != 0 {
				t.Errorf("WAIT_FOR_INDEX %s: the children wait 20 minutes after the end", limit)
			}
		})
	}
}

var _ = synctest.Wait

// A stall is an error that contains the indices to blame, logged once per minute.
func TestStallErrors(t *testing.T) {
	f := func(name string, store Store, change func(d *dispatcher), want string) {
		t.Helper()
		var log localtest.Buffer
		d := idleDispatcher(t, func(c *Config) { c.Store, c.InFlightBytes, c.Log = store, 1000, zerolog.New(&log) })
		d.targets["app-fine"] = &target{name: "app-fine", why: noOutcome}
		change(d)
		now := time.Now()
		d.publish(now)
		text := ""
		if err := d.ix.stalled.Load(); err != nil {
			text = (*err).Error()
		}
		if !strings.HasPrefix(text, want) || (text == "") != (want == "") || strings.Contains(text, "app-fine") {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
		_, _, paused := d.ix.budget.state()
		if d.shown != len(d.targets)+len(paused) {
			t.Errorf("%s: %d are shown", name, d.shown)
		}
		d.publish(now.Add(stallLogPeriod - 1))
		if n := strings.Count(log.String(), "shards are stalled"); n > 1 || (n == 1) != (want != "") {
			t.Errorf("%s: %d lines within a period", name, n)
		}
		d.publish(now.Add(stallLogPeriod))
		if n := strings.Count(log.String(), "shards are stalled"); want != "" && n != 2 {
			t.Errorf("%s: %d lines in two periods", name, n)
		}
		d.ix.budget.addWaiting("shard", -600)
		clear(d.targets)
		if d.publish(now); d.ix.stalled.Load() != nil {
			t.Errorf("%s: stalled although nothing waits", name)
		}
	}
	f("nothing", nil, func(*dispatcher) {}, "")
	f("a shard is paused", nil, func(d *dispatcher) {
		d.ix.budget.add("shard", 600)
		d.ix.budget.addWaiting("shard", 600)
		d.targets["app-x"] = &target{name: "app-x", why: noOutcome, pending: 1}
	}, "shard paused: waiting documents fill a quarter of IN_FLIGHT_BYTES, and their indices are not given up: app-x (")
	put := func(change func(d *dispatcher, x *target)) func(d *dispatcher) {
		return func(d *dispatcher) {
			x := &target{name: "app-dead-letter", letters: true, why: noOutcome, isBlocked: true, clock: time.Hour}
			change(d, x)
			d.targets[x.name] = x
		}
	}
	f("dead letters are refused, no store", nil, put(func(*dispatcher, *target) {}), "app-dead-letter has refused dead letters for 1h:")
	f("for a moment", nil, put(func(_ *dispatcher, x *target) { x.clock = time.Minute }), "")
	f("a store", &brokenStore{}, put(func(*dispatcher, *target) {}), "")
	f("given up for a store", &brokenStore{}, put(func(_ *dispatcher, x *target) { x.givenUp = true }), "")
	f("given up for a store that fails", &brokenStore{}, put(func(d *dispatcher, x *target) { x.givenUp, d.storing.attempts = true, 1 }),
		"app-dead-letter refuses dead letters, and they cannot be written to DEAD_LETTER_URL:")
	f("a store that failed", &brokenStore{}, put(func(d *dispatcher, _ *target) { d.storing.attempts = 1 }), "")

	d := idleDispatcher(t, nil)
	d.targets["app-x"], d.targets["app-y"], d.givenUp = &target{}, &target{}, 1
	d.publish(time.Now())
	if waiting, given := testutil.ToFloat64(d.ix.metrics.waiting), testutil.ToFloat64(d.ix.metrics.givenUp); waiting != 1 || given != 1 {
		t.Errorf("%v indices are waited for, %v are given up", waiting, given)
	}
}
