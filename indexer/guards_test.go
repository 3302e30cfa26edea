package indexer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer/deadletter"
)

// idleDispatcher returns a dispatcher whose loop does not run.
func idleDispatcher(t *testing.T, change func(*Config)) *dispatcher {
	t.Helper()
	cfg := Config{
		Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1000, Connections: 1, RetryMin: time.Second, RetryMax: 10 * time.Second, RequestTimeout: time.Minute,
		WaitForIndex: 30 * time.Minute, InFlightBytes: 1 << 30, Log: zerolog.Nop(), Fallback: testFallback{},
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ix := &Indexer{cfg: cfg, budget: newBudget(cfg.InFlightBytes), results: make(chan result), ctx: ctx, cancel: cancel}
	if err := ix.metrics.register(prometheus.NewRegistry(), ix.budget); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ix.Close)
	return newDispatcher(ix)
}

// taken returns a record that the dispatcher has fetched from its inbox, and the outcomes
// passed to the record's done function.
func taken(d *dispatcher, ctx context.Context, first, n int) (p part, outcomes *[]bool) {
	outcomes = new([]bool)
	docs := record(nil, first, n)
	docs.group = &putGroup{ctx: ctx, pending: n, done: func(settled bool) { *outcomes = append(*outcomes, settled) }}
	docs.pending, docs.bytes, docs.reserved = n, len(docs.Body), docs.Size()
	d.ix.budget.add(docs.source.Shard, docs.reserved)
	return part{docs: docs, to: n}, outcomes
}

// Documents that have waited long enough are not given up in an outage, nor with
// WAIT_FOR_INDEX=0.
func TestGivenUpOutsideAnOutage(t *testing.T) {
	f := func(name string, limit time.Duration, change func(d *dispatcher, now time.Time), want int) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.WaitForIndex = limit })
		now := time.Now().Add(time.Hour)
		d.tally.accepted = now
		x := &target{name: "app-x", ticked: now, clock: time.Hour, isBlocked: true}
		d.targets[x.name] = x
		for i := range 2 {
			p, _ := taken(d, t.Context(), i, 1)
			if i == 1 {
				p.failures = &failures{}
			}
			d.startWaiting(&p, x)
			if i == 0 {
				x.blocked = append(x.blocked, delay(p))
			} else {
				x.failing = append(x.failing, retry{due: now.Add(time.Hour), parts: []*delayedPart{delay(p)}})
			}
		}
		change(d, now)
		d.tick(now)
		if n := d.requeued.count; n != want {
			t.Errorf("%s: %d dead letters, want %d", name, n, want)
		}
	}
	f("it is due", time.Hour, func(*dispatcher, time.Time) {}, 2)
	f("it is not due", 2*time.Hour, func(*dispatcher, time.Time) {}, 0)
	f("for ever", 0, func(*dispatcher, time.Time) {}, 0)
	f("nothing is accepted", time.Hour, func(d *dispatcher, now time.Time) {
		d.tally.accepted, d.tally.tried = now.Add(-2*outageAfter), now
	}, 0)
	f("most fail", time.Hour, func(d *dispatcher, now time.Time) { d.tally.add(now, counts{sent: 20, failed: 15}) }, 0)
}

// Only one probe of a waiting index is under way.
func TestOneProbeAtATime(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.InFlightBytes = 64 << 20 }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		for range 1000 {
			v.put("b", old)
		}
		time.Sleep(10 * time.Second) // each was sent once
		v.virtualBulk.mu.Lock()
		v.took = 10 * time.Second // of a request
		v.virtualBulk.mu.Unlock()
		_, before := v.state()
		v.feed("a", live, time.Minute)
		_, after := v.state()
		sent := 0
		for key, n := range after {
			if key[:len(old)] == old {
				sent += n - before[key]
			}
		}
		if sent == 0 || sent > 7*probeDocuments {
			t.Errorf("%d waiting documents were sent in a minute, with requests that take 10 s", sent)
		}
	})
}

// When a probe is accepted, all waiting documents are sent, not probe by probe.
func TestAllIsSentAfterAProbe(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.InFlightBytes, c.RetryMin, c.RetryMax = 64<<20, 5*time.Second, 5*time.Second }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		for range 20 * probeDocuments {
			v.put("b", old)
		}
		time.Sleep(time.Minute)
		v.set(nil)
		time.Sleep(10 * time.Second)
		if n := v.open("b"); n > 0 {
			t.Errorf("%d of %d records are open", n, 20*probeDocuments)
		}
	})
}

// After an index accepts a document, those that wait for it are tried soon.
func TestAcceptedDocumentBringsAProbe(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.RetryMin, c.RetryMax = 1000*time.Hour, 1000*time.Hour }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		v.put("b", old)
		time.Sleep(time.Second)
		v.set(nil)
		v.put("a", old)
		time.Sleep(3 * time.Second)
		if v.open("b") > 0 {
			t.Error("it still waits although its index accepts documents")
		}
	})
}

// A minimal fallback that its index no longer accepts is finished: its document has a
// dead letter.
func TestMinimalFallbackIsFinished(t *testing.T) {
	ix := &Indexer{budget: newBudget(1 << 30), cfg: Config{Fallback: testFallback{}}}
	d := newDispatcher(ix)
	docs := record(nil, 0, 1)
	settled := 0
	docs.group = &putGroup{ctx: context.Background(), pending: 2, done: func(bool) { settled++ }}
	docs.pending, docs.bytes = 2, 2*len(docs.Body)
	p := part{docs: docs, to: 1}
	letters := d.lettersOf(p.withFallback(fallback{kind: minimalFallback}), deadletter.StageBlocked, 0, nil)
	if len(letters) != 0 || docs.group.pending != 1 {
		t.Errorf("dead letters %v, %d outcomes missing", fmt.Sprint(letters), docs.group.pending)
	}
	if letters = d.lettersOf(p.withFallback(fallback{kind: plainFallback, reason: noOutcome}), deadletter.StageBlocked, 0, nil); len(letters) != 1 || settled > 0 {
		t.Errorf("%d dead letters of a plain fallback", len(letters))
	}
}
