package indexer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"logsluice/local/localtest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// refusing refuses each document and its plain fallback, each with a different reason. It
// does not answer requests with dead letters until the test ends.
type refusing struct{ letters atomic.Int64 }

func (f *refusing) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte(`"app-dead-letter"`)) {
		f.letters.Add(1)
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	var items []string
	for i, line := range bytes.Split(body, []byte("\n")) {
		if i%2 == 0 && len(line) > 0 {
			id := member(line, `"_id":"`)
			items = append(items, fmt.Sprintf(`{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [a] in document with id '%s'. Preview of field's value: '%s'"}}}`,
				id, strings.Repeat(string(id), 50)))
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.Join(items, ",") + `]}`))}, nil
}

// Refused documents take little more memory than the bytes in flight, however many there
// are and whatever the reasons.
func TestMemoryOfRefusedDocuments(t *testing.T) {
	localtest.Volume(t)
	const limit, documents, each = 128 << 20, 370_000, 1000
	fake := new(refusing)
	ix, err := New(Config{
		Prefix: "app", BatchBytes: 8 << 20, BatchDocuments: 20_000, Connections: 2, RequestTimeout: time.Hour, InFlightBytes: limit, WaitForIndex: time.Hour,
		RetryMin: time.Second, RetryMax: time.Minute, Fallback: testFallback{}, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	}, fake)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	put := 0
	for put < documents {
		docs := NewDocuments(Source{Stream: "stream", Shard: "shard", SequenceNumber: fmt.Sprint(put)}, 0)
		for i := range each {
			docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":\"app-2018-12-10\",\"_id\":\"%d\"}}\n{\"message\":\"%0*d\"}\n", put+i, 280, put+i)
			docs.Next(i)
		}
		within, stop := context.WithTimeout(ctx, 2*time.Second)
		reserved := ix.Reserve(within, "shard", docs.Size())
		stop()
		if reserved == 0 {
			break // the budget is used up
		}
		put += each
		if err := ix.Put(ctx, docs, reserved, func(bool) {}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(5 * time.Minute); fake.letters.Load() < 2 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if used := heap() - before; put < documents/4 || used > limit+limit/2 {
		t.Errorf("%d documents take %d MiB, %d MiB are allowed", put, used>>20, (limit+limit/2)>>20)
	} else {
		t.Logf("%d documents take %d MiB", put, used>>20)
	}
}
