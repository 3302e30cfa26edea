package consumer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/semaphore"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/indexer"
	"logsluice/local/localtest"
	"logsluice/opensearch"
	"logsluice/subscription"
)

// away is an OpenSearch that does not answer.
type away struct{}

func (away) Stream(*http.Request) (*http.Response, error) { return nil, errors.New("away") }

// envelope returns a record with n short lines from 2018.
func envelope(n int) []byte { return linesAt(n, time.UnixMilli(1544414264183)) }

// linesAt returns a record with n short lines from one time and from an origin with long names,
// so that documents are far larger than lines.
func linesAt(n int, at time.Time) []byte {
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`{"id":"%056d","timestamp":%d,"message":"GET /health 200"}`, i, at.UnixMilli()))
	}
	name := strings.Repeat("n", 200)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	fmt.Fprintf(w, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"%s","logStream":"%s","logEvents":[%s]}`, name, name, strings.Join(events, ","))
	w.Close()
	return out.Bytes()
}

func newIndexer(t *testing.T, inFlight int64, registry *prometheus.Registry, search opensearch.Client) *indexer.Indexer {
	t.Helper()
	ix, err := indexer.New(indexer.Config{
		Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1000, Connections: 1, RequestTimeout: time.Second, InFlightBytes: inFlight,
		RetryMin: time.Second, RetryMax: time.Minute, Fallback: newMapper(t), Registry: registry, Log: zerolog.Nop(),
	}, search)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ix.Close)
	return ix
}

// newConsumer returns a consumer that is not started.
func newConsumer(t *testing.T, inFlight int64, search opensearch.Client) *Consumer {
	t.Helper()
	registry := prometheus.NewRegistry()
	const maxInflated = 64 << 20
	c := &Consumer{
		cfg:    Config{Stream: "s", MaxInflated: maxInflated, Registry: registry},
		mapper: newMapper(t), indexer: newIndexer(t, inFlight, registry, search),
		metrics: newMetrics(), shards: new(shards), decoders: newDecoders(maxInflated), large: semaphore.NewWeighted(1),
	}
	c.lag = newLagCollector(c.shards, func() []checkpoint.ReadStatus { return nil })
	c.stream = newStream(t.Context(), c.cfg, nil, c.metrics, c.shards)
	return c
}

// newTestProcessor returns a processor that needs no lease and no stream.
func newTestProcessor(t *testing.T, c *Consumer) *processor {
	t.Helper()
	return &processor{consumer: c, mapper: c.mapper.Clone(), shard: "shard", owned: t.Context(), ctx: t.Context(), marks: newWatermark(func(string) {})}
}

// inFlight returns the bytes in flight of the indexer of newConsumer.
func inFlight(t *testing.T, c *Consumer) int64 {
	t.Helper()
	families, err := c.cfg.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "logsluice_in_flight_bytes" {
			return int64(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("bytes in flight are not measured")
	return 0
}

// settled waits until no bytes are in flight.
func settled(t *testing.T, c *Consumer) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); inFlight(t, c) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are in flight after all outcomes", inFlight(t, c))
		}
	}
}

// The bytes in flight are those of the documents, whatever sizes the gzip trailers of the
// records claim. A processor accepts no more records than the limit allows.
func TestBytesInFlight(t *testing.T) {
	localtest.Volume(t)
	f := func(name string, data []byte) {
		t.Run(name, func(t *testing.T) {
			const bound = 5 << 20
			c := newConsumer(t, bound, away{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p := newTestProcessor(t, c)
			p.ctx = ctx
			var records []types.Record
			for i := range 200 {
				records = append(records, recordOf(i, data))
			}
			p.ProcessRecords(records)
			var one []byte
			if _, err := subscription.NewDecoder(64<<20).Decode(data, func(e *subscription.Envelope) {
				one = c.mapper.AppendAll(one, e)
			}); err != nil {
				t.Fatal(err)
			}
			taken := p.marks.pending()
			if held := taken * len(one); taken == 0 || held > bound {
				t.Errorf("%d records with %d bytes of documents are held, the bound is %d", taken, held, bound)
			}
			if !p.incomplete {
				t.Error("the processor does not record that it left records out")
			}
		})
	}
	f("short lines", envelope(1000))
	f("a wrong trailer", append(envelope(5000), envelope(0)...))
}

// Large records are decoded one at a time, and a large document is made when the limit of
// bytes in flight allows it.
func TestLargeRecords(t *testing.T) {
	localtest.Volume(t)
	const size, processors = 32 << 20, 3
	c := newConsumer(t, 2*size, away{})
	c.decoders = make(chan *subscription.Decoder, processors)
	for range processors {
		c.decoders <- subscription.NewDecoder(2 * size)
	}
	for _, other := range []string{"a", "b"} { // no space for one more
		if c.indexer.Reserve(t.Context(), other, size*3/4) == 0 {
			t.Fatal("no space")
		}
	}
	data := oneMessage(size)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var running sync.WaitGroup
	for range processors {
		p := newTestProcessor(t, c)
		p.ctx = ctx
		running.Go(func() {
			p.ProcessRecords([]types.Record{recordOf(1, data)})
			if !p.incomplete || p.deadLetters > 0 {
				t.Errorf("incomplete: %v, %d dead letters", p.incomplete, p.deadLetters)
			}
		})
	}
	for len(c.decoders) > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second) // time for something that should not happen
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n < size || n > size*3/2 {
		t.Errorf("%d MiB were allocated for records of %d MiB", n>>20, size>>20)
	}
	cancel()
	running.Wait()
	if len(c.decoders) != processors || !c.large.TryAcquire(1) {
		t.Error("a decoder is still at work")
	}
}

// The bytes reserved for a large document are released with its outcome, for sizes around the
// bound from which documents are large.
func TestReservedBytes(t *testing.T) {
	for _, size := range []int{maxPutBytes - 16<<10, maxPutBytes - 300, maxPutBytes - 200, maxPutBytes - 100, maxPutBytes, 2 * maxPutBytes} {
		c := newConsumer(t, 8*maxPutBytes, accepting(func([]byte) {}))
		p := newTestProcessor(t, c)
		p.ProcessRecords([]types.Record{recordOf(1, oneMessage(size)), recordOf(2, bytes.Repeat([]byte("bad"), size))})
		<-p.marks.drained()
		settled(t, c)
	}
}

// oneMessage returns a record of one event with a text of the given size.
func oneMessage(size int) []byte {
	var data bytes.Buffer
	w := gzip.NewWriter(&data)
	fmt.Fprintf(w, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"%056d","timestamp":1544414264183,"message":"%s"}]}`,
		1, strings.Repeat("x", size))
	w.Close()
	return data.Bytes()
}

