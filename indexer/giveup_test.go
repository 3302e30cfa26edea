package indexer

import (
	"context"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

// waits makes documents of a record wait for an index, blocked or failing alone.
func waits(d *dispatcher, ctx context.Context, name string, n int, fails bool) *target {
	x := d.targets[name]
	if x == nil {
		x = &target{name: name, ticked: time.Now(), why: noOutcome, letters: name == deadletter.Index(d.ix.cfg.Prefix)}
		d.targets[name] = x
	}
	p, _ := taken(d, ctx, 0, n)
	if x.letters {
		p = p.letter(deadletter.StageIndex, 400, noOutcome)
	}
	if fails {
		p.failures = &failures{at: time.Now(), clock: x.clock, accepted: x.accepted}
	}
	d.startWaiting(&p, x)
	if fails {
		x.failing = append(x.failing, retry{due: time.Now().Add(time.Hour), parts: []*delayedPart{delay(p)}})
	} else {
		x.isBlocked = true
		x.blocked = append(x.blocked, delay(p))
	}
	return x
}

// lettersMade returns the number of dead letters to be sent, including those for the
// store.
func lettersMade(d *dispatcher) int { return d.requeued.count + len(d.storing.parts) }

// A document that an index accepts shows that it accepts some, unless the document was a
// probe or had waited.
func TestNoteAccepted(t *testing.T) {
	f := func(name string, x target, change func(v *partOutcome, x *target), accepted int, some, flood bool) {
		t.Helper()
		d := idleDispatcher(t, nil)
		now := time.Now()
		p, _ := taken(d, t.Context(), 0, 2)
		v := partOutcome{part: p, outcome: indexed, index: "app-x"}
		x.flood, x.probeDue = true, now.Add(time.Hour)
		change(&v, &x)
		d.targets["app-x"] = &x
		d.noteAccepted(v, now)
		if soon := x.probeDue.Sub(now) <= tickInterval; x.accepted != accepted || x.acceptedAt.IsZero() == some || soon != some || x.flood != flood {
			t.Errorf("%s: %+v", name, x)
		}
	}
	f("accepted", target{}, func(*partOutcome, *target) {}, 2, true, false)
	f("a probe", target{}, func(v *partOutcome, _ *target) { v.probe = true }, 0, false, true)
	f("it had waited", target{}, func(v *partOutcome, x *target) { v.waitsFor = x }, 2, false, false)
	f("given up", target{givenUp: true}, func(*partOutcome, *target) {}, 2, false, false)
}

// Waiting documents that fill a quarter of the bytes in flight are given up.
func TestFreeMemory(t *testing.T) {
	f := func(name string, limit time.Duration, change func(d *dispatcher, x *target), letters, given int) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.InFlightBytes, c.WaitForIndex = 64<<10, limit })
		d.tally.add(time.Now(), counts{sent: 1000})
		x := waits(d, t.Context(), "app-x", 500, false)
		change(d, x)
		d.freeMemory(time.Now())
		if lettersMade(d) != letters || d.givenUp != given {
			t.Errorf("%s: %d dead letters, %d indices given up", name, lettersMade(d), d.givenUp)
		}
	}
	f("it is full", time.Hour, func(*dispatcher, *target) {}, 500, 1)
	f("indefinitely", 0, func(*dispatcher, *target) {}, 0, 0)
	f("in the flood stage", time.Hour, func(_ *dispatcher, x *target) { x.flood = true }, 0, 0)
	f("right after an outage", time.Hour, func(_ *dispatcher, x *target) { x.protectedAt = time.Now() }, 0, 0)
	f("another one has only its share", time.Hour, func(d *dispatcher, _ *target) { waits(d, t.Context(), "app-y", 100, false) }, 500, 1)
	f("documents that fail, while many others were accepted", time.Hour, func(d *dispatcher, x *target) {
		waits(d, t.Context(), "app-x", 3, true)
		x.accepted = enoughOthers
	}, 503, 1)
	f("documents that fail, while few others were accepted", time.Hour, func(d *dispatcher, x *target) {
		waits(d, t.Context(), "app-x", 3, true)
		x.accepted = enoughOthers - 1
	}, 500, 1)
	f("not full", time.Hour, func(d *dispatcher, _ *target) { d.ix.budget.limit = 1 << 30 }, 0, 0)
}

