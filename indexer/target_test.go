package indexer

import (
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

// moment and tallies of a worker at that time.
var (
	moment  = time.Now()
	healthy = tally{accepted: moment, tried: moment.Add(-time.Second), recent: time.Hour, sentAt: moment}
	away    = tally{accepted: moment.Add(-outageAfter), tried: moment, recent: time.Hour, sentAt: moment}
)

// counting returns a healthy tally with documents sent.
func counting(n counts) *tally {
	all := healthy
	all.add(moment, n)
	all.accepted = moment.Add(-time.Second) // before the last
	return &all
}

// Conditions that protect an index from being given up, or delay the ends of shards.
func TestProtected(t *testing.T) {
	f := func(name string, x target, all *tally, kept, delaysShardEnds bool) {
		t.Helper()
		if got := x.isProtected(moment, all); got != kept {
			t.Errorf("%s: protected: %v", name, got)
		}
		if got := x.delaysShardEnds(moment, all); got != delaysShardEnds {
			t.Errorf("%s: delays shard ends: %v", name, got)
		}
	}
	f("nothing is wrong", target{}, &healthy, false, false)
	f("flood stage", target{flood: true}, &healthy, true, true)
	f("outage", target{}, &away, true, true)
	f("most are blocked", target{}, counting(counts{sent: enoughSent, blocked: enoughSent}), true, true)
	f("half are blocked", target{}, counting(counts{sent: 2 * enoughSent, blocked: enoughSent}), false, false)
	f("a few are blocked", target{}, counting(counts{sent: enoughSent - 1, blocked: enoughSent - 1}), true, false)
	f("most were, before it refused any", target{before: counts{sent: enoughSent, blocked: enoughSent}}, counting(counts{sent: enoughSent, blocked: enoughSent}), false, false)
	over := counting(counts{sent: enoughSent, blocked: enoughSent})
	over.accepted = moment.Add(time.Second)
	f("most were blocked, and others were accepted since", target{}, over, true, false)
}

// The clock stands still while the index is protected, and the time of that is recorded.
func TestAdvance(t *testing.T) {
	f := func(name string, all *tally, clock time.Duration, kept, delayedEndsAt bool) {
		t.Helper()
		x := target{ticked: moment.Add(-time.Minute)}
		x.advance(moment, all)
		if x.clock != clock || x.ticked != moment || x.protectedAt.IsZero() == kept || x.delayedEndsAt.IsZero() == delayedEndsAt {
			t.Errorf("%s: %+v", name, x)
		}
	}
	f("nothing is wrong", &healthy, time.Minute, false, false)
	f("outage", &away, 0, true, true)
	f("a few are blocked", counting(counts{sent: 1, blocked: 1}), 0, true, false)
}

func TestTargetRules(t *testing.T) {
	is := func(name string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	is("fails on all", (&target{failed: enoughFailed}).failsAll(), true)
	is("fails on few", (&target{failed: enoughFailed - 1}).failsAll(), false)
	is("fails on many, and accepts some", (&target{failed: enoughFailed, accepted: 1}).failsAll(), false)

	is("due", (&target{isBlocked: true, clock: time.Hour}).isDue(time.Hour), true)
	is("not yet due", (&target{isBlocked: true, clock: time.Hour}).isDue(time.Hour+1), false)
	is("blocked some time after its first refusal", (&target{isBlocked: true, clock: time.Hour, since: 1}).isDue(time.Hour), false)
	is("not blocked", (&target{clock: time.Hour}).isDue(time.Hour), false)
	is("never due", (&target{isBlocked: true, clock: time.Hour}).isDue(0), false)

	is("accepted some", (&target{acceptedAt: moment.Add(1 - acceptsSomeFor)}).acceptsSome(moment), true)
	is("accepted some long ago", (&target{acceptedAt: moment.Add(-acceptsSomeFor)}).acceptsSome(moment), false)
	is("accepted none", (&target{}).acceptsSome(moment), false)

	f := &failures{at: moment.Add(-failingFor), accepted: 7}
	is("to blame", isToBlame(f, maxTries, moment, 7+enoughOthers), true)
	is("few tries", isToBlame(f, maxTries-1, moment, 7+enoughOthers), false)
	is("few others", isToBlame(f, maxTries, moment, 6+enoughOthers), false)
	is("not for long", isToBlame(f, maxTries, moment.Add(-1), 7+enoughOthers), false)
}

// What a refusal changes for the index and the document.
func TestWaitForIndex(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.Store = &brokenStore{} })
	now := time.Now()
	p, _ := taken(d, t.Context(), 0, 8)
	one := func(i int, how outcome) partOutcome {
		return partOutcome{part: p.slice(i, i+1), outcome: how, index: "app-x", reason: noOutcome}
	}
	flood := one(0, blocked)
	flood.flood = true
	d.waitForIndex(flood, now)
	x := d.targets["app-x"]
	since := x.since
	x.clock += time.Minute
	d.waitForIndex(one(1, failedAlone), now)
	if !x.flood || x.failed != 1 || len(x.failing) != 1 {
		t.Errorf("a failed document changes the flood state: %+v", x)
	}
	again := one(1, failedAlone)
	again.attempts = 3
	d.waitForIndex(again, now)
	if x.failed != 1 {
		t.Errorf("a document that fails again counts twice: %+v", x)
	}
	d.waitForIndex(one(2, blocked), now)
	if x.flood || x.since != since || len(x.blocked) != 2 {
		t.Errorf("blocked again: %+v", x)
	}
	// Failures of its whole request do not count for the document.
	whole := one(3, failedAlone)
	whole.failures = &failures{whole: true, at: now.Add(-time.Hour), tries: maxTries}
	whole.attempts = maxTries
	x.accepted = enoughOthers
	if letters := d.waitForIndex(whole, now); len(letters) > 0 {
		t.Errorf("%d dead letters of a document that failed for the first time", len(letters))
	}
	// Failures before its index was blocked do not count either.
	before := one(4, blocked)
	before.failures = &failures{at: now.Add(-time.Hour)}
	d.waitForIndex(before, now)
	if h := x.blocked[len(x.blocked)-1]; h.failures != nil {
		t.Errorf("%+v", h.failures)
	}

	x.givenUp = true
	if letters := d.waitForIndex(one(5, blocked), now); len(letters) != 1 {
		t.Errorf("%d dead letters of a document for an index that is given up", len(letters))
	}
	letter := partOutcome{part: p.slice(6, 7).letter(deadletter.StageIndex, 400, noOutcome), outcome: blocked, index: "app-dead-letter", reason: noOutcome}
	d.targetOf(letter, now).givenUp = true
	if letters := d.waitForIndex(letter, now); len(letters) > 0 || len(d.storing.parts) != 1 {
		t.Errorf("%d dead letters of a dead letter, %d for the store", len(letters), len(d.storing.parts))
	}
}

