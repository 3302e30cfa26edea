package indexer

import (
	"net/http"
	"time"

	"logsluice/indexer/deadletter"
)

// settle applies the outcomes of a request: documents are finished, or scheduled to be
// sent again.
func (d *dispatcher) settle(r result) {
	now := time.Now()
	d.updateTally(r.outcomes, now)
	s := followUp{now: now, retry: retry{unreachable: true}}
	for _, o := range r.outcomes {
		d.apply(o, &s)
	}
	for _, docs := range s.touched {
		d.compact(docs)
	}
	d.enqueueAgain(s.requeue, now)
	if s.answered {
		d.wake(now)
	}
	if len(s.retry.parts) > 0 {
		d.retries = append(d.retries, s.retry)
	}
	d.freeMemory(now)
	d.shed()
}

// followUp collects what follows from the outcomes of one request.
type followUp struct {
	now      time.Time
	retry    retry
	requeue  []part // parts to send at once: fallbacks
	answered bool   // OpenSearch returned outcomes
	touched  []*Documents
}

// updateTally counts outcomes in the tally, except those of dead letters.
func (d *dispatcher) updateTally(outcomes []partOutcome, now time.Time) {
	var first counts
	for _, o := range outcomes {
		n := o.count()
		switch {
		case o.isLetter():
			continue
		case o.outcome.isAccepted():
			d.tally.accepted = now
			d.accepted += n
		case !o.known || o.outcome == unanswered || o.outcome == busy:
			d.tally.tried = now
		}
		if o.fallback != nil || o.known || o.outcome == unanswered || o.outcome == busy {
			continue
		}
		first.sent += n
		switch o.outcome {
		case blocked:
			d.targetOf(o, now) // count from its first refusal on
			first.blocked += n
		case failedAlone:
			first.failed += n
		}
	}
	d.tally.add(now, first)
}

// apply applies the outcome of one part.
func (d *dispatcher) apply(o partOutcome, s *followUp) {
	p := o.part
	if last := len(s.touched) - 1; last < 0 || s.touched[last] != p.docs {
		s.touched = append(s.touched, p.docs)
	}
	if o.probe {
		d.handleProbe(o, s.now)
	}
	o.probe, p.probe, p.isolated = false, false, false
	p.known = p.known || o.outcome != unanswered && o.outcome != busy
	o.part = p
	switch {
	case o.outcome.isAccepted():
		s.answered = true
		d.noteAccepted(o, s.now)
		d.finish(p)
	case p.fallback != nil && p.fallback.kind == minimalFallback && (o.outcome == blocked || o.outcome == failedAlone):
		s.answered = true
		d.finish(p) // a refused minimal fallback is not sent again
	case !o.outcome.isRetryable():
		s.answered = true
		s.requeue = append(s.requeue, d.replace(p, o.fallbacks())...)
	case d.dropIfCanceled(p):
	case o.outcome == blocked, o.outcome == failedAlone:
		s.answered = true
		s.requeue = append(s.requeue, d.waitForIndex(o, s.now)...)
	default:
		s.requeue = append(s.requeue, d.retryLater(o, s)...)
	}
}

// retryLater schedules documents of a request that was refused for lack of capacity, or
// that failed as a whole. It returns the dead letter of a document that makes requests
// fail.
func (d *dispatcher) retryLater(o partOutcome, s *followUp) []part {
	p := o.part
	p.attempts++
	othersAccepted := d.othersAccepted(&p, o.outcome == unanswered && o.status != http.StatusTooManyRequests, s.now)
	if othersAccepted && p.count() == 1 && isToBlame(p.failures, p.failures.tries, s.now, d.accepted) {
		switch {
		case !p.isLetter():
			letter := p.letter(deadletter.StageIndex, o.status, o.reason)
			letter.fallback.asBase64 = true // a proxy in front of OpenSearch may reject the text
			return d.replace(p, []part{letter})
		case d.ix.cfg.Store != nil:
			d.storeLater(p)
			return nil
		}
	}
	s.retry.unreachable = s.retry.unreachable && o.outcome == unanswered && !o.woken
	s.retry.isolated = s.retry.isolated || othersAccepted && p.attempts >= isolateAfter
	s.retry.parts = append(s.retry.parts, delay(p))
	if due := s.now.Add(d.ix.cfg.backoff(p.attempts)); due.After(s.retry.due) {
		s.retry.due = due
	}
	return nil
}

