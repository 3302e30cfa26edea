package indexer

import (
	"maps"
	"slices"
	"time"

	"logsluice/indexer/deadletter"
)

// Documents whose index does not accept them wait and are sent again. They become dead
// letters when their index is given up.

// tickInterval is the time between two updates of the indices' clocks.
const tickInterval = time.Second

// targetOf returns the target of an outcome's documents, and adds it if necessary.
func (d *dispatcher) targetOf(o partOutcome, now time.Time) *target {
	t := d.targets[o.index]
	if t == nil {
		t = &target{name: o.index, letters: o.isLetter(), before: d.tally.total, ticked: now, probeDue: now.Add(d.ix.cfg.backoff(1))}
		d.targets[o.index] = t
		d.ix.hasTargets.Store(true)
		d.ix.cfg.Log.Warn().Str("index", t.name).Stringer("reason", o.reason).Int("status", o.status).
			Msg("index does not accept documents: they wait")
	}
	return t
}

// waitForIndex makes the documents of an outcome wait for their index. It returns the dead
// letters of those that do not wait.
func (d *dispatcher) waitForIndex(o partOutcome, now time.Time) []part {
	t, p := d.targetOf(o, now), o.part
	t.why = o.reason
	if o.outcome == blocked { // failing alone is unrelated to the disk
		t.flood = o.flood
	}
	isBlocked := o.outcome == blocked
	if !isBlocked {
		if p.attempts == 0 {
			t.failed += p.count()
		}
		isBlocked = t.failsAll()
	}
	p.attempts++
	switch {
	case t.givenUp && !t.letters && isBlocked:
		return d.lettersOf(p, deadletter.StageBlocked, o.status, o.reason)
	case isBlocked:
		p.failures = nil
		d.startWaiting(&p, t)
		if t.givenUp {
			d.storeLater(p)
			return nil
		}
		if !t.isBlocked {
			t.isBlocked, t.since = true, t.clock
		}
		t.blocked = append(t.blocked, delay(p))
		return nil
	case p.failures == nil || p.failures.whole:
		p.failures = &failures{at: now, clock: t.clock, accepted: t.accepted}
	case isToBlame(p.failures, p.attempts, now, t.accepted):
		return d.lettersOf(p, deadletter.StageIndex, o.status, o.reason)
	}
	d.startWaiting(&p, t)
	if n := len(t.failing); n == 0 || t.failing[n-1].made != now {
		t.failing = append(t.failing, retry{made: now, due: now.Add(d.ix.cfg.backoff(p.attempts))})
	}
	last := &t.failing[len(t.failing)-1]
	last.parts = append(last.parts, delay(p))
	return nil
}

// startWaiting counts documents as waiting for an index.
func (d *dispatcher) startWaiting(p *part, t *target) {
	if p.waitsFor == t {
		return
	}
	d.stopWaiting(p)
	size := len(p.bytes())
	p.waitsFor = t
	t.pending += p.count()
	t.bytes += size
	d.countWaiting(p.docs, size)
}

// stopWaiting counts documents as no longer waiting. It forgets the target if no
// documents are left, unless the index is given up.
func (d *dispatcher) stopWaiting(p *part) {
	t := p.waitsFor
	if t == nil {
		return
	}
	size := len(p.bytes())
	p.waitsFor = nil
	t.pending -= p.count()
	t.bytes -= size
	d.countWaiting(p.docs, -size)
	if t.pending == 0 && !t.givenUp {
		d.forget(t)
	}
}

// countWaiting adds bytes of a set to those that wait, or removes them if size is
// negative.
func (d *dispatcher) countWaiting(docs *Documents, size int) {
	docs.waiting += size
	d.recount(docs)
}

// recount updates how many bytes of the budget wait because of a set: the whole set if
// all of its text waits, otherwise the waiting text and the cost of a small set.
func (d *dispatcher) recount(docs *Documents) {
	waiting := int64(docs.waiting) + setCost
	switch docs.waiting {
	case 0:
		waiting = 0
	case docs.bytes:
		waiting = max(waiting, docs.reserved)
	}
	if waiting != docs.counted {
		d.ix.budget.addWaiting(docs.source.Shard, waiting-docs.counted)
		docs.counted = waiting
	}
}

func (d *dispatcher) forget(t *target) {
	delete(d.targets, t.name)
	d.ix.hasTargets.Store(len(d.targets) > 0)
	d.ix.cfg.Log.Info().Str("index", t.name).Dur("after", t.clock).Msg("no documents wait for the index any longer")
}

// handleProbe applies the outcome of a probe.
func (d *dispatcher) handleProbe(o partOutcome, now time.Time) {
	t := d.targets[o.index]
	if t == nil {
		return
	}
	t.probing -= o.count()
	t.flood = t.flood && !o.outcome.isAccepted()
	switch {
	case o.outcome.isRetryable():
		if t.attempts++; t.givenUp {
			t.probeDue = now.Add(probeInterval)
		} else {
			t.probeDue = now.Add(d.ix.cfg.backoff(t.attempts))
		}
	case t.givenUp:
		t.givenUp = false
		d.givenUp--
		d.ix.cfg.Log.Info().Str("index", t.name).Msg("index accepts documents again")
		if t.pending == 0 {
			d.forget(t)
		}
	default:
		t.attempts, t.probeDue, t.isBlocked = 0, now.Add(d.ix.cfg.backoff(1)), false
		d.releaseAll(t, now)
	}
}

