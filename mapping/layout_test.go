package mapping

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// randomEnvelope returns an envelope with events in a few hours, in random order.
func randomEnvelope(rng *rand.Rand) *subscription.Envelope {
	text := func() subscription.Text { return fmt.Appendf(nil, "%q", fmt.Sprint(rng.Uint64()>>rng.IntN(64))) }
	e := &subscription.Envelope{Owner: text(), LogGroup: text(), LogStream: text()}
	for range rng.IntN(20) {
		e.Events = append(e.Events, subscription.Event{ID: fmt.Append(nil, rng.Uint64()), Timestamp: rng.Int64N(3) * msPerHour / 2, Message: text()})
	}
	return e
}

// Documents do not depend on what was written before, on the mappers of other goroutines,
// or on how much is prepared at a time: they equal those of a new mapper for each event.
func TestMapperContinues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fresh := func() *Mapper {
		m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "Asia/Kathmandu")}, MaxAge: time.Hour, MaxAhead: 20 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := fresh()
	for range 500 {
		e, other := randomEnvelope(rng), randomEnvelope(rng)
		arrived := []time.Time{{}, time.UnixMilli(msPerHour / 4), time.UnixMilli(msPerHour), time.UnixMilli(2 * msPerHour)}[rng.IntN(4)]
		m.Begin(e, arrived)
		clone := m.Clone()
		clone.Begin(other, arrived)
		var want []byte // one event at a time
		for _, event := range e.Events {
			one := *e
			one.Events = []subscription.Event{event}
			alone := fresh()
			alone.Begin(&one, arrived)
			alone.Prepare(1)
			want, _ = alone.Append(want)
		}
		var got []byte
		appended := 0
		for more := true; more; {
			room := 1 + rng.IntN(2000)
			var n, size int
			n, size, more = m.Prepare(room)
			if n == 0 && len(e.Events) > 0 || n > 1 && size > room {
				t.Fatalf("%d documents of %d bytes for %d", n, size, room)
			}
			from := len(got)
			for range n {
				var event *subscription.Event
				if got, event = m.Append(got); event != &e.Events[appended] {
					t.Fatalf("appended event %s as %d of %v", event.ID, appended, e.Events)
				}
				appended++
				if c, _, _ := clone.Prepare(rng.IntN(1000)); c > 0 {
					clone.Append(nil)
				}
			}
			if len(got)-from != size {
				t.Fatalf("%d bytes, announced as %d: %s", len(got)-from, size, got[from:])
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got  %swant %s", got, want)
		}
	}
}

// Nothing is allocated for an event, nor for an envelope of a known hour and log stream,
// whatever the schema.
func TestAppendAllocatesNothing(t *testing.T) {
	e := randomEnvelope(rand.New(rand.NewPCG(1, 2)))
	e.Events = nil
	for i, line := range []string{
		`a`, `{"level":"WARNING","msg":"a\n\u00e9","ts":1544414264.183,"error":"x\ty","stack":["a","b"]}`,
		`at 12:00 {"duration":0.25,"message":"m","status":"200","http":{"request":{"method":"GET"}},"url":"/a?b","latency":"1.5ms"}`,
		`{"status":1.5,"duration":"soon","trace_id":"` + strings.Repeat("x", 2000) + `","host":{"a":1},"path":[1,2,3]`,
		`2026-01-15T12:00:00.123Z 8f5c WARN [main] c.e.Shop - {"level":30,"time":1768478400000,"name":"shop","url":"https://a/b"}`,
		`{"log":"{\"level\":\"info\",\"msg\":\"x\"}\n","stream":"stdout"}`, `{"latency":1,"trace_id":"Root=1;Self=2","_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"latency","Unit":"Seconds"}]}]}}`,
	} {
		e.Events = append(e.Events, subscription.Event{ID: []byte("42"), Timestamp: int64(i), Message: schema.Literal(line)})
	}
	for _, name := range schema.BuiltIns() {
		m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: mustBuiltIn(t, name), MaxAge: time.Hour, MaxAhead: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 0, 1<<20)
		n := testing.AllocsPerRun(100, func() {
			body = m.AppendAll(body[:0], e)
			// Half of the events are outside the window.
			m.Begin(e, time.UnixMilli(1+int64(len(e.Events))/2).Add(m.maxAge))
			for documents, _, _ := m.Prepare(1 << 20); documents > 0; documents-- {
				body, _ = m.Append(body)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations for %d events", name, n, len(e.Events))
		}
	}
}

// BenchmarkAppend makes the documents of one envelope, whose times are in one hour, or each in
// another hour, so that no document shares its layout. It reports their bytes.
func BenchmarkAppend(b *testing.B) {
	for name, apart := range map[string]time.Duration{"one hour": 100 * time.Millisecond, "many hours": time.Hour} {
		b.Run(name, func(b *testing.B) {
			m := newMapper(b, "app", "UTC")
			e := randomEnvelope(rand.New(rand.NewPCG(1, 2)))
			e.Events = make([]subscription.Event, 112)
			for i := range e.Events {
				e.Events[i] = subscription.Event{ID: bytes.Repeat([]byte("7"), 56), Timestamp: int64(i) * apart.Milliseconds(), Message: subscription.Text(`"` + string(bytes.Repeat([]byte("m"), 480)) + `"`)}
			}
			body := m.AppendAll(nil, e)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				body = m.AppendAll(body[:0], e)
			}
		})
	}
}
