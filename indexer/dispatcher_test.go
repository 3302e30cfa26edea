package indexer

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"
)

// What was sent again and is settled is not kept in memory.
func TestRetriesKeepNoBuffers(t *testing.T) {
	ix := &Indexer{cfg: Config{BatchBytes: 8 << 20, BatchDocuments: 1000, Connections: 1, RetryMin: 1, RetryMax: 1}}
	d := newDispatcher(ix)
	var bodies []weak.Pointer[byte]
	for range 8 {
		docs := NewDocuments(Source{}, 32<<20)
		docs.Body = append(docs.Body, "{}\n{}\n"...)
		docs.Next()
		docs.ours, docs.pending, docs.done = context.Background(), 1, func(bool) {}
		bodies = append(bodies, weak.Make(&docs.Body[0]))
		d.settle([]verdict{{part: part{docs: docs, to: 1}, again: true}})
	}
	d.enqueueDue(time.Now().Add(time.Second))
	for len(d.queue) > 0 {
		for _, p := range d.take() {
			d.settle([]verdict{{part: p}}) // indexed
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