// The outcome of a probe.
func TestHandleProbe(t *testing.T) {
	f := func(name string, x target, how outcome, want target) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.RetryMin, c.RetryMax = time.Second, 2*time.Second })
		now := time.Now()
		p, _ := taken(d, t.Context(), 0, 3)
		x.name, x.probing, x.pending, x.isBlocked = "app-x", 1, 1, true
		x.blocked = []*delayedPart{delay(p.slice(1, 2))}
		d.targets["app-x"] = &x
		d.handleProbe(partOutcome{part: p.slice(0, 1), outcome: how, index: "app-x"}, now)
		if x.probing != 0 || x.flood != want.flood || x.givenUp != want.givenUp || x.isBlocked != want.isBlocked || len(x.blocked) != len(want.blocked) || x.attempts != want.attempts {
			t.Errorf("%s: %+v", name, x)
		}
		if wait := x.probeDue.Sub(now); want.givenUp && wait != probeInterval || !want.givenUp && wait > 2*time.Second {
			t.Errorf("%s: the next probe is due after %s", name, wait)
		}
	}
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 1)
	d.targets["app-x"] = &target{name: "app-x", givenUp: true, probing: 1}
	if d.handleProbe(partOutcome{part: p, outcome: indexed, index: "app-x"}, time.Now()); len(d.targets) > 0 {
		t.Errorf("an index for which nothing waits still has a target: %+v", d.targets)
	}
	one := []*delayedPart{nil}
	f("refused", target{flood: true}, blocked, target{flood: true, isBlocked: true, blocked: one, attempts: 1})
	f("refused, given up", target{flood: true, givenUp: true}, blocked, target{flood: true, givenUp: true, isBlocked: true, blocked: one, attempts: 1})
	f("accepted", target{flood: true, attempts: 3}, indexed, target{})
	f("accepted, given up", target{flood: true, givenUp: true}, indexed, target{isBlocked: true, blocked: one})
	f("refused for its content", target{attempts: 3}, refused, target{})
}
