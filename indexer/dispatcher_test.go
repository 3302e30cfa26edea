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
