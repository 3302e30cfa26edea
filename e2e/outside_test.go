package e2e

import (
	"fmt"
	"testing"
	"time"

	"logsluice/internal/loggen"
	"logsluice/local/inspect"
)

// A record with an event on each of 400 days creates one index in addition to those of the days
// near its arrival. When it is read again, its documents are found there.
func TestRunOutside(t *testing.T) {
	t.Parallel()
	const events = 400
	s := newSharedSink(t)
	// Each event is twelve hours away from the limits, which count from its arrival.
	newest := time.Now().Add(12*time.Hour + 4*24*time.Hour)
	var list []loggen.Event
	for i := range events {
		list = append(list, loggen.Event{ID: fmt.Sprintf("9%055d", i), Timestamp: newest.AddDate(0, 0, -i).UnixMilli(), Message: `{"level":"info"}`})
	}
	s.record(list, nil)

	const ahead, days = 4, 1 + 30 // events ahead of the window and within it
	const old = events - ahead - days
	application := s.application
	run := func(time int, metric string) {
		t.Helper()
		s.application = fmt.Sprint(application, "-", time)
		s.begin("EVENT_MAX_AGE=30d", "EVENT_MAX_AHEAD=1d")
		s.eventually("all is read", func() bool { return s.w.total(metric) == events })
		s.w.stop()
		indices := map[string]int{}
		s.count(s.documents()) // refreshes
		if err := inspect.Each(t.Context(), s.search, s.documents(), func(d inspect.Document) { indices[d.Index]++ }); err != nil {
			t.Fatal(err)
		}
		if outside := indices[s.prefix+"-outside"]; len(indices) != days+1 || outside != ahead+old {
			t.Errorf("time %d: %d indices, %d documents outside, want %d and %d", time, len(indices), outside, days+1, ahead+old)
		}
		for i, e := range list {
			if within := i >= ahead && i < ahead+days; within && indices[s.index(e)] != 1 {
				t.Errorf("time %d: %d documents in %s", time, indices[s.index(e)], s.index(e))
			}
		}
		if n := s.w.total("events_outside"); n != ahead+old {
			t.Errorf("time %d: %v events counted as outside, want %d", time, n, ahead+old)
		}
	}
	run(1, "documents_indexed")
	run(2, "documents_already_there")
	if n := s.hits(s.prefix+"-outside", "term level info"); n != ahead+old {
		t.Errorf("%d documents outside are found by a field, want %d", n, ahead+old)
	}
}