// Dead letters without a store, and indices without blocked documents, are not given up.
func TestGiveUp(t *testing.T) {
	f := func(name, index string, store Store, fails bool, letters, given int) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.Store = store })
		x := waits(d, t.Context(), index, 1, fails)
		d.giveUp(x, time.Now(), "test")
		d.abandonFailing(x, func(*delayedPart) bool { return true }, time.Now())
		if lettersMade(d) != letters || d.givenUp != given {
			t.Errorf("%s: %d dead letters, %d given up", name, lettersMade(d), d.givenUp)
		}
	}
	f("documents", "app-x", nil, false, 1, 1)
	f("documents that fail", "app-x", nil, true, 1, 0)
	f("dead letters, no store", "app-dead-letter", nil, false, 0, 0)
	f("dead letters that fail, no store", "app-dead-letter", nil, true, 0, 0)
	f("dead letters", "app-dead-letter", &brokenStore{}, false, 1, 1)
	f("dead letters that fail", "app-dead-letter", &brokenStore{}, true, 1, 0)
}

// Documents that keep an ended shard waiting become dead letters after a minute.
func TestEndShards(t *testing.T) {
	now := time.Now()
	f := func(name string, index string, fails bool, change func(d *dispatcher), want int) {
		t.Helper()
		d := idleDispatcher(t, nil)
		d.tally.accepted = now
		waits(d, t.Context(), index, 1, fails)
		d.ends["shard"] = now.Add(-shardEndWait)
		change(d)
		d.endShards(now)
		if n := lettersMade(d); n != want {
			t.Errorf("%s: %d dead letters", name, n)
		}
	}
	nothing := func(*dispatcher) {}
	mostFail := func(d *dispatcher) {
		d.tally.add(now, counts{sent: enoughSent, failed: enoughSent})
		d.tally.accepted = now.Add(-time.Second)
	}
	f("blocked", "app-x", false, nothing, 1)
	f("failing", "app-x", true, nothing, 1)
	f("a dead letter", "app-dead-letter", false, nothing, 0)
	f("not yet", "app-x", false, func(d *dispatcher) { d.ends["shard"] = now.Add(1 - shardEndWait) }, 0)
	f("another shard", "app-x", false, func(d *dispatcher) { d.ends = map[string]time.Time{"other": now.Add(-time.Hour)} }, 0)
	f("delayed until just now", "app-x", false, func(d *dispatcher) { d.targets["app-x"].delayedEndsAt = now }, 0)
	f("most fail", "app-x", true, mostFail, 0)
	f("most failed", "app-x", true, func(d *dispatcher) {
		mostFail(d)
		d.tally.accepted = now.Add(time.Second)
	}, 1)
	f("an outage", "app-x", false, func(d *dispatcher) {
		d.tally.accepted, d.tally.tried = now.Add(-outageAfter), now
	}, 0)

	d := idleDispatcher(t, nil)
	d.tally.accepted, d.tally.tried = now.Add(-outageAfter), now
	d.ends["shard"] = now.Add(-time.Hour)
	if d.endShards(now); d.ends["shard"] != now {
		t.Errorf("after an outage the wait starts again: %v", d.ends)
	}

	retries := func(name string, letter bool, accepted time.Time, want int) {
		t.Helper()
		d := idleDispatcher(t, nil)
		p, _ := taken(d, t.Context(), 0, 1)
		if letter {
			p = p.letter(deadletter.StageIndex, 400, noOutcome)
		}
		d.retries = []retry{{due: now.Add(time.Hour), parts: []*delayedPart{delay(p)}}}
		d.tally.accepted = accepted
		d.ends["shard"] = now.Add(-shardEndWait)
		d.endShards(now)
		if n := lettersMade(d); n != want {
			t.Errorf("%s: %d dead letters", name, n)
		}
	}
	later := time.Now().Add(time.Second)
	retries("a whole request, others accepted since", false, later, 1)
	retries("a whole request, none accepted since", false, now.Add(-time.Second), 0)
	retries("a dead letter", true, later, 0)
}

// A probe has few documents, and only one is under way.
func TestSendProbe(t *testing.T) {
	d := idleDispatcher(t, nil)
	now := time.Now()
	x := waits(d, t.Context(), "app-x", 2*probeDocuments, false)
	d.sendProbe(x, now)
	if d.requeued.count != probeDocuments || x.probing != probeDocuments || len(x.blocked) != 1 {
		t.Errorf("%d documents are sent, %d probing, %d parts wait", d.requeued.count, x.probing, len(x.blocked))
	}
	d.sendProbe(x, now)
	if d.requeued.count != probeDocuments {
		t.Errorf("%d documents are sent while a probe is under way", d.requeued.count)
	}
	few := waits(d, t.Context(), "app-y", 2, false)
	d.sendProbe(few, now)
	waits(d, t.Context(), "app-y", 2, false)
	if d.sendProbe(few, now); few.probing != 2 {
		t.Errorf("%d documents are sent while a probe of 2 is under way", few.probing)
	}
	d.requeued.count -= 2
	x.probing, x.probeDue = 0, now.Add(time.Second)
	if d.sendProbe(x, now); d.requeued.count != probeDocuments {
		t.Error("a probe is sent before it is due")
	}
	x.probeDue, x.givenUp = now, true
	if d.sendProbe(x, now); d.requeued.count != probeDocuments {
		t.Error("documents wait for an index that is given up")
	}
}

