package indexer

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve lets requests of a limit meet an OpenSearch that takes so many at once,
// each for a second at its best, for a number of requests, and returns how many
// were under way at once in the second half.
func serve(l *limit, requests int, answer func(running int) (took time.Duration, pushback bool)) (mean float64) {
	type flight struct {
		trip
		ends time.Time
	}
	now, sum := time.Unix(0, 0), 0
	var flights []flight
	for i := range requests {
		for l.free() {
			last := l.begin()
			took, pushback := answer(l.running)
			flights = append(flights, flight{trip{sent: now, took: took, pushback: pushback, full: true, last: last}, now.Add(took)})
		}
		next := 0
		for j := range flights {
			if flights[j].ends.Before(flights[next].ends) {
				next = j
			}
		}
		if i >= requests/2 {
			sum += l.running
		}
		now = flights[next].ends
		l.end(flights[next].trip)
		flights = append(flights[:next], flights[next+1:]...)
	}
	return float64(sum) / float64(requests-requests/2)
}

func TestLimit(t *testing.T) {
	const second = time.Second
	f := func(name string, answer func(running int) (time.Duration, bool), least, most float64) {
		t.Helper()
		l := newLimit(8)
		if mean := serve(&l, 400, answer); mean < least || mean > most {
			t.Errorf("%s: %.1f requests under way at once", name, mean)
		}
	}
	f("room for all", func(int) (time.Duration, bool) { return second, false }, 7.9, 8)
	f("refuses more than 3", func(running int) (time.Duration, bool) { return second, running > 3 }, 1.5, 3.5)
	n := 0
	f("slow at times", func(int) (time.Duration, bool) {
		if n++; n%20 < 4 {
			return 5 * second, false
		}
		return second, false
	}, 2, 7.6)
	f("is away", func(int) (time.Duration, bool) { return time.Millisecond, true }, 1, 1)
}

// A start is steep, until there is trouble.
func TestLimitAtStart(t *testing.T) {
	l := newLimit(8)
	if serve(&l, 16, func(int) (time.Duration, bool) { return time.Second, false }); l.allowed != 8 {
		t.Errorf("%v are allowed after 16 requests without trouble", l.allowed)
	}
	l = newLimit(8)
	l.allowed = 2
	for range 8 { // at low load nothing is learned about more
		l.begin()
		l.end(trip{sent: time.Unix(1, 0), took: time.Second, full: true})
	}
	if l.allowed != 2 {
		t.Errorf("%v are allowed after requests that went one at a time", l.allowed)
	}
	l = newLimit(8)
	serve(&l, 4, func(int) (time.Duration, bool) { return time.Second, true })
	if serve(&l, 16, func(int) (time.Duration, bool) { return time.Second, false }); l.allowed > 6 {
		t.Errorf("%v are allowed 16 requests after trouble", l.allowed)
	}
}

// After trouble the limit comes back, and a cluster that became slower for good
// is not held to what it was.
func TestLimitRecovers(t *testing.T) {
	l := newLimit(8)
	serve(&l, 100, func(int) (time.Duration, bool) { return time.Second, true })
	if l.allowed != 1 {
		t.Errorf("%v are allowed while nothing is taken", l.allowed)
	}
	l.running = 0
	for name, took := range map[string]time.Duration{"as before": time.Second, "slower for good": 10 * time.Second} {
		l.running = 0
		if mean := serve(&l, 400, func(int) (time.Duration, bool) { return took, false }); mean < 7.5 {
			t.Errorf("%s: %.1f under way at once", name, mean)
		}
	}
}

// Requests that were sent before a decrease do not decrease it again.
func TestLimitOncePerTrip(t *testing.T) {
	l := newLimit(8)
	l.allowed = 8
	sent := time.Unix(100, 0)
	for range 8 {
		l.begin()
	}
	for range 8 {
		l.end(trip{sent: sent, took: time.Second, pushback: true})
	}
	if l.allowed != 4 {
		t.Errorf("%v are allowed after one volley", l.allowed)
	}
}

// What a full request takes at its best is learned only where OpenSearch has
// done the work of one.
func TestLimitLearnsFromWork(t *testing.T) {
	f := func(name string, documents int, want bool, fake *fakeBulk) {
		t.Run(name, func(t *testing.T) {
			ix := start(t, fake, nil)
			if got := ix.send([]part{{docs: record(ix, 0, documents), to: documents}}).trip.full; got != want {
				t.Errorf("counts as full: %v", got)
			}
		})
	}
	const many = 1000 // as many as in a batch
	f("work", many, true, &fakeBulk{})
	f("little work", 100, false, &fakeBulk{})
	f("blocked", many, false, &fakeBulk{judge: func(string, string, string) (int, string) { return http.StatusForbidden, "cluster_block_exception" }})
	f("halved", many, false, &fakeBulk{answer: func(w http.ResponseWriter, body string) bool {
		if strings.Count(body, "\n") < 2*many {
			return false
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return true
	}})
}

// How long a request takes counts only if it was full, and against the best of late.
func TestLimitOfSlowRequests(t *testing.T) {
	f := func(name string, want float64, trips ...trip) {
		t.Helper()
		l := newLimit(8)
		l.allowed, l.running = 4, len(trips)
		for i, trip := range trips {
			if trip.sent.IsZero() {
				trip.sent = time.Unix(int64(100*(i+1)), 0)
			}
			l.end(trip)
		}
		if l.allowed != want {
			t.Errorf("%s: %v are allowed, want %v", name, l.allowed, want)
		}
	}
	full := func(seconds int) trip { return trip{took: time.Duration(seconds) * time.Second, full: true} }
	f("slower than one that was not full", 4, trip{took: time.Millisecond}, full(1))
	f("slower than the best", 3, full(1), full(2), full(4))
	f("not much slower", 4, full(1), full(3))
	f("sent before the answer to one that was refused", 2,
		trip{sent: time.Unix(100, 0), took: 10 * time.Second, pushback: true}, trip{sent: time.Unix(105, 0), took: 10 * time.Second, pushback: true})
	f("sent after that", 1,
		trip{sent: time.Unix(100, 0), took: 10 * time.Second, pushback: true}, trip{sent: time.Unix(111, 0), took: 10 * time.Second, pushback: true})
}
