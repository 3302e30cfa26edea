package indexer

import (
	"net/http"
	"time"

	"logsluice/indexer/deadletter"
)

// settle takes in the outcomes of a request: it counts documents off their records
// or schedules what is to be sent again.
func (d *dispatcher) settle(r result) {
	now := time.Now()
	d.note(r.verdicts, now)
	s := settling{now: now, again: retry{away: true}}
	for _, v := range r.verdicts {
		d.judged(v, &s)
	}
	for _, docs := range s.touched {
		d.compact(docs)
	}
	d.enqueueAgain(s.next, now)
	if s.back {
		d.wake(now)
	}
	if len(s.again.parts) > 0 {
		d.retries = append(d.retries, s.again)
	}
	d.relieve(now)
	d.shed()
}

// settling is what becomes of the verdicts of one request.
type settling struct {
	now     time.Time
	again   retry
	next    []part // other forms
	back    bool   // OpenSearch gave outcomes
	touched []*Documents
}

// note takes in what the verdicts on documents, dead letters excepted, say of
// OpenSearch as a whole.
func (d *dispatcher) note(verdicts []verdict, now time.Time) {
	var first counts
	for _, v := range verdicts {
		n := v.count()
		switch {
		case v.isLetter():
			continue
		case v.outcome.isAccepted():
			d.tally.accepted = now
			d.accepted += n
		case !v.known || v.outcome == unanswered || v.outcome == busy:
			d.tally.tried = now
		}
		if v.form != nil || v.known || v.outcome == unanswered || v.outcome == busy {
			continue
		}
		first.sent += n
		switch v.outcome {
		case blocked:
			d.targetOf(v, now) // what comes with its first refusal counts
			first.blocked += n
		case failedAlone:
			first.failed += n
		}
	}
	d.tally.send(now, first)
}

// judged takes in one verdict.
func (d *dispatcher) judged(v verdict, s *settling) {
	p := v.part
	if last := len(s.touched) - 1; last < 0 || s.touched[last] != p.docs {
		s.touched = append(s.touched, p.docs)
	}
	if v.probe {
		d.probed(v, s.now)
	}
	v.probe, p.probe, p.alone = false, false, false
	p.known = p.known || v.outcome != unanswered && v.outcome != busy
	v.part = p
	switch {
	case v.outcome.isAccepted():
		s.back = true
		d.sees(v, s.now)
		d.finish(p)
	case p.form != nil && p.form.kind == bare && (v.outcome == blocked || v.outcome == failedAlone):
		s.back = true
		d.finish(p) // it was worth a try
	case !v.outcome.isAgain():
		s.back = true
		s.next = append(s.next, d.replace(p, v.otherForms())...)
	case d.dropIfForsaken(p):
	case v.outcome == blocked, v.outcome == failedAlone:
		s.back = true
		s.next = append(s.next, d.hold(v, s.now)...)
	default:
		s.next = append(s.next, d.tryAgain(v, s)...)
	}
}

// tryAgain schedules documents of a request that was refused for want of room, or
// that failed as a whole. It returns the dead letter of a document that makes
// requests fail.
func (d *dispatcher) tryAgain(v verdict, s *settling) []part {
	p := v.part
	p.attempts++
	othersAccepted := d.othersAccepted(&p, v.outcome == unanswered && v.status != http.StatusTooManyRequests, s.now)
	if othersAccepted && p.count() == 1 && isToBlame(p.failing, p.failing.tries, s.now, d.accepted) {
		switch {
		case !p.isLetter():
			letter := p.letter(deadletter.StageIndex, v.status, v.reason)
			letter.form.opaque = true // what is before OpenSearch may object to the text
			return d.replace(p, []part{letter})
		case d.ix.cfg.Store != nil:
			d.storeLater(p)
			return nil
		}
	}
	s.again.away = s.again.away && v.outcome == unanswered && !v.woken
	s.again.alone = s.again.alone || othersAccepted && p.attempts >= isolateAfter
	s.again.parts = append(s.again.parts, rest(p))
	if due := s.now.Add(d.ix.cfg.backoff(p.attempts)); due.After(s.again.due) {
		s.again.due = due
	}
	return nil
}

// othersAccepted reports whether documents were accepted between the last two failures
// of a part, whose requests fail as a whole, and counts the failures of which that
// is true.
func (d *dispatcher) othersAccepted(p *part, whole bool, now time.Time) bool {
	if !whole {
		p.failing = nil
		return false
	}
	f := failing{whole: true, at: now, accepted: d.accepted, seen: d.accepted}
	before := p.failing
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
	p.failing = &f
	return accepted
}

// replace has other parts stand for a part of one document, which is finished if
// others is empty.
func (d *dispatcher) replace(p part, others []part) []part {
	if len(others) == 0 {
		d.finish(p)
		return nil
	}
	more := len(others) - 1
	p.docs.group.pending += more
	p.docs.undecided += more
	p.docs.bytes += more * len(p.bytes())
	d.stopWaiting(&p)
	d.ix.budget.add(p.docs.source.Shard, int64(len(others))*formCost-p.cost())
	return others
}

// lettersOf are the dead letters of documents that are given up. Those in the bare
// form have one already, and are finished.
func (d *dispatcher) lettersOf(p part, stage string, status int, why *reason) []part {
	letters := make([]part, 0, p.count())
	for i := range p.count() {
		one := p.slice(i, i+1)
		if one.form != nil && one.form.kind == bare {
			d.finish(one)
			continue
		}
		reason := why
		if one.form != nil {
			reason = one.form.reason // why the document itself is not accepted
		}
		letters = append(letters, d.replace(one, []part{one.letter(stage, status, reason)})...)
	}
	return letters
}

// finish counts documents off their set and their record, whose end the last one is.
func (d *dispatcher) finish(p part) {
	d.stopWaiting(&p)
	docs, group := p.docs, p.docs.group
	released := p.cost()
	docs.undecided -= p.count()
	docs.bytes -= len(p.bytes())
	d.recount(docs)
	if docs.undecided == 0 {
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

// compact moves the documents of a set that have no outcome yet to a smaller one
// when that frees a good part of it, so that the few which wait for long hold no
// more memory than their own.
func (d *dispatcher) compact(docs *Documents) {
	const enough = 4 // parts of the set, one of which is to be freed
	if docs.undecided == 0 || docs.form != nil || docs.bytes > cap(docs.Body)/enough*(enough-1) {
		return
	}
	resting, size := 0, 0
	for _, h := range docs.resting {
		resting += h.count()
		size += len(h.bytes())
	}
	if resting < docs.undecided {
		return // the others are under way
	}
	small := &Documents{
		Body: make([]byte, 0, size), source: docs.source, group: docs.group,
		reserved: int64(size) + setCost, undecided: resting, bytes: docs.bytes, waiting: docs.waiting, counted: docs.counted, resting: docs.resting,
	}
	if small.reserved >= docs.reserved {
		return
	}
	for _, h := range docs.resting {
		from := len(small.ends)
		for i := h.from; i < h.to; i++ {
			small.copyDocument(docs, i)
		}
		h.docs, h.from, h.to = small, from, len(small.ends)
	}
	d.ix.budget.add(docs.source.Shard, small.reserved-docs.reserved)
	d.recount(small)
	docs.resting = nil
	docs.Recycle()
}

// Memory in bytes that is counted for what documents take in addition to their text.
const (
	setCost  = 512 // a small set
	formCost = 192 // a document in another form
)

// cost is what a part counts beyond its set.
func (p part) cost() int64 {
	if p.form == nil || p.docs.form != nil {
		return 0
	}
	return formCost
}
