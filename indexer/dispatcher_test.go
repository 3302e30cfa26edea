package indexer

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/domain"
)

// What was sent again and is settled is not kept in memory.
func TestRetriesKeepNoBuffers(t *testing.T) {
	ix := &Indexer{cfg: Config{BatchBytes: 8 << 20, BatchDocuments: 1000, Connections: 1, RetryMin: 1, RetryMax: 1}, budget: newBudget(1 << 30)}
	if err := ix.metrics.register(prometheus.NewRegistry(), ix.budget); err != nil {
		t.Fatal(err)
	}
	d := newDispatcher(ix)
	var bodies []weak.Pointer[byte]
	for range 8 {
		docs := NewDocuments(Source{}, 32<<20)
		docs.Body = append(docs.Body, "{}\n{}\n"...)
		docs.Next(0)
		docs.group = &ackGroup{ctx: context.Background(), pending: 1, done: func(bool) {}}
		docs.undecided, docs.bytes = 1, len(docs.Body)
		bodies = append(bodies, weak.Make(&docs.Body[0]))
		d.settle(result{verdicts: []verdict{{part: part{docs: docs, to: 1}, outcome: busy}}})
	}
	now := time.Now().Add(time.Second)
	d.enqueueDue(now)
	for !d.resent.empty() {
		for _, p := range d.take(now) {
			d.settle(result{verdicts: []verdict{{part: p, outcome: indexed}}})
		}
	}
	runtime.GC()
	runtime.GC()
	n := 0
	for _, b := range bodies {
		if b.Value() != nil {
			n++
		}
	}
	if n > 0 {
		t.Errorf("%d of 8 buffers of 32 MiB are reachable after their last verdict", n)
	}
	runtime.KeepAlive(d)
}

// A form is small, as many of them can be under way at once, and reasons are shared.
func TestSizeOfForms(t *testing.T) {
	const n = 10_000
	ix := &Indexer{}
	docs := record(nil, 0, 1)
	parts := make([]part, 0, 2*n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		why := ix.reasons.share(&domain.Cause{Type: "type", Reason: fmt.Sprintf("failed to parse '%d' of %s", i, strings.Repeat("r", 10<<10))})
		plainly := verdict{part: part{docs: docs, to: 1}, outcome: refusedForGood, status: 400, reason: why}.otherForms()
		parts = append(parts, verdict{part: plainly[0], outcome: refusedForGood, status: 400, reason: why}.otherForms()...)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int(after.HeapAlloc-before.HeapAlloc-maxReasons) / n; each > formCost*3/2 {
		t.Errorf("the letter and the bare form of a document take %d bytes", each)
	}
	runtime.KeepAlive(parts)
	runtime.KeepAlive(ix)
}

// The dispatcher looks again when something falls due that no message announces.
func TestNextDue(t *testing.T) {
	f := func(name string, change func(d *dispatcher, now time.Time), want time.Duration) {
		t.Helper()
		d := idleDispatcher(t, nil)
		now := time.Now()
		d.ticked = now
		change(d, now)
		if got := d.nextDue(now).Sub(now); got != want {
			t.Errorf("%s: after %s, want %s", name, got, want)
		}
	}
	one := func(d *dispatcher) []*held {
		p, _ := taken(d, t.Context(), 0, 1)
		return []*held{rest(p)}
	}
	f("nothing", func(*dispatcher, time.Time) {}, idle)
	f("a retry", func(d *dispatcher, now time.Time) { d.retries = []retry{{due: now.Add(100 * time.Millisecond)}} }, 100*time.Millisecond)
	f("a later retry, whose shard may be lost", func(d *dispatcher, now time.Time) { d.retries = []retry{{due: now.Add(time.Minute)}} }, tickInterval)
	f("an index that is watched", func(d *dispatcher, _ time.Time) { d.targets["app-x"] = &target{} }, tickInterval)
	f("what was shown of one", func(d *dispatcher, _ time.Time) { d.shown = 1 }, tickInterval)
	f("the end of a shard", func(d *dispatcher, now time.Time) { d.ends["shard"] = now }, tickInterval)
	f("a probe", func(d *dispatcher, now time.Time) {
		d.targets["app-x"] = &target{blocked: one(d), probeDue: now.Add(10 * time.Millisecond)}
	}, 10*time.Millisecond)
	f("a probe that is under way", func(d *dispatcher, now time.Time) {
		d.targets["app-x"] = &target{blocked: one(d), probing: 1, probeDue: now.Add(10 * time.Millisecond)}
	}, tickInterval)
	f("a document that fails alone", func(d *dispatcher, now time.Time) {
		d.targets["app-x"] = &target{failing: []retry{{due: now.Add(20 * time.Millisecond)}}}
	}, 20*time.Millisecond)
	f("a dead letter for the store", func(d *dispatcher, now time.Time) {
		d.storing = storing{parts: one(d), due: now.Add(30 * time.Millisecond)}
	}, 30*time.Millisecond)
	f("one that is on its way", func(d *dispatcher, now time.Time) {
		d.storing = storing{parts: one(d), due: now.Add(30 * time.Millisecond), running: true}
	}, idle)
}

// Large forms go one at a time.
func TestOneLargeForm(t *testing.T) {
	d := idleDispatcher(t, nil)
	d.large = make([]part, 2)
	if !d.mayTakeLarge() {
		t.Error("none may go")
	}
	if d.largeRunning = true; d.mayTakeLarge() {
		t.Error("two may go")
	}
}
