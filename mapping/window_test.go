package mapping

import (
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

const aDay = 24 * time.Hour

// indicesOf returns the number of an envelope's documents by index.
func indicesOf(t *testing.T, m *Mapper, e *subscription.Envelope, arrived time.Time) map[string]int {
	t.Helper()
	m.Begin(e, arrived)
	var body []byte
	size := 0
	for more := true; more; {
		var documents, bytes int
		documents, bytes, more = m.Prepare(3000)
		size += bytes
		for range documents {
			body, _ = m.Append(body)
		}
	}
	if len(body) != size {
		t.Errorf("%d bytes, announced as %d", len(body), size)
	}
	indices := map[string]int{}
	for _, match := range regexp.MustCompile(`"_index":"([^"]*)"`).FindAllSubmatch(body, -1) {
		indices[string(match[1])]++
	}
	return indices
}

// A record with an event on each of 400 days creates one index in addition to those of
// the days near its arrival. If no arrival is known, or no limit set, each day has its
// own.
func TestManyDates(t *testing.T) {
	arrived := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	e := &subscription.Envelope{}
	for i := range 400 {
		at := arrived.AddDate(0, 0, i-380)
		e.Events = append(e.Events, subscription.Event{ID: fmt.Append(nil, i), Timestamp: at.UnixMilli(), Message: schema.Literal("m")})
	}
	f := func(cfg Config, arrived time.Time, indices, outside, old, ahead int) {
		t.Helper()
		cfg.Naming.Prefix, cfg.Naming.Zone = "app", time.UTC
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := indicesOf(t, m, e, arrived)
		if len(got) != indices || got["app-outside"] != outside {
			t.Errorf("%+v: %d indices, %d events outside, want %d and %d", cfg, len(got), got["app-outside"], indices, outside)
		}
		if o, a := testutil.ToFloat64(m.metrics.tooOld), testutil.ToFloat64(m.metrics.tooNew); o != float64(old) || a != float64(ahead) {
			t.Errorf("%+v: counted %v too old and %v ahead, want %d and %d", cfg, o, a, old, ahead)
		}
		if again := indicesOf(t, m, e, arrived); !maps.Equal(got, again) {
			t.Errorf("%+v: read again, documents go to %v", cfg, again)
		}
	}
	const within = 30 + 1 + 1
	both := Config{MaxAge: 30 * aDay, MaxAhead: aDay}
	f(both, arrived, within+1, 400-within, 350, 18)
	noIDs := both
	noIDs.NoIDs = true
	f(noIDs, arrived, within+1, 400-within, 350, 18)
	f(Config{MaxAge: 30 * aDay}, arrived, 400-350+1, 350, 350, 0)
	f(Config{MaxAhead: aDay}, arrived, 400-18+1, 18, 0, 18)
	f(Config{}, arrived, 400, 0, 0, 0)
	f(both, time.Time{}, 400, 0, 0, 0)
	stream := both
	stream.Naming.DataStream = true
	f(stream, arrived, 1, 0, 0, 0)
	// A time that is not a time of day, and the extreme times of events.
	f(both, time.UnixMilli(-62_167_219_200_000), 1, 400, 0, 400)
	f(both, time.UnixMilli(253_402_300_799_999), 1, 400, 400, 0)
}

// The limits are inclusive, whatever was written before.
func TestWindowEdges(t *testing.T) {
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}, MaxAge: 30 * aDay, MaxAhead: aDay})
	if err != nil {
		t.Fatal(err)
	}
	arrived := time.Date(2026, 1, 31, 12, 30, 0, 123e6, time.UTC)
	var events []subscription.Event
	var want []string
	f := func(at time.Time, index string) {
		events = append(events, subscription.Event{ID: []byte("1"), Timestamp: at.UnixMilli(), Message: schema.Literal("m")})
		want = append(want, index)
	}
	f(arrived.Add(-30*aDay), "app-2026-01-01")
	f(arrived.Add(-30*aDay-time.Millisecond), "app-outside")
	f(arrived.Add(-30*aDay), "app-2026-01-01")
	f(arrived.Add(aDay+time.Millisecond), "app-outside")
	f(arrived.Add(aDay), "app-2026-02-01")
	f(arrived, "app-2026-01-31")
	for i := range events {
		for j := range events {
			e := &subscription.Envelope{Events: []subscription.Event{events[i], events[j]}}
			expected := map[string]int{}
			expected[want[i]]++
			expected[want[j]]++
			if got := indicesOf(t, m, e, arrived); !maps.Equal(got, expected) {
				t.Errorf("events %d and %d go to %v, want %v", i, j, got, expected)
			}
		}
	}
}

// Events that share a document with one of another envelope are counted, except if
// OpenSearch chooses the ids or a rule drops them.
func TestIdentical(t *testing.T) {
	f := func(noIDs bool, want float64) {
		t.Helper()
		s := schemaOf(t, "fields:\n  - {name: a, type: keyword, paths: [a]}\nrules:\n  - drop: {message: dropped}")
		m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}, NoIDs: noIDs, Schema: s})
		if err != nil {
			t.Fatal(err)
		}
		e := &subscription.Envelope{}
		for _, message := range []string{"a", "dropped", "b"} {
			for _, identical := range []bool{false, true} {
				e.Events = append(e.Events, subscription.Event{ID: []byte("1"), Message: schema.Literal(message), Identical: identical})
			}
		}
		m.AppendAll(nil, e)
		if got := testutil.ToFloat64(m.metrics.identical); got != want {
			t.Errorf("counted %v, want %v", got, want)
		}
	}
	f(false, 2)
	f(true, 0)
}
