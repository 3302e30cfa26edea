package loggen

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func records(options Options) []Record {
	var all []Record
	for g := New(options); ; {
		r, more := g.Next()
		if !more {
			return all
		}
		all = append(all, r)
	}
}

func inflate(t testing.TB, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNext_SameSeed(t *testing.T) {
	options := Options{Seed: 7, Events: 3000}
	first := records(options)
	if !reflect.DeepEqual(first, records(options)) {
		t.Error("a second run with the same seed differs")
	}
	options.Seed = 8
	if second := records(options); first[1].Events[0].Message == second[1].Events[0].Message {
		t.Error("another seed gives the same records")
	}
}

// Ids are unique even if many events share a millisecond, and across runs with different
// seeds.
func TestNext_ID(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(2) {
		previous := ""
		for _, r := range records(Options{Seed: seed, Events: 3000, Span: 30 * time.Millisecond}) {
			if r.Control {
				continue
			}
			for _, e := range r.Events {
				if seen[e.ID] || e.ID <= previous {
					t.Fatalf("seed %d: id %s after %s", seed, e.ID, previous)
				}
				seen[e.ID], previous = true, e.ID
			}
		}
	}
	if len(seen) != 6000 {
		t.Errorf("%d ids, want 6000", len(seen))
	}
}

func TestNext_Count(t *testing.T) {
	f := func(events int) {
		t.Helper()
		n := 0
		all := records(Options{Seed: 1, Events: events})
		for _, r := range all {
			if !r.Control {
				n += len(r.Events)
			}
		}
		if n != events {
			t.Errorf("got %d events, want %d", n, events)
		}
		if !all[0].Control || all[len(all)-1].Control {
			t.Error("want a control message first and events last")
		}
	}
	f(1)
	f(2)
	f(999)
	f(5_000)
}

func TestNext_Endless(t *testing.T) {
	const n = 10_000
	g, seen, last := New(Options{Start: noon, Span: 1000 * time.Second}), 0, int64(0)
	for seen < n {
		r, more := g.Next()
		if !more {
			t.Fatalf("ended after %d events", seen)
		}
		if !r.Control {
			seen += len(r.Events)
			last = r.Events[len(r.Events)-1].Timestamp
		}
	}
	// A million events take the span, so each takes a millisecond.
	if passed := last - noon.UnixMilli(); passed != int64(seen-1) {
		t.Errorf("%d ms passed in %d events", passed, seen)
	}
}

// Data contains the record's fields in the form of CloudWatch Logs.
func TestNext_Data(t *testing.T) {
	const n = 20_000
	var (
		options  = Options{Seed: 1, Events: n, Start: noon, Span: 24 * time.Hour}
		previous = strings.Repeat("0", 56)
		earlier  = noon.UnixMilli()
		days     = make(map[string]int)
		keys     = make(map[string]string)
		groups   = make(map[string]bool)
		controls = 0
	)
	for _, r := range records(options) {
		text := inflate(t, r.Data)
		var e envelope
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			t.Fatal(err)
		}
		want := envelope{"DATA_MESSAGE", r.Owner, r.LogGroup, r.LogStream, r.Filters, r.Events}
		if r.Control {
			controls++
			want = envelope{"CONTROL_MESSAGE", "CloudwatchLogs", "", "", []string{}, r.Events}
		}
		if !reflect.DeepEqual(e, want) {
			t.Fatalf("got  %+v\nwant %+v", e, want)
		}
		formatted := fmt.Sprintf(`{"messageType":%q,"owner":%q,"logGroup":%q,"logStream":%q,"subscriptionFilters":[`, e.MessageType, e.Owner, e.LogGroup, e.LogStream)
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte(formatted)) || !bytes.Equal(compact.Bytes(), text) || bytes.Contains(text, []byte(`\u003c`)) {
			t.Fatalf("not in the form of CloudWatch Logs: %.300s", text)
		}
		if r.Control {
			if len(e.Events) != 1 || e.Events[0].ID != "" || !strings.HasPrefix(e.Events[0].Message, "CWL CONTROL MESSAGE: ") {
				t.Errorf("control message: %s", text)
			}
			continue
		}

		groups[r.LogGroup] = true
		if key, known := keys[r.LogStream]; known && key != r.PartitionKey {
			t.Errorf("log stream %s has the partition keys %s and %s", r.LogStream, key, r.PartitionKey)
		}
		keys[r.LogStream] = r.PartitionKey
		for _, e := range r.Events {
			if len(e.ID) != 56 || e.ID <= previous {
				t.Fatalf("id %s after %s", e.ID, previous)
			}
			if e.Timestamp < earlier || e.Timestamp > noon.Add(options.Span).UnixMilli() {
				t.Fatalf("time %d after %d", e.Timestamp, earlier)
			}
			if len(e.Message) < 1 || len(e.Message) > 20<<10 || !utf8.ValidString(e.Message) {
				t.Fatalf("message of %d bytes: %q", len(e.Message), e.Message)
			}
			previous, earlier = e.ID, e.Timestamp
			days[time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly)]++
		}
	}
	if controls == 0 || len(groups) != len(services) {
		t.Errorf("%d control messages, %d log groups", controls, len(groups))
	}
	if a, b := days["2026-01-15"], days["2026-01-16"]; a+b != n || a < n*49/100 || b < n*49/100 {
		t.Errorf("events per day: %v", days)
	}
	distinct := make(map[string]bool)
	for _, key := range keys {
		distinct[key] = true
	}
	if len(keys) < 100 || len(distinct) != len(keys) {
		t.Errorf("%d log streams with %d partition keys", len(keys), len(distinct))
	}
}