// othersAccepted reports whether other documents were accepted between the last two
// failures of a part whose requests fail as a whole. It counts these failures.
func (d *dispatcher) othersAccepted(p *part, whole bool, now time.Time) bool {
	if !whole {
		p.failures = nil
		return false
	}
	f := failures{whole: true, at: now, accepted: d.accepted, seen: d.accepted}
	before := p.failures
	if before != nil && !before.whole {
		before = nil
	}
	accepted := before != nil && d.accepted > before.seen
	if before != nil && before.tries > 0 {
		f.at, f.accepted, f.tries = before.at, before.accepted, before.tries
	}
	if accepted {
		f.tries++
	}
	p.failures = &f
	return accepted
}

// replace substitutes other parts for a part of one document. If others is empty, the
// part is finished.
func (d *dispatcher) replace(p part, others []part) []part {
	if len(others) == 0 {
		d.finish(p)
		return nil
	}
	more := len(others) - 1
	p.docs.group.pending += more
	p.docs.pending += more
	p.docs.bytes += more * len(p.bytes())
	d.stopWaiting(&p)
	d.ix.budget.add(p.docs.source.Shard, int64(len(others))*fallbackCost-p.cost())
	return others
}

// lettersOf returns the dead letters of documents that are given up. Minimal fallbacks
// already have one and are finished.
func (d *dispatcher) lettersOf(p part, stage string, status int, why *reason) []part {
	letters := make([]part, 0, p.count())
	for i := range p.count() {
		one := p.slice(i, i+1)
		if one.fallback != nil && one.fallback.kind == minimalFallback {
			d.finish(one)
			continue
		}
		reason := why
		if one.fallback != nil {
			reason = one.fallback.reason // why the original document was refused
		}
		letters = append(letters, d.replace(one, []part{one.letter(stage, status, reason)})...)
	}
	return letters
}

// finish counts documents as done in their set and record. The last one releases the set
// or acknowledges the record.
func (d *dispatcher) finish(p part) {
	d.stopWaiting(&p)
	docs, group := p.docs, p.docs.group
	released := p.cost()
	docs.pending -= p.count()
	docs.bytes -= len(p.bytes())
	d.recount(docs)
	if docs.pending == 0 {
		released += docs.reserved
		docs.Recycle()
	}
	if released > 0 {
		d.ix.budget.add(docs.source.Shard, -released)
	}
	if group.pending -= p.count(); group.pending == 0 {
		group.done(!group.givenUp)
	}
}

// compact moves the documents of a set that have no outcome to a smaller one when that
// frees at least a quarter of it. A few documents that wait for a long time then do not
// keep the whole set in memory.
func (d *dispatcher) compact(docs *Documents) {
	const enough = 4 // the fraction of the set to be freed is 1/enough
	if docs.pending == 0 || docs.fallback != nil || docs.bytes > cap(docs.Body)/enough*(enough-1) {
		return
	}
	delayed, size := 0, 0
	for _, dp := range docs.delayed {
		delayed += dp.count()
		size += len(dp.bytes())
	}
	if delayed < docs.pending {
		return // the others are being sent
	}
	small := &Documents{
		Body: make([]byte, 0, size), source: docs.source, group: docs.group,
		reserved: int64(size) + setCost, pending: delayed, bytes: docs.bytes, waiting: docs.waiting, counted: docs.counted, delayed: docs.delayed,
	}
	if small.reserved >= docs.reserved {
		return
	}
	for _, dp := range docs.delayed {
		from := len(small.ends)
		for i := dp.from; i < dp.to; i++ {
			small.copyDocument(docs, i)
		}
		dp.docs, dp.from, dp.to = small, from, len(small.ends)
	}
	d.ix.budget.add(docs.source.Shard, small.reserved-docs.reserved)
	d.recount(small)
	docs.delayed = nil
	docs.Recycle()
}

// Bytes counted for documents in addition to their text.
const (
	setCost      = 512 // a small set
	fallbackCost = 192 // a document's fallback
)

// cost returns the bytes that a part counts in addition to its set.
func (p part) cost() int64 {
	if p.fallback == nil || p.docs.fallback != nil {
		return 0
	}
	return fallbackCost
}
