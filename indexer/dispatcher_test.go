package indexer

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/domain"
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

// refusing refuses every document for its content, and holds requests for other
// forms of documents until the test ends.
type refusing struct{ refused atomic.Int64 }

func (f *refusing) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body[:min(len(body), 1<<10)], []byte(`"why"`)) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	n := bytes.Count(body, []byte{'\n'}) / 2
	f.refused.Add(int64(n))
	item := `{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse ` + strings.Repeat("v", 900) + `"}}},`
	items := strings.TrimSuffix(strings.Repeat(item, n), ",")
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + items + `]}`))}, nil
}

// Where every document is refused, few wait in another form: those go first. So
// what they take beside the documents in flight is bounded.
func TestFewForms(t *testing.T) {
	const connections, batch, sets, each = 2, 1000, 50, 1000
	fake := &refusing{}
	ix, err := New(Config{
		Prefix: "app", BatchBytes: 8 << 20, BatchDocuments: batch, Connections: connections, RequestTimeout: time.Minute,
		RetryMin: time.Second, RetryMax: time.Minute, Fallback: fallback{}, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	}, fake)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	for i := range sets {
		if err := ix.Put(t.Context(), record(ix, i*each, each), func(bool) {}); err != nil {
			t.Fatal(err)
		}
	}
	for last := int64(-1); fake.refused.Load() != last; time.Sleep(300 * time.Millisecond) {
		last = fake.refused.Load()
	}
	if n := fake.refused.Load(); n == 0 || n > connections*batch {
		t.Errorf("%d documents of %d wait in other forms", n, sets*each)
	}
}

// A form is small, as many of them can be under way at once.
func TestSizeOfForms(t *testing.T) {
	const n = 10_000
	docs := record(nil, 0, 1)
	parts := make([]part, 0, 2*n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		why := reasonOf(&domain.Cause{Type: "type", Reason: strings.Repeat("r", 10<<10)})
		plainly := refused(part{docs: docs, to: 1}, 400, why)
		parts = append(parts, refused(plainly.next[0], 400, why).next...)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int(after.HeapAlloc-before.HeapAlloc) / n; each > maxReason+250 {
		t.Errorf("the letter and the bare form of a document take %d bytes", each)
	}
	runtime.KeepAlive(parts)
}
