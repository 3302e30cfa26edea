package indexer

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve simulates requests under a limit. answer returns how long a request takes with
// that many running, and whether it is pushed back. serve returns the mean number of
// concurrent requests in the second half.
func serve(l *limit, requests int, answer func(running int) (took time.Duration, pushback bool)) (mean float64) {
	type flight struct {
		requestStats
		ends time.Time
	}
	now, sum := time.Unix(0, 0), 0
	var flights []flight
	for i := range requests {
		for l.available() {
			last := l.acquire()
			took, pushback := answer(l.running)
			flights = append(flights, flight{requestStats{sent: now, took: took, pushback: pushback, full: true, last: last}, now.Add(took)})
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
		l.release(flights[next].requestStats)
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
			t.Errorf("%s: %.1f concurrent requests", name, mean)
		}
	}
	f("room for all", func(int) (time.Duration, bool) { return second, false }, 7.9, 8)
	f("refuses more than 3", func(running int) (time.Duration, bool) { return second, running > 3 }, 1.5, 3.5)
	n := 0
	f("sometimes slow", func(int) (time.Duration, bool) {
		if n++; n%20 < 4 {
			return 5 * second, false
		}
		return second, false
	}, 2, 7.6)
	f("is unreachable", func(int) (time.Duration, bool) { return time.Millisecond, true }, 1, 1)
}

// At the start the limit grows fast, until the first decrease.
func TestLimitAtStart(t *testing.T) {
	l := newLimit(8)
	if serve(&l, 16, func(int) (time.Duration, bool) { return time.Second, false }); l.allowed != 8 {
		t.Errorf("%v are allowed after 16 successful requests", l.allowed)
	}
	l = newLimit(8)
	l.allowed = 2
	for range 8 { // low load does not show whether more are possible
		l.acquire()
		l.release(requestStats{sent: time.Unix(1, 0), took: time.Second, full: true})
	}
	if l.allowed != 2 {
		t.Errorf("%v are allowed after requests that ran one at a time", l.allowed)
	}
	l = newLimit(8)
	serve(&l, 4, func(int) (time.Duration, bool) { return time.Second, true })
	if serve(&l, 16, func(int) (time.Duration, bool) { return time.Second, false }); l.allowed > 6 {
		t.Errorf("%v are allowed 16 requests after a decrease", l.allowed)
	}
}

// The limit recovers after a decrease. A cluster that became permanently slower is not
// compared with its earlier speed.
func TestLimitRecovers(t *testing.T) {
	l := newLimit(8)
	serve(&l, 100, func(int) (time.Duration, bool) { return time.Second, true })
	if l.allowed != 1 {
		t.Errorf("%v are allowed while nothing is accepted", l.allowed)
	}
	l.running = 0
	for name, took := range map[string]time.Duration{"as before": time.Second, "permanently slower": 10 * time.Second} {
		l.running = 0
		if mean := serve(&l, 400, func(int) (time.Duration, bool) { return took, false }); mean < 7.5 {
			t.Errorf("%s: %.1f concurrent requests", name, mean)
		}
	}
}

// Requests that were sent before a decrease do not decrease it again.
func TestLimitDecreasesOnce(t *testing.T) {
	l := newLimit(8)
	l.allowed = 8
	sent := time.Unix(100, 0)
	for range 8 {
		l.acquire()
	}
	for range 8 {
		l.release(requestStats{sent: sent, took: time.Second, pushback: true})
	}
	if l.allowed != 4 {
		t.Errorf("%v are allowed after one burst", l.allowed)
	}
}

// Only requests for which OpenSearch did the work of a full batch change the best time.
func TestLimitLearnsFromWork(t *testing.T) {
	f := func(name string, documents int, want bool, fake *fakeBulk) {
		t.Run(name, func(t *testing.T) {
			ix := start(t, fake, nil)
			if got := ix.send([]part{{docs: record(ix, 0, documents), to: documents}}).stats.full; got != want {
				t.Errorf("counts as full: %v", got)
			}
		})
	}
	const many = 1000 // as many as in a batch
	f("work", many, true, &fakeBulk{})
	f("little work", 100, false, &fakeBulk{})
	f("blocked", many, false, &fakeBulk{item: func(string, string, string) (int, string) { return http.StatusForbidden, "cluster_block_exception" }})
	f("halved", many, false, &fakeBulk{answer: func(w http.ResponseWriter, body string) bool {
		if strings.Count(body, "\n") < 2*many {
			return false
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return true
	}})
}

// The duration of a request counts only if its batch was full, and it is compared with
// the recent best.
func TestLimitOfSlowRequests(t *testing.T) {
	f := func(name string, want float64, requests ...requestStats) {
		t.Helper()
		l := newLimit(8)
		l.allowed, l.running = 4, len(requests)
		for i, stats := range requests {
			if stats.sent.IsZero() {
				stats.sent = time.Unix(int64(100*(i+1)), 0)
			}
			l.release(stats)
		}
		if l.allowed != want {
			t.Errorf("%s: %v are allowed, want %v", name, l.allowed, want)
		}
	}
	full := func(seconds int) requestStats {
		return requestStats{took: time.Duration(seconds) * time.Second, full: true}
	}
	f("slower than one that was not full", 4, requestStats{took: time.Millisecond}, full(1))
	f("slower than the best", 3, full(1), full(2), full(4))
	f("not much slower", 4, full(1), full(3))
	f("sent before the response to one that was refused", 2,
		requestStats{sent: time.Unix(100, 0), took: 10 * time.Second, pushback: true}, requestStats{sent: time.Unix(105, 0), took: 10 * time.Second, pushback: true})
	f("sent after that", 1,
		requestStats{sent: time.Unix(100, 0), took: 10 * time.Second, pushback: true}, requestStats{sent: time.Unix(111, 0), took: 10 * time.Second, pushback: true})
}