// releaseAll sends the documents that wait for an index, as it accepts documents.
func (d *dispatcher) releaseAll(t *target, now time.Time) {
	blocked := t.blocked
	t.blocked = nil
	for _, dp := range blocked {
		d.enqueueAgain([]part{dp.resume()}, now)
	}
}

// noteAccepted counts accepted documents of a target, which may now accept those that
// wait.
func (d *dispatcher) noteAccepted(o partOutcome, now time.Time) {
	t := d.targets[o.index]
	if t == nil || o.probe {
		return
	}
	t.accepted += o.count()
	t.flood = false
	if o.waitsFor == nil && !t.givenUp {
		t.acceptedAt = now
		t.probeDue = earlier(t.probeDue, now.Add(tickInterval))
	}
}

// tick advances the clocks of indices once per interval, and does what is due.
func (d *dispatcher) tick(now time.Time) {
	if now.Sub(d.ticked) < tickInterval {
		return
	}
	d.ticked = now
	d.dropCanceled()
	for _, t := range d.inOrder() {
		if t.pending == 0 && !t.givenUp {
			d.forget(t)
			continue
		}
		t.advance(now, &d.tally)
		if t.isDue(d.ix.cfg.WaitForIndex) && !t.isProtected(now, &d.tally) {
			d.giveUp(t, now, "WAIT_FOR_INDEX has elapsed")
		}
		d.giveUpFailing(t, now)
	}
	d.endShards(now)
	d.freeMemory(now)
	d.shed()
	d.publish(now)
}

// dropCanceled drops delayed documents that need not be sent again, because their shard now
// belongs to another worker.
func (d *dispatcher) dropCanceled() {
	for _, t := range d.inOrder() {
		d.dropFrom(&t.blocked)
		for i := range t.failing {
			d.dropFrom(&t.failing[i].parts)
		}
	}
	for i := range d.retries {
		d.dropFrom(&d.retries[i].parts)
	}
	d.dropFrom(&d.storing.parts)
}

func (d *dispatcher) dropFrom(all *[]*delayedPart) {
	*all = slices.DeleteFunc(*all, func(dp *delayedPart) bool {
		if dp.docs.group.ctx.Err() == nil {
			return false
		}
		return d.dropIfCanceled(dp.resume())
	})
}

// dropIfCanceled drops a part that need not be sent again, and reports whether it did.
func (d *dispatcher) dropIfCanceled(p part) bool {
	if p.docs.group.ctx.Err() == nil {
		return false
	}
	p.docs.group.givenUp = true
	d.finish(p)
	return true
}

// inOrder returns the targets sorted by name.
func (d *dispatcher) inOrder() []*target {
	targets := make([]*target, 0, len(d.targets))
	for _, name := range slices.Sorted(maps.Keys(d.targets)) {
		targets = append(targets, d.targets[name])
	}
	return targets
}

// freeMemory gives up the indices that most documents wait for, while waiting documents
// take more memory than allowed.
func (d *dispatcher) freeMemory(now time.Time) {
	if _, waiting, _ := d.ix.budget.state(); waiting <= d.ix.budget.waitingLimit() {
		return
	}
	targets := d.inOrder()
	slices.SortStableFunc(targets, func(a, b *target) int { return b.bytes - a.bytes })
	all := 0
	for _, t := range targets {
		all += t.bytes
	}
	for _, t := range targets {
		if _, waiting, _ := d.ix.budget.state(); waiting <= d.ix.budget.waitingLimit() {
			return
		}
		if t.bytes*len(targets) < all {
			return // less than its share: giving it up would free little
		}
		if d.ix.cfg.WaitForIndex == 0 || t.isProtected(now, &d.tally) || now.Sub(t.protectedAt) < afterOutage {
			continue
		}
		d.giveUp(t, now, "waiting documents fill a quarter of IN_FLIGHT_BYTES")
		d.abandonFailing(t, func(dp *delayedPart) bool { return t.accepted-dp.failures.accepted >= enoughOthers }, now)
	}
}

// giveUp makes dead letters of the documents that wait for an index. If it accepts some
// documents, new ones are still sent.
func (d *dispatcher) giveUp(t *target, now time.Time, why string) {
	if len(t.blocked) == 0 || t.letters && d.ix.cfg.Store == nil { // these letters can only wait
		return
	}
	partly := t.acceptsSome(now)
	event := d.ix.cfg.Log.Error().Str("index", t.name).Str("why", why).Int("documents", t.pending).Dur("waited", t.clock-t.since).Stringer("reason", t.why)
	if partly {
		event.Msg("documents given up: they become dead letters, because their index accepts others")
	} else {
		t.givenUp, t.probeDue = true, now.Add(probeInterval)
		d.givenUp++
		event.Msg("index given up: its documents become dead letters until it accepts one again")
	}
	blocked := t.blocked
	t.blocked, t.attempts, t.isBlocked = nil, 0, false
	for _, dp := range blocked {
		d.abandon(dp, deadletter.StageBlocked, now)
	}
}