// accepting is an OpenSearch that accepts every document and calls the function with each body.
type accepting func(body []byte)

func (f accepting) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	f(body)
	items := strings.Repeat(`{"create":{"status":201}},`, bytes.Count(body, []byte{'\n'})/2)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.TrimSuffix(items, ",") + `]}`))}, err
}

// A record that was only accepted in part is not acknowledged, although the accepted part is
// indexed.
func TestHalfARecord(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newConsumer(t, 64<<20, accepting(func([]byte) { cancel() })) // the first request ends the reading
	moved := make(chan string, 10)
	p := newTestProcessor(t, c)
	p.ctx, p.marks = ctx, newWatermark(func(n string) { moved <- n })
	p.ProcessRecords([]types.Record{recordOf(1, envelope(100_000))})
	settled(t, c)
	if len(moved) > 0 || !p.incomplete {
		t.Errorf("moved to %d numbers, incomplete: %v", len(moved), p.incomplete)
	}
	select {
	case <-p.marks.drained():
	default:
		t.Error("drained waits for the record")
	}
}

// Equal invalid user records of an aggregate become one dead letter each, although they share
// a sequence number, also when they are delivered again.
func TestEqualBadUserRecords(t *testing.T) {
	var mu sync.Mutex
	ids := make(map[string]int)
	c := newConsumer(t, 1<<20, accepting(func(body []byte) {
		mu.Lock()
		defer mu.Unlock()
		for action := range bytes.SplitSeq(body, []byte("\n")) {
			if bytes.HasPrefix(action, []byte(`{"create":`)) {
				ids[string(action)]++
			}
		}
	}))
	bad := func(number int) types.Record { return recordOf(number, []byte("bad")) }
	for _, records := range [][]types.Record{{bad(1), bad(1)}, {bad(0), bad(1), bad(1)}} {
		p := newTestProcessor(t, c)
		p.ProcessRecords(records)
		<-p.marks.drained()
	}
	mu.Lock()
	defer mu.Unlock()
	twice := 0
	for _, n := range ids {
		if n == 2 {
			twice++
		}
	}
	if len(ids) != 3 || twice != 2 {
		t.Errorf("dead letters %v, want one once and two twice", ids)
	}
}

// Events cause no allocations: a record with many events allocates little more than one with
// few.
func TestNothingAllocatedPerEvent(t *testing.T) {
	c := newConsumer(t, 64<<20, accepting(func([]byte) {}))
	p := newTestProcessor(t, c)
	number := 0
	allocations := func(events int) float64 {
		data := envelope(events)
		return testing.AllocsPerRun(20, func() {
			number++
			p.ProcessRecords([]types.Record{recordOf(number, data)})
			<-p.marks.drained()
		})
	}
	few, many := allocations(100), allocations(2100)
	if more := many - few; more > 300 { // for buffers and the race detector's pools
		t.Errorf("%v allocations for 2000 more events", more)
	}
}

// A record counts towards the bytes in flight little more than its documents, also with its
// last part.
func TestBytesInFlightOfARecord(t *testing.T) {
	f := func(events int) {
		const bound = 64 << 20
		c := newConsumer(t, bound, away{})
		p := newTestProcessor(t, c)
		data, documents := envelope(events), 0
		p.ProcessRecords([]types.Record{recordOf(1, data)})
		if _, err := subscription.NewDecoder(64<<20).Decode(data, func(e *subscription.Envelope) {
			documents += len(p.mapper.AppendAll(nil, e))
		}); err != nil {
			t.Fatal(err)
		}
		pieces := documents/maxPutBytes + 1
		if more := inFlight(t, c) - int64(documents); more < 0 || more > int64(pieces*32<<10) {
			t.Errorf("%d documents of %d bytes together take %d more", events, documents, more)
		}
	}
	f(1)
	f(100)
	f(7000)
}
