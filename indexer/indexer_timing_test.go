package indexer

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/internal/loggen"
	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// swallow reads requests to their end and accepts all documents.
type swallow struct{ bytes int }

func (s *swallow) Stream(r *http.Request) (*http.Response, error) {
	n, err := io.Copy(io.Discard, r.Body)
	s.bytes += int(n)
	r.Body.Close()
	items := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, benchmarkDocuments), ",")
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + items + `]}`))}, err
}

const benchmarkDocuments = 5000

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPut measures the cost of sending documents without the network, and the bytes
// sent, with and without compression.
func BenchmarkPut(b *testing.B) {
	mapper, err := mapping.New(mapping.Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}})
	if err != nil {
		b.Fatal(err)
	}
	var body []byte
	var ends []document
	g, decoder := loggen.New(loggen.Options{Seed: 1}), subscription.NewDecoder(64<<20)
	for len(ends) < benchmarkDocuments {
		r, _ := g.Next()
		if _, err := decoder.Decode(r.Data, func(e *subscription.Envelope) {
			mapper.Begin(e, time.Time{})
			n, _, _ := mapper.Prepare(64 << 20)
			for range min(n, benchmarkDocuments-len(ends)) {
				body, _ = mapper.Append(body)
				ends = append(ends, document{end: len(body)})
			}
		}); err != nil {
			b.Fatal(err)
		}
	}
	for name, compressed := range map[string]bool{"plain": false, "gzip": true} {
		b.Run(name, func(b *testing.B) {
			search := &swallow{}
			ix, err := New(Config{
				Prefix: "app", BatchBytes: 64 << 20, BatchDocuments: benchmarkDocuments, Connections: 1, RequestTimeout: time.Minute, Gzip: compressed,
				RetryMin: time.Second, RetryMax: time.Second, InFlightBytes: 64 << 20, Fallback: mapper, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
			}, search)
			if err != nil {
				b.Fatal(err)
			}
			defer ix.Close()
			b.SetBytes(int64(len(body)))
			began := cpu()
			for b.Loop() {
				docs := NewDocuments(Source{}, len(body))
				docs.Body, docs.ends = bytes.Clone(body), ends
				var done sync.WaitGroup
				done.Add(1)
				if err := ix.Put(b.Context(), docs, 0, func(bool) { done.Done() }); err != nil {
					b.Fatal(err)
				}
				done.Wait()
			}
			documents := float64(b.N * benchmarkDocuments)
			b.ReportMetric((cpu()-began).Seconds()/documents*1e6, "cpu-s/1M-docs")
			b.ReportMetric(float64(search.bytes)/documents, "sent-B/doc")
		})
	}
}