// The overall shape is close to measurements of real records: 209.7 MB inflated and 54.4
// MB of gzip for 361,832 events, 112 per record.
func TestNext_Shape(t *testing.T) {
	const n = 50_000
	var inflated, packed, controls float64
	var sizes []int
	for _, r := range records(Options{Seed: 1, Events: n}) {
		if r.Control {
			controls++
			continue
		}
		inflated += float64(len(inflate(t, r.Data)))
		packed += float64(len(r.Data))
		sizes = append(sizes, len(r.Events))
	}
	slices.Sort(sizes)
	count := float64(len(sizes))

	near := func(what string, got, want float64) {
		t.Helper()
		t.Logf("%-24s %8.2f, real records %8.2f", what, got, want)
		if got < want*0.85 || got > want*1.15 {
			t.Errorf("%s: got %.1f, want %.1f ± 15 %%", what, got, want)
		}
	}
	near("events a record", n/count, 112)
	near("bytes an event", inflated/n, 209.7e6/361_832)
	near("bytes of gzip an event", packed/n, 54.4e6/361_832)
	near("inflated to gzip", inflated/packed, 209.7/54.4)
	near("bytes of gzip a record", packed/count, 16_800)

	smallest, median, largest := sizes[0], sizes[len(sizes)/2], sizes[len(sizes)-1]
	if smallest != 1 || median > 100 || largest < 400 || largest > 600 {
		t.Errorf("records of %d to %d events, median %d", smallest, largest, median)
	}
	if share := controls / count; share > 0.02 || controls < 1 {
		t.Errorf("%v control messages and %v others", controls, count)
	}
}

// An id equals the result of big-integer arithmetic on its three parts.
func TestID(t *testing.T) {
	f := func(seed, count uint64, timestamp int64) {
		t.Helper()
		want := new(big.Int).SetUint64(uint64(timestamp)<<16 | 0x14d9)
		for _, part := range []uint64{seed, count} {
			want.Or(want.Lsh(want, 64), new(big.Int).SetUint64(part))
		}
		m := idMaker{seed, count}
		if got := m.next(timestamp); got != fmt.Sprintf("%056d", want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(0, 0, noon.UnixMilli())
	f(1, 1, noon.UnixMilli())
	f(1<<64-1, 1<<64-1, 4_484_155_085_838)
	f(0x14d9b2a87f4665ba, 2, 1_432_826_855_000)
	f(7, 7, 448_415_508_584)
	f(7, 7, 1)
}

func BenchmarkNext(b *testing.B) {
	g, total := New(Options{Seed: 1}), 0
	for b.Loop() {
		g.Next()
		total += g.encoder.plain.Len()
	}
	b.SetBytes(int64(total / b.N))
}