// abandon makes dead letters of documents that wait. Dead letters go to the store.
func (d *dispatcher) abandon(dp *delayedPart, stage string, now time.Time) {
	p := dp.resume()
	if p.isLetter() {
		d.storeLater(p)
		return
	}
	why := noOutcome
	if p.waitsFor != nil {
		why = p.waitsFor.why
	}
	d.enqueueAgain(d.lettersOf(p, stage, 0, why), now)
}

// noOutcome is the reason for documents without an outcome whose shard has ended.
var noOutcome = &reason{"no_outcome", "OpenSearch had not accepted it one minute after the end of its shard was read"}

// giveUpFailing makes dead letters of documents that have failed alone for WaitForIndex.
func (d *dispatcher) giveUpFailing(t *target, now time.Time) {
	limit := d.ix.cfg.WaitForIndex
	if limit == 0 || d.tally.isOutage(now) || d.tally.mostFailed() {
		return
	}
	d.abandonFailing(t, func(dp *delayedPart) bool { return t.clock-dp.failures.clock >= limit }, now)
}

// abandonFailing makes dead letters of the documents selected by which that fail alone.
func (d *dispatcher) abandonFailing(t *target, which func(*delayedPart) bool, now time.Time) {
	if t.letters && d.ix.cfg.Store == nil {
		return
	}
	for i := range t.failing {
		d.abandonSome(&t.failing[i].parts, which, deadletter.StageIndex, now)
	}
}

// resend sends documents that fail alone and are due, and probes of blocked indices.
func (d *dispatcher) resend(now time.Time) {
	for _, t := range d.inOrder() {
		d.resendFailing(t, now)
		d.sendProbe(t, now)
	}
}

func (d *dispatcher) resendFailing(t *target, now time.Time) {
	kept := t.failing[:0]
	for _, r := range t.failing {
		if r.due.After(now) {
			kept = append(kept, r)
			continue
		}
		for _, dp := range r.parts {
			d.enqueueAgain([]part{dp.resume()}, now)
		}
	}
	clear(t.failing[len(kept):]) // otherwise it keeps their documents in memory
	t.failing = kept
}

// sendProbe sends some of the documents that wait for an index.
func (d *dispatcher) sendProbe(t *target, now time.Time) {
	if t.givenUp || t.probing > 0 || t.probeDue.After(now) {
		return
	}
	n := 0
	for ; n < len(t.blocked) && t.probing < probeDocuments; n++ {
		p := t.blocked[n].resume()
		if room := probeDocuments - t.probing; p.count() > room {
			t.blocked = append(t.blocked, delay(p.slice(room, p.count())))
			p = p.slice(0, room)
		}
		p.probe = true
		t.probing += p.count()
		d.enqueueAgain([]part{p}, now)
	}
	t.blocked = slices.Delete(t.blocked, 0, n)
}

// nextDue returns when something is due, but at most latest.
func (t *target) nextDue(latest time.Time) time.Time {
	if len(t.blocked) > 0 && t.probing == 0 {
		latest = earlier(latest, t.probeDue)
	}
	for _, r := range t.failing {
		latest = earlier(latest, r.due)
	}
	return latest
}

// divert removes from a batch what is for indices that are given up, except for probes.
// Documents become dead letters, and dead letters go to the store.
func (d *dispatcher) divert(batch []part, now time.Time) []part {
	var kept []part
	for _, p := range batch {
		for p.count() > 0 {
			to, name := p.count(), deadletter.Index(d.ix.cfg.Prefix)
			if !p.isLetter() {
				end, index := p.indexRun(0)
				to, name = end, string(index)
			}
			run := p.slice(0, to)
			p = p.slice(to, p.count())
			t := d.targets[name]
			if t == nil || !t.givenUp {
				kept = append(kept, run)
				continue
			}
			if run.probe { // it was queued before the index was given up
				t.probing -= run.count()
				run.probe = false
			}
			if t.probing == 0 && !t.probeDue.After(now) {
				probe := run.slice(0, 1)
				probe.probe = true
				t.probing = 1
				kept = append(kept, probe)
				run = run.slice(1, run.count())
			}
			d.divertRun(run, t, now)
		}
	}
	return kept
}

func (d *dispatcher) divertRun(run part, t *target, now time.Time) {
	switch {
	case run.count() == 0:
	case run.isLetter():
		d.startWaiting(&run, t)
		d.storeLater(run)
	default:
		d.enqueueAgain(d.lettersOf(run, deadletter.StageBlocked, 0, t.why), now)
	}
}
