package indexer

import (
	"context"
	"net/http"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

// The tally counts documents that were sent for the first time, except dead letters.
func TestUpdateTally(t *testing.T) {
	d := idleDispatcher(t, nil)
	begun := d.tally.accepted
	now := begun.Add(time.Hour)
	p, _ := taken(d, t.Context(), 0, 8)
	outcomes := []partOutcome{
		{part: p.slice(0, 1).letter(deadletter.StageBlocked, 403, noOutcome), outcome: indexed},
		{part: p.slice(0, 3), outcome: blocked, index: "app-x", reason: noOutcome},
		{part: p.slice(3, 4), outcome: unanswered},
		{part: p.slice(4, 5), outcome: busy},
		{part: p.slice(5, 6), outcome: failedAlone, index: "app-x"},
		{part: p.slice(6, 7), outcome: blocked, index: "app-x"},
	}
	outcomes[5].known = true
	d.updateTally(outcomes, now)
	if d.tally.accepted != begun {
		t.Error("an accepted dead letter counts as an accepted document")
	}
	if want := (counts{sent: 4, blocked: 3, failed: 1}); d.tally.total != want {
		t.Errorf("counted %+v, want %+v", d.tally.total, want)
	}
	if x := d.targets["app-x"]; x == nil || !d.tally.mostRefused(x.before) {
		t.Errorf("documents refused together with the first one of an index do not count for it: %+v", x)
	}
}

// A document whose shard another worker has is not sent again, and its record is not
// acknowledged.
func TestCanceledIsDropped(t *testing.T) {
	d := idleDispatcher(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	p, outcomes := taken(d, ctx, 0, 1)
	cancel()
	d.settle(result{outcomes: []partOutcome{{part: p, outcome: unanswered}}})
	if len(d.retries) > 0 || len(*outcomes) != 1 || (*outcomes)[0] {
		t.Errorf("%d retries, outcomes %v", len(d.retries), *outcomes)
	}
}

// If requests fail while others are accepted, a single document becomes a dead letter,
// and several documents are sent again.
func TestOneDocumentIsToBlame(t *testing.T) {
	f := func(name string, n int, letter bool, store Store, retries, requeued, stored int) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.Store = store })
		p, _ := taken(d, t.Context(), 0, n)
		if letter {
			p = p.letter(deadletter.StageIndex, 500, noOutcome)
		}
		d.accepted = 2 * enoughOthers
		p.failures = &failures{whole: true, at: time.Now().Add(-time.Hour), seen: d.accepted - 1, tries: maxTries}
		d.settle(result{outcomes: []partOutcome{{part: p, outcome: unanswered, status: http.StatusInternalServerError}}})
		if len(d.retries) != retries || d.requeued.count != requeued || len(d.storing.parts) != stored {
			t.Errorf("%s: %d retries, %d dead letters, %d for the store", name, len(d.retries), d.requeued.count, len(d.storing.parts))
		}
	}
	f("one", 1, false, nil, 0, 1, 0)
	f("several", 2, false, nil, 1, 0, 0)
	f("a dead letter, no store", 1, true, nil, 1, 0, 0)
	f("a dead letter, a store", 1, true, &brokenStore{}, 0, 0, 1)
}

// Failures of a document alone do not count as failures of its requests.
func TestFailedAloneBefore(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 1)
	d.accepted = enoughOthers
	p.failures = &failures{at: time.Now().Add(-time.Hour), tries: maxTries}
	if d.othersAccepted(&p, true, time.Now()) || p.failures.tries != 0 || !p.failures.whole {
		t.Errorf("the count continues: %+v", p.failures)
	}
}

// Documents that exceed what may wait are given up when the response arrives.
func TestQuarterIsFullAtOnce(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.InFlightBytes = 64 << 10 })
	d.ix.budget.mu.Lock()
	d.ticked = time.Now().Add(time.Hour) // no tick
	d.ix.budget.mu.Unlock()
	p, _ := taken(d, t.Context(), 0, 500)
	d.tally.total.sent = 1000 // most of them were accepted
	d.tally.accepted = time.Now()
	d.settle(result{outcomes: []partOutcome{{part: p, outcome: blocked, index: "app-2018-12-10", reason: noOutcome}}})
	if d.givenUp != 0 {
		t.Fatal("given up while most documents are blocked")
	}
	d.tally.add(time.Now(), counts{sent: 2000})
	q, _ := taken(d, t.Context(), 1000, 1)
	d.settle(result{outcomes: []partOutcome{{part: q, outcome: blocked, index: "app-2018-12-10", reason: noOutcome}}})
	if d.givenUp != 1 {
		t.Errorf("%d indices given up: %+v", d.givenUp, d.targets)
	}
}

// A set that is small, or most of whose documents have no outcome, is not moved.
func TestNotCompacted(t *testing.T) {
	f := func(name string, n, settled int, reserved int64, want bool) {
		t.Helper()
		d := idleDispatcher(t, nil)
		p, _ := taken(d, t.Context(), 0, n)
		docs := p.docs
		docs.Body = append(make([]byte, 0, len(docs.Body)), docs.Body...)
		if reserved > 0 {
			docs.reserved = reserved
		}
		d.finish(p.slice(0, settled))
		left := delay(p.slice(settled, n))
		d.compact(docs)
		if moved := left.docs != docs; moved != want {
			t.Errorf("%s: moved: %v", name, moved)
		}
	}
	f("a quarter is left", 100, 75, 0, true)
	f("most is left", 100, 20, 0, false)
	f("it is as small as it can be", 100, 75, 1, false)
}

// A document that is replaced by two parts counts until both have their outcomes.
func TestReplaceCounts(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, outcomes := taken(d, t.Context(), 0, 2)
	one, size := p.slice(0, 1), len(p.slice(0, 1).bytes())
	all := p.docs.bytes
	fallbacks := d.replace(one, []part{one.letter(deadletter.StageIndex, 400, noOutcome), one.withFallback(fallback{kind: minimalFallback})})
	for i, want := range []int{all + size, all, all - size} {
		if p.docs.bytes != want {
			t.Errorf("%d bytes wait after %d outcomes, want %d", p.docs.bytes, i, want)
		}
		if i < len(fallbacks) {
			d.finish(fallbacks[i])
		}
	}
	if len(*outcomes) > 0 || p.docs.group.pending != 1 {
		t.Errorf("outcomes %v, %d missing", *outcomes, p.docs.group.pending)
	}
}
