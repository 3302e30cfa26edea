package indexer

import (
	"testing"
	"time"
)

func TestIsOutage(t *testing.T) {
	now := time.Now()
	f := func(name string, accepted, tried time.Duration, want bool) {
		t.Helper()
		all := tally{accepted: now.Add(-accepted), tried: now.Add(-tried), recent: 2 * outageAfter}
		if got := all.isOutage(now); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	f("nothing was accepted for a minute", outageAfter, 0, true)
	f("something was", outageAfter-time.Second, 0, false)
	f("nothing was tried since", outageAfter, outageAfter+time.Second, false)
	f("nothing was tried recently", time.Hour, 2*outageAfter, false)
}

func TestIsStale(t *testing.T) {
	now := time.Now()
	f := func(name string, accepted, sent time.Duration, want bool) {
		t.Helper()
		all := tally{accepted: now.Add(-accepted), sentAt: now.Add(-sent)}
		if got := all.isStale(now); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	f("accepted since the last was sent", time.Second, 2*time.Second, true)
	f("accepted with the last, long ago", outageAfter, outageAfter, true)
	f("accepted with the last", time.Second, time.Second, false)
	f("accepted before the last", 2*time.Hour, time.Hour, false)
}

// The considered time is bounded, and more than half of the documents must fail.
func TestMostBlocked(t *testing.T) {
	now := time.Now()
	var all tally
	all.add(now, counts{sent: 1000})
	before := all.total
	for i := range maxSeconds {
		all.add(now.Add(time.Duration(i+1)*time.Second), counts{sent: 2, blocked: 1})
	}
	if len(all.seconds) != maxSeconds {
		t.Errorf("%d seconds are kept", len(all.seconds))
	}
	if all.mostRefused(before) || all.mostRefused(counts{}) {
		t.Error("half counts as most")
	}
	all.add(now.Add((maxSeconds+1)*time.Second), counts{sent: 1, blocked: 1})
	if !all.mostRefused(counts{}) {
		t.Error("earlier documents count")
	}
	all.add(now.Add((maxSeconds+1)*time.Second), counts{sent: 1, failed: 1})
	all.add(now.Add((maxSeconds+1)*time.Second), counts{sent: 1})
	if !all.mostRefused(counts{}) {
		t.Error("errors of the server do not count")
	}
}

// A few documents do not show that most fail.
func TestMostFailed(t *testing.T) {
	f := func(n counts, want bool) {
		t.Helper()
		var all tally
		all.add(time.Now(), n)
		if got := all.mostFailed(); got != want {
			t.Errorf("%+v: %v", n, got)
		}
	}
	f(counts{sent: enoughSent, failed: enoughSent}, true)
	f(counts{sent: enoughSent - 1, failed: enoughSent - 1}, false)
	f(counts{sent: enoughSent, failed: enoughSent / 2}, false)
}
