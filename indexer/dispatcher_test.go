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

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// Documents that were sent again and have their outcomes are not kept in memory.
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
		docs.group = &putGroup{ctx: context.Background(), pending: 1, done: func(bool) {}}
		docs.pending, docs.bytes = 1, len(docs.Body)
		bodies = append(bodies, weak.Make(&docs.Body[0]))
		d.settle(result{outcomes: []partOutcome{{part: part{docs: docs, to: 1}, outcome: busy}}})
	}
	now := time.Now().Add(time.Second)
	d.enqueueDue(now)
	for !d.requeued.empty() {
		for _, p := range d.nextBatch(now) {
			d.settle(result{outcomes: []partOutcome{{part: p, outcome: indexed}}})
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
		t.Errorf("%d of 8 buffers of 32 MiB are reachable after their last outcome", n)
	}
	runtime.KeepAlive(d)
}

// A fallback is small, because many can be in flight at once, and reasons are shared.
func TestSizeOfFallbacks(t *testing.T) {
	const n = 10_000
	ix := &Indexer{}
	docs := record(nil, 0, 1)
	parts := make([]part, 0, 2*n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		why := ix.reasons.share(&opensearch.Cause{Type: "type", Reason: fmt.Sprintf("failed to parse '%d' of %s", i, strings.Repeat("r", 10<<10))})
		plainly := partOutcome{part: part{docs: docs, to: 1}, outcome: refused, status: 400, reason: why}.fallbacks()
		parts = append(parts, partOutcome{part: plainly[0], outcome: refused, status: 400, reason: why}.fallbacks()...)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int(after.HeapAlloc-before.HeapAlloc-maxReasons) / n; each > fallbackCost*3/2 {
		t.Errorf("the letter and the minimal fallback of a document take %d bytes", each)
	}
	runtime.KeepAlive(parts)
	runtime.KeepAlive(ix)
}

// The dispatcher wakes when a timer is due.
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
	one := func(d *dispatcher) []*delayedPart {
		p, _ := taken(d, t.Context(), 0, 1)
		return []*delayedPart{delay(p)}
	}
	f("nothing", func(*dispatcher, time.Time) {}, idleWait)
	f("a retry", func(d *dispatcher, now time.Time) { d.retries = []retry{{due: now.Add(100 * time.Millisecond)}} }, 100*time.Millisecond)
	f("a later retry whose shard may be lost", func(d *dispatcher, now time.Time) { d.retries = []retry{{due: now.Add(time.Minute)}} }, tickInterval)
	f("a target", func(d *dispatcher, _ time.Time) { d.targets["app-x"] = &target{} }, tickInterval)
	f("a published target", func(d *dispatcher, _ time.Time) { d.shown = 1 }, tickInterval)
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
	f("one that is being stored", func(d *dispatcher, now time.Time) {
		d.storing = storing{parts: one(d), due: now.Add(30 * time.Millisecond), running: true}
	}, idleWait)
}

// Large fallbacks are sent one at a time.
func TestOneLargeFallback(t *testing.T) {
	d := idleDispatcher(t, nil)
	d.large = make([]part, 2)
	if !d.maySendLarge() {
		t.Error("none may be sent")
	}
	if d.largeRunning = true; d.maySendLarge() {
		t.Error("two may be sent")
	}
}

// largeLetter returns a part whose dead letter is sent in its own request.
func largeLetter(p part) part {
	p = p.letter(deadletter.StageIndex, 400, noOutcome)
	p.fallback.keep = largeFallbackSize
	return p
}

// A batch is sent when a connection is free and the batch is full, has waited long
// enough, or no request is under way.
func TestReadyToSend(t *testing.T) {
	const linger = 100 * time.Millisecond
	f := func(name string, change func(d *dispatcher, now time.Time), want bool, wantWake time.Duration) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.Linger, c.BatchBytes, c.BatchDocuments = linger, 1000, 10 })
		now := time.Now()
		d.limit.allowed, d.limit.running = 2, 1
		change(d, now)
		ready, wake := d.ready(now)
		if ready != want || !ready && wake.Sub(now) != wantWake {
			t.Errorf("%s: ready: %v, otherwise after %s", name, ready, wake.Sub(now))
		}
	}
	f("nothing", func(*dispatcher, time.Time) {}, false, idleWait)
	f("one arrived", func(d *dispatcher, now time.Time) { d.fresh.put(shardDocuments("a", 1, 10), now) }, false, linger)
	f("one arrived, nothing is under way", func(d *dispatcher, now time.Time) {
		d.limit.running = 0
		d.fresh.put(shardDocuments("a", 1, 10), now)
	}, true, 0)
	f("one has waited", func(d *dispatcher, now time.Time) { d.fresh.put(shardDocuments("a", 1, 10), now.Add(-linger)) }, true, 0)
	f("one to be sent again has waited for longer", func(d *dispatcher, now time.Time) {
		d.fresh.put(shardDocuments("a", 1, 10), now)
		d.requeued.put(shardDocuments("a", 1, 10), now.Add(-linger/4))
	}, false, linger*3/4)
	f("one to be sent again has waited for less", func(d *dispatcher, now time.Time) {
		d.fresh.put(shardDocuments("a", 1, 10), now.Add(-linger/4))
		d.requeued.put(shardDocuments("a", 1, 10), now)
	}, false, linger*3/4)
	f("a timer is due before", func(d *dispatcher, now time.Time) {
		d.fresh.put(shardDocuments("a", 1, 10), now)
		d.retries = []retry{{due: now.Add(linger / 2)}}
	}, false, linger/2)
	f("the bytes of a batch", func(d *dispatcher, now time.Time) {
		d.fresh.put(shardDocuments("a", 1, 500), now)
		d.requeued.put(shardDocuments("a", 1, 500), now)
	}, true, 0)
	f("the documents of a batch", func(d *dispatcher, now time.Time) {
		d.fresh.put(shardDocuments("a", 5, 10), now)
		d.requeued.put(shardDocuments("a", 5, 10), now)
	}, true, 0)
	f("a large fallback", func(d *dispatcher, _ time.Time) { d.large = make([]part, 1) }, true, 0)
	f("a second large fallback", func(d *dispatcher, _ time.Time) { d.large, d.largeRunning = make([]part, 1), true }, false, idleWait)
	f("a batch that may make requests fail", func(d *dispatcher, _ time.Time) { d.isolated = make([][]part, 1) }, true, 0)
	f("no connection is free", func(d *dispatcher, now time.Time) {
		d.limit.running = 2
		d.isolated, d.large = make([][]part, 1), make([]part, 1)
		d.fresh.put(shardDocuments("a", 100, 100), now.Add(-time.Hour))
	}, false, idleWait)
}

