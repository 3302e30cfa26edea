package mapping

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"logsluice/subscription"
)

// randomEnvelope has events around a few hours, in no order.
func randomEnvelope(rng *rand.Rand) *subscription.Envelope {
	text := func() subscription.Text { return fmt.Appendf(nil, "%q", fmt.Sprint(rng.Uint64()>>rng.IntN(64))) }
	e := &subscription.Envelope{Owner: text(), LogGroup: text(), LogStream: text()}
	for range rng.IntN(20) {
		e.Events = append(e.Events, subscription.Event{ID: fmt.Append(nil, rng.Uint64()), Timestamp: rng.Int64N(3) * msPerHour / 2, Message: text()})
	}
	return e
}

// What was written before makes no difference, nor do other goroutines' mappers.
func TestMapperGoesOn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := newMapper(t, "app", "Asia/Kathmandu")
	for range 500 {
		e, other := randomEnvelope(rng), randomEnvelope(rng)
		m.Begin(e)
		clone := m.Clone()
		clone.Begin(other)
		for i := range e.Events {
			fresh := newMapper(t, "app", "Asia/Kathmandu")
			fresh.Begin(e)
			want := fresh.Append(nil, &e.Events[i])
			if got := m.Append(nil, &e.Events[i]); !bytes.Equal(got, want) || m.Size(&e.Events[i]) != len(want) {
				t.Fatalf("got  %swant %ssize %d, want %d", got, want, m.Size(&e.Events[i]), len(want))
			}
			for j := range other.Events {
				clone.Append(nil, &other.Events[j])
			}
			if rng.IntN(4) == 0 {
				clone = m.Clone()
				clone.Begin(other)
			}
		}
	}
}

// Nothing is allocated for an event, nor for an envelope of an hour that is known.
func TestAppendAllocatesNothing(t *testing.T) {
	m := newMapper(t, "app", "UTC")
	e := randomEnvelope(rand.New(rand.NewPCG(1, 2)))
	e.Events = make([]subscription.Event, 1000)
	for i := range e.Events {
		e.Events[i] = subscription.Event{ID: []byte("42"), Timestamp: int64(i), Message: subscription.Text(`"a"`)}
	}
	body := make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(100, func() {
		body = body[:0]
		m.Begin(e)
		for i := range e.Events {
			if m.Size(&e.Events[i]) > 0 {
				body = m.Append(body, &e.Events[i])
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations for %d events", n, len(e.Events))
	}
}

// BenchmarkAppend makes the documents of one envelope. The bytes are theirs.
func BenchmarkAppend(b *testing.B) {
	m, err := New(Config{Prefix: "app", Zone: time.UTC, Schema: DefaultSchema()})
	if err != nil {
		b.Fatal(err)
	}
	e := randomEnvelope(rand.New(rand.NewPCG(1, 2)))
	e.Events = make([]subscription.Event, 112)
	size := 0
	m.Begin(e)
	for i := range e.Events {
		e.Events[i] = subscription.Event{ID: bytes.Repeat([]byte("7"), 56), Timestamp: int64(i) * 100, Message: subscription.Text(`"` + string(bytes.Repeat([]byte("m"), 480)) + `"`)}
		size += m.Size(&e.Events[i])
	}
	body := make([]byte, 0, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		body = body[:0]
		m.Begin(e)
		for i := range e.Events {
			body = m.Append(body, &e.Events[i])
		}
	}
}