// One of the documents for an index that is given up is sent when a probe is due.
func TestDivert(t *testing.T) {
	f := func(name string, probing int, due time.Duration, sent, letters int) {
		t.Helper()
		d := idleDispatcher(t, nil)
		now := time.Now()
		d.targets["app-2018-12-10"] = &target{name: "app-2018-12-10", givenUp: true, why: noOutcome, probing: probing, probeDue: now.Add(due)}
		p, _ := taken(d, t.Context(), 0, 3)
		q, _ := taken(d, t.Context(), 10, 2)
		if kept := d.divert([]part{p, q}, now); documents(kept) != sent || lettersMade(d) != letters {
			t.Errorf("%s: %d are sent, %d dead letters", name, documents(kept), lettersMade(d))
		}
	}
	d := idleDispatcher(t, func(c *Config) { c.Store = &brokenStore{} })
	d.targets["app-dead-letter"] = &target{name: "app-dead-letter", letters: true, givenUp: true, why: noOutcome, probeDue: time.Now().Add(time.Hour)}
	p, _ := taken(d, t.Context(), 0, 1)
	if kept := d.divert([]part{p.letter(deadletter.StageIndex, 400, noOutcome)}, time.Now()); len(kept) > 0 || d.requeued.count > 0 || len(d.storing.parts) != 1 {
		t.Errorf("a dead letter: %d are sent, %d made, %d for the store", len(kept), d.requeued.count, len(d.storing.parts))
	}
	f("due", 0, 0, 1, 4)
	f("not due", 0, time.Second, 0, 5)
	f("one is under way", 1, 0, 0, 5)
}

// A probe that was queued before its index was given up is treated like the others.
func TestDivertQueuedProbe(t *testing.T) {
	d := idleDispatcher(t, nil)
	now := time.Now()
	x := &target{name: "app-2018-12-10", givenUp: true, why: noOutcome, probing: 3, probeDue: now}
	d.targets[x.name] = x
	p, _ := taken(d, t.Context(), 0, 3)
	p.probe = true
	if kept := d.divert([]part{p}, now); documents(kept) != 1 || x.probing != 1 || lettersMade(d) != 2 {
		t.Errorf("%d are sent, %d probing, %d dead letters", documents(kept), x.probing, lettersMade(d))
	}
}

// The end of a shard counts from when it was first announced, until it is revoked.
func TestNoteEnd(t *testing.T) {
	d := idleDispatcher(t, nil)
	first := time.Now().Add(-time.Hour)
	d.ends["a"] = first
	d.noteEnd(shardEnd{"a", true})
	d.noteEnd(shardEnd{"b", true})
	if d.ends["a"] != first || d.ends["b"].IsZero() {
		t.Errorf("%v", d.ends)
	}
	if d.noteEnd(shardEnd{"a", false}); len(d.ends) != 1 {
		t.Errorf("%v", d.ends)
	}
}

// A set whose documents all wait counts with its whole size.
func TestRecount(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 2)
	x := &target{name: "app-x"}
	one, other := p.slice(0, 1), p.slice(1, 2)
	d.startWaiting(&one, x)
	if _, waiting, _ := d.ix.budget.state(); waiting != int64(len(one.bytes()))+setCost {
		t.Errorf("%d bytes wait for one document", waiting)
	}
	d.startWaiting(&other, x)
	if used, waiting, _ := d.ix.budget.state(); waiting != used {
		t.Errorf("%d of %d bytes wait", waiting, used)
	}
}

// A tick drops documents of shards that another worker has, once per interval, and
// forgets an index for which nothing waits.
func TestTick(t *testing.T) {
	d := idleDispatcher(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	waits(d, ctx, "app-x", 1, false)
	waits(d, ctx, "app-x", 1, true)
	cancel()
	d.ticked = time.Now()
	if d.tick(d.ticked.Add(tickInterval - 1)); len(d.targets) != 1 {
		t.Error("a tick before its time")
	}
	if d.tick(d.ticked.Add(tickInterval)); len(d.targets) > 0 {
		t.Errorf("%+v", d.targets)
	}
	if used, waiting, _ := d.ix.budget.state(); used != 0 || waiting != 0 {
		t.Errorf("%d bytes are in flight, %d wait", used, waiting)
	}

	d = idleDispatcher(t, func(c *Config) { c.InFlightBytes, c.WaitForIndex = 64<<10, 100*time.Hour })
	d.tally.add(time.Now(), counts{sent: 1000})
	waits(d, t.Context(), "app-x", 500, false)
	if d.tick(d.ticked.Add(time.Hour)); d.givenUp != 1 {
		t.Error("waiting documents fill the memory and are not given up")
	}
}