// The inbox wakes the dispatcher when a batch is full: not earlier while documents wait,
// and not while no connection is free.
func TestWakeThreshold(t *testing.T) {
	f := func(name string, change func(d *dispatcher), want amount) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.BatchBytes, c.BatchDocuments = 1000, 10 })
		change(d)
		if got := d.wakeThreshold(); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	f("nothing waits", func(*dispatcher) {}, anything)
	f("no connection is free", func(d *dispatcher) { d.limit.running = 1 }, never)
	f("some wait", func(d *dispatcher) { d.fresh.put(shardDocuments("a", 2, 100), time.Time{}) }, amount{800, 8})
	f("some wait to be sent again", func(d *dispatcher) { d.requeued.put(shardDocuments("a", 3, 100), time.Time{}) }, amount{700, 7})
}

// Large fallbacks wait in their own queue. Documents that are sent again do not
// linger.
func TestWhereDocumentsWait(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.Linger = time.Second })
	p, _ := taken(d, t.Context(), 0, 4)
	now := time.Now()
	d.enqueue(p.slice(0, 1), now)
	d.enqueue(largeLetter(p.slice(1, 2)), now)
	d.enqueueAgain([]part{largeLetter(p.slice(2, 3)), p.slice(3, 4)}, now)
	if d.fresh.count != 1 || d.requeued.count != 1 || len(d.large) != 2 {
		t.Fatalf("%d fresh, %d to be sent again, %d large", d.fresh.count, d.requeued.count, len(d.large))
	}
	if waited := now.Sub(d.fresh.oldest()); waited != 0 {
		t.Errorf("a fresh one has waited for %s", waited)
	}
	if waited := now.Sub(d.requeued.oldest()); waited != time.Second {
		t.Errorf("one to be sent again has waited for %s", waited)
	}
}

// A large fallback may be sent when the response to the previous one has arrived, but not
// because another request has finished.
func TestLargeFallbackIsAnswered(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 2)
	d.largeRunning = true
	d.handleResult(result{batch: []part{p.slice(0, 1)}})
	if !d.largeRunning {
		t.Error("another request ended, and two large fallbacks may be sent")
	}
	if d.handleResult(result{batch: []part{p.slice(1, 2)}, large: true}); d.largeRunning {
		t.Error("no more large fallbacks may be sent")
	}
}

// Properties of a request at its start are part of its result.
func TestSend(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.Connections = 2 })
	d.ix.client = &answering{status: 503, body: "{}"}
	d.limit.allowed = 2
	p, _ := taken(d, t.Context(), 0, 4)
	f := func(name string, p part, last, pushback, large bool) {
		t.Helper()
		d.send([]part{p})
		running := d.largeRunning
		if len(d.underWay) != 1 {
			t.Errorf("%s: %d requests are under way", name, len(d.underWay))
		}
		r := <-d.ix.results
		if r.stats.last != last || r.stats.pushback != pushback || r.large != large || running != large || r.batch[0].from != p.from {
			t.Errorf("%s: %+v, a large one is under way: %v", name, r.stats, running)
		}
		d.underWay, d.largeRunning, d.limit.running = nil, false, 0
	}
	f("one of two", p.slice(0, 1), false, true, false)
	d.limit.running = 1
	f("the last", p.slice(1, 2), true, true, false)
	isolated := p.slice(2, 3)
	isolated.isolated = true
	f("isolated", isolated, false, false, false)
	f("a large fallback", largeLetter(p.slice(3, 4)), false, true, true)
	d.largeRunning = true
	d.send([]part{p.slice(0, 1)})
	if <-d.ix.results; !d.largeRunning {
		t.Error("a second large fallback may be sent")
	}
}

// Large fallbacks are sent first, then batches that may be the cause of failing requests,
// each in its own request.
func TestNextBatchOrder(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 4)
	d.large = []part{largeLetter(p.slice(0, 1)), largeLetter(p.slice(1, 2))}
	d.isolated = [][]part{{p.slice(2, 3)}}
	d.fresh.put(p.slice(3, 4), time.Now())
	take := func(name string, want int) {
		t.Helper()
		if batch := d.nextBatch(time.Now()); len(batch) != 1 || batch[0].from != want {
			t.Errorf("%s: %+v", name, batch)
		}
	}
	take("a large fallback", 0)
	d.largeRunning = true
	take("isolated", 2)
	take("the queue", 3)
	if d.largeRunning = false; len(d.large) != 1 {
		t.Errorf("%d large fallbacks wait", len(d.large))
	}
	take("the other large fallback", 1)
	if batch := d.nextBatch(time.Now()); len(batch) > 0 {
		t.Errorf("finally: %v", batch)
	}
}
