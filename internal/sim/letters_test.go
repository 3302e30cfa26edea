package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// outcomes records the requests and answers of OpenSearch, and derives the state for the
// promises about dead letters. It is part of a watch.
type outcomes struct {
	documents map[string]*document // by index/id: documents that were put
	senders   map[*life]*sender
	leased    map[string]time.Time // by shard: when the owner of its lease last changed
	closed    map[string]time.Time // by shard: when it was found to have children
	stored    map[string]bool      // dead letters in the store, by subject
}

// document is the state of a document.
type document struct {
	shard           string
	former          bool      // from a stream that was deleted
	first           time.Time // when it or a dead letter about it was first sent
	indexed, buried bool
}

// sender records the requests of one process.
type sender struct {
	accepted time.Time       // when a document was last accepted
	tried    time.Time       // when the first document was tried since then, zero if none was
	retried  time.Time       // when a document was last tried
	known    map[string]bool // documents that had an outcome
	firsts   []first
	indices  map[string]*sentIndex
	letters  map[letter]bool
	possible time.Time // when there was last possibly an outage

	lettersRefused time.Time // since when the dead-letter index rejects documents, zero if it accepts them
	storing        bool      // the dead-letter index is given up
	stored         time.Time // when it was last given up
}

// first is the first outcome of a document.
type first struct {
	at      time.Time
	blocked bool // its index rejects all documents
}

// sentIndex records how an index has answered one process.
type sentIndex struct {
	waiting  map[string]*attempts // documents that it rejected and has not accepted since
	since    time.Time            // since when any of these waits, zero if none does
	counted  time.Time            // the same for documents whose leases are still held
	stoodAt  time.Duration        // value of stood at that time
	stood    time.Duration        // time in an outage
	outage   time.Time            // since when an outage lasts, zero without one
	flood    time.Time            // since when every rejection was due to the flood stage
	accepted int
	givenUp  time.Time // zero if it is not given up
	letters  time.Time // when documents last became dead letters; some may still be under way
	probed   bool      // a document was accepted since then
	refusal  time.Time // the last rejection while it was given up
}

// attempts records the attempts on one document.
type attempts struct {
	first    time.Time
	failures int  // item 5xx
	blocked  bool // the index was the cause of a rejection
	accepted int  // documents that the index had accepted at the first attempt
	stoodAt  time.Duration
}

const (
	// unsure is how long after a decision its first dead letter may be sent, and the precision
	// of the beginning of an outage.
	unsure      = 20 * time.Second
	propagation = 2 * time.Second // between an outcome here and in the process

	silence     = time.Minute     // without an accepted document, after which there is an outage
	shareWindow = 5 * time.Minute // in which blocked documents are counted
	endOfShard  = time.Minute     // how long documents wait at the end of a shard
	probePeriod = time.Minute

	manyTries, longTime, manyOthers = 10, 5 * time.Minute, 1000 // thresholds after which a document is poison
)

func newOutcomes() outcomes {
	return outcomes{
		documents: make(map[string]*document),
		senders:   make(map[*life]*sender),
		leased:    make(map[string]time.Time),
		closed:    make(map[string]time.Time),
		stored:    make(map[string]bool),
	}
}

func (o *outcomes) sender(l *life) *sender {
	s := o.senders[l]
	if s == nil {
		s = &sender{known: make(map[string]bool), indices: make(map[string]*sentIndex), letters: make(map[letter]bool)}
		o.senders[l] = s
	}
	return s
}

func (s *sender) index(name string) *sentIndex {
	x := s.indices[name]
	if x == nil {
		x = &sentIndex{waiting: make(map[string]*attempts)}
		s.indices[name] = x
	}
	return x
}

// sent is called for each item that arrives at OpenSearch.
func (c *cluster) sent(l *life, i item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sender(l)
	if i.letter != nil {
		if !s.letters[*i.letter] && !c.foreign {
			s.letters[*i.letter] = true
			c.letterSent(l, s, *i.letter)
		}
		return
	}
	name := i.document()
	if d := c.documents[name]; d == nil {
		c.violated(exactly, "%s sends document %s, which nobody has put", l.name, name)
	} else if d.first.IsZero() {
		d.first = time.Now()
	}
	if !s.known[name] {
		s.try()
	}
}

// try records that a document is tried that is evidence of OpenSearch's state: it has no
// outcome yet, or its whole request fails.
func (s *sender) try() {
	s.retried = time.Now()
	if s.tried.IsZero() {
		s.tried = s.retried
	}
}

// outcome is called for each item that has a result.
func (c *cluster) outcome(l *life, i item, r *refusal, created bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sender(l)
	if i.letter != nil {
		c.letterOutcome(l, s, *i.letter, r)
		return
	}
	name := i.document()
	x := s.index(i.index)
	if !s.known[name] {
		s.known[name] = true
		s.firsts = append(s.firsts, first{time.Now(), r.isBlocked()})
	}
	if r == nil {
		s.accepted, s.tried = time.Now(), time.Time{}
		x.accept(name)
		if d := c.documents[name]; d != nil && created {
			d.indexed = true
			c.twice(d, name)
		}
		return
	}
	if r.isBlocked() || r.status >= 500 {
		x.refuse(name, r)
	} else if *r == unmapped { // the document is at fault, not the index
		x.probed = !x.givenUp.IsZero()
	}
	if !x.givenUp.IsZero() && r.isBlocked() && time.Since(x.givenUp) > unsure {
		if pause := time.Since(x.refusal); pause < probePeriod-2*propagation {
			c.violated(steady, "%s sends %s to the index that it gave up %s after the last probe", l.name, name, pause)
		}
		x.refusal = time.Now()
	}
}

func (x *sentIndex) accept(name string) {
	x.accepted++
	x.flood = time.Time{}
	x.probed = !x.givenUp.IsZero()
	x.decide(name)
}

// decide records that a document no longer waits.
func (x *sentIndex) decide(name string) {
	if x.leave(name); x.counted.IsZero() {
		x.since = time.Time{}
	}
}

func (x *sentIndex) leave(name string) {
	delete(x.waiting, name)
	for _, a := range x.waiting {
		if a.blocked {
			return
		}
	}
	x.counted = time.Time{}
}

// forgetShard records that the documents of a shard no longer wait in their process, because
// the new owner of the lease reads them again. The process may notice that later, so the clocks
// of their indices may continue.
func (o *outcomes) forgetShard(shard string) {
	for _, s := range o.senders {
		for _, x := range s.indices {
			for name := range x.waiting {
				if d := o.documents[name]; d != nil && d.shard == shard {
					x.leave(name)
				}
			}
		}
	}
}

func (x *sentIndex) refuse(name string, r *refusal) {
	a := x.waiting[name]
	if a == nil {
		a = &attempts{first: time.Now(), accepted: x.accepted, stoodAt: x.stood}
		x.waiting[name] = a
	}
	if !r.isBlocked() {
		a.failures++
		return
	}
	a.blocked = true
	if x.since.IsZero() {
		x.since, x.stoodAt = time.Now(), x.stood
	}
	if x.counted.IsZero() {
		x.counted = time.Now()
	}
	switch {
	case !r.isFlood():
		x.flood = time.Time{}
	case x.flood.IsZero():
		x.flood = time.Now()
	}
}

// inOutage reports whether an outage has lasted long enough for a process to notice it.
func (x *sentIndex) inOutage() bool { return !x.outage.IsZero() && time.Since(x.outage) >= unsure }

func (x *sentIndex) inFlood() bool { return !x.flood.IsZero() && time.Since(x.flood) >= propagation }

// letterSent checks that a dead letter is sent for a reason.
func (c *cluster) letterSent(l *life, s *sender, dead letter) {
	if dead.ID == "" {
		return // about a record: counted at the end
	}
	name := dead.Index + "/" + dead.ID
	d := c.documents[name]
	if d == nil {
		c.violated(exactly, "%s sends a dead letter about %s, which nobody has put", l.name, name)
		return
	}
	if d.first.IsZero() {
		d.first = time.Now()
	}
	if d.former {
		return
	}
	c.updateOutages(0)
	x := s.index(dead.Index)
	switch dead.Stage {
	case "index":
		c.poisonSent(l, x, dead.ID, name)
	case "blocked":
		closed, isClosed := c.closed[d.shard]
		switch {
		case !x.givenUp.IsZero(), time.Since(x.letters) < unsure:
		case !isClosed || time.Since(closed) < endOfShard-propagation:
			c.violated(steady, "%s sends a dead letter about %s, whose index it has not given up", l.name, name)
		case x.inOutage() && !s.isOver() || x.inFlood():
			c.violated(outageKeeps, "%s sends a dead letter about %s in an outage, at the end of its shard", l.name, name)
		}
	default:
		c.violated(exactly, "%s sends a dead letter of stage %s about document %s", l.name, dead.Stage, name)
	}
}

// poisonSent checks a dead letter about a document that is at fault.
func (c *cluster) poisonSent(l *life, x *sentIndex, id, name string) {
	if refused(id) {
		return
	}
	a := x.waiting[name]
	if a == nil || a.failures == 0 {
		c.violated(steady, "%s sends a dead letter about %s, which is not at fault", l.name, name)
		return
	}
	waited := time.Since(a.first)
	isPoison := x.accepted-a.accepted >= manyOthers && (a.failures >= manyTries && waited >= longTime-propagation || c.quarterFull(l))
	switch {
	case x.inOutage() && !isPoison:
		c.violated(outageKeeps, "%s sends a dead letter about %s, which failed, in an outage", l.name, name)
	case !isPoison && waited-(x.stood-a.stoodAt) < c.wait-propagation:
		c.violated(steady, "%s sends a dead letter about %s after %s, %d tries and %d others", l.name, name, waited, a.failures, x.accepted-a.accepted)
	}
}

// letterOutcome records the outcome of a dead letter.
func (c *cluster) letterOutcome(l *life, s *sender, dead letter, r *refusal) {
	switch {
	case r == nil:
		s.lettersRefused = time.Time{}
		c.buried(l, dead)
	case s.lettersRefused.IsZero():
		s.lettersRefused = time.Now()
	}
}

// lettersLogged checks that the dead-letter index is given up for a reason.
func (c *cluster) lettersLogged(l *life, s *sender, givenUp bool) {
	waited := time.Since(s.lettersRefused)
	switch {
	case s.storing && !givenUp:
		s.stored = time.Now()
	case s.storing == givenUp:
		c.violated(steady, "%s logs the state of the dead-letter index twice", l.name)
	case !c.hasStore || s.lettersRefused.IsZero() || waited < c.wait-propagation && !c.quarterFull(l):
		c.violated(steady, "%s gives up the dead-letter index after %s", l.name, waited)
	}
	s.storing = givenUp
}

// letterStored checks that dead letters go to the store for a reason.
func (c *cluster) letterStored(l *life, s *sender, dead letter) {
	if !s.storing && time.Since(s.stored) > unsure {
		c.violated(steady, "%s stores a dead letter about %s, although it has not given up the dead-letter index", l.name, dead.about())
	}
	if !s.letters[dead] {
		s.letters[dead] = true
		c.letterSent(l, s, dead)
	}
	c.stored[dead.about()] = true
	c.buried(l, dead)
}

// buried records that a dead letter is stored or indexed.
func (c *cluster) buried(l *life, dead letter) {
	name := dead.Index + "/" + dead.ID
	d := c.documents[name]
	if d == nil {
		return
	}
	c.sender(l).index(dead.Index).decide(name)
	if dead.Stage == "blocked" { // the minimal fallback of a rejected document may be accepted
		d.buried = true
		c.twice(d, name)
	}
}

// twice checks that a document which is both indexed and a dead letter was read twice: the
// lease of its shard has had another owner since it was first sent.
func (c *cluster) twice(d *document, name string) {
	if d.indexed && d.buried && !d.former && !c.leased[d.shard].After(d.first) && !c.foreign {
		c.violated(exactly, "document %s is indexed and a dead letter, but was read once", name)
	}
}

// Log lines of a worker about an index.
var (
	logGivenUp = []byte(`"message":"index given up`)
	logPartly  = []byte(`"message":"documents given up: they become dead letters, because their index accepts others`)
	logAgain   = []byte(`"message":"index accepts documents again`)
)

// logGap is the log line about expired records.
var logGap = []byte(`"records expired unread"`)

// gapLogged checks that records may have expired in a logged gap, and records it.
func (c *cluster) gapLogged(l *life, text []byte) {
	var fields struct {
		Shard  string
		After  string    `json:"after_sequence_number"`
		Before string    `json:"before_sequence_number"`
		From   time.Time `json:"gap_from"`
		To     time.Time `json:"gap_to"`
	}
	must(json.Unmarshal(text, &fields))
	c.mu.Lock()
	defer c.mu.Unlock()
	if expired := c.kinesisClock().Add(propagation - retention); !fields.From.Before(fields.To) || fields.To.After(expired) {
		c.violated(noFalseGap, "%s logs %s, but no record after %s can have expired", l.name, string(text), expired.Sub(c.begun))
	}
	number := cmp.Or(fields.After, fields.Before)
	if number != "" && number < c.firsts[fields.Shard] {
		return // from a stream that was deleted
	}
	// A worker that had trouble learns late that the stream was created again.
	learnt := c.createdAgain
	if c.slowedAt.After(learnt) {
		learnt = c.slowedAt
	}
	mayBeOld := fields.After == "" && !c.createdAgain.IsZero() && time.Since(learnt) < mostWait
	if created := c.appeared[fields.Shard]; !mayBeOld && !fields.To.After(created.Add(-propagation)) {
		c.violated(noFalseGap, "%s logs %s, but the shard was created at %s", l.name, string(text), created.Sub(c.begun))
	}
	c.gaps = append(c.gaps, interval{fields.Shard, fields.From, fields.To})
}

// logged evaluates a worker's log lines about decisions on indices and about expired records.
func (c *cluster) logged(l *life, text []byte) {
	if bytes.Contains(text, logGap) {
		c.gapLogged(l, text)
	}
	c.unreadLogged(text)
	givenUp, partly, again := bytes.Contains(text, logGivenUp), bytes.Contains(text, logPartly), bytes.Contains(text, logAgain)
	if !givenUp && !partly && !again {
		return
	}
	var fields struct{ Index string }
	must(json.Unmarshal(text, &fields))
	c.mu.Lock()
	defer c.mu.Unlock()
	if fields.Index == deadLetters {
		c.lettersLogged(l, c.sender(l), givenUp)
		return
	}
	c.updateOutages(0) // it may have ended since
	x := c.sender(l).index(fields.Index)
	switch {
	case givenUp:
		c.givenUp(l, x, fields.Index)
		x.givenUp, x.probed = time.Now(), false
	case partly:
		c.givenUp(l, x, fields.Index)
		x.letters = time.Now()
	default:
		if x.givenUp.IsZero() || !x.probed {
			c.violated(steady, "%s logs that %s accepts documents again, without an accepted probe", l.name, fields.Index)
		}
		x.givenUp, x.since, x.counted, x.refusal = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		x.letters = time.Now()
		clear(x.waiting)
	}
}

// givenUp checks that an index, or the documents that wait for it, are given up for a reason.
func (c *cluster) givenUp(l *life, x *sentIndex, name string) {
	switch waited := time.Since(x.since) - (x.stood - x.stoodAt); {
	case !x.givenUp.IsZero():
		c.violated(steady, "%s gives up %s twice", l.name, name)
	case x.since.IsZero():
		c.violated(steady, "%s gives up %s, which has rejected no waiting document", l.name, name)
	case x.inOutage():
		c.violated(outageKeeps, "%s gives up %s in an outage, which began at %s: nothing accepted since %s, tried from %s to %s, %.2f blocked since %s", l.name, name, x.outage.Sub(c.begun), c.sender(l).accepted.Sub(c.begun), c.sender(l).tried.Sub(c.begun), c.sender(l).retried.Sub(c.begun), c.sender(l).blockedShare(x.counted), x.counted.Sub(c.begun))
	case x.inFlood():
		c.violated(outageKeeps, "%s gives up %s in the flood stage", l.name, name)
	case waited < c.wait-propagation && !c.quarterFull(l):
		c.violated(steady, "%s gives up %s after %s", l.name, name, waited)
	}
}

// mostBytes is more than the size of any document in a story, and bufferBytes more than the
// memory of its record while some of its documents are under way.
const (
	mostBytes   = 1000
	bufferBytes = 34 << 10
)

// quarterFull reports whether the documents without an outcome in the shards of a process may
// fill a quarter of the bytes in flight.
func (c *cluster) quarterFull(l *life) bool {
	n, held := 0, 0
	if c.former != nil {
		return true
	}
	for shard, records := range c.records {
		if c.holders[shard] != l {
			continue
		}
		if _, byHand := c.byHand[shard]; byHand {
			return true // documents with an outcome are read again
		}
		held++
		for _, r := range records[c.settled[shard]:] {
			if c.unsettled(r) != "" {
				n += len(r.documents)
			}
		}
	}
	return int64(n*mostBytes+held*bufferBytes) >= c.inFlight/4
}

// updateOutages determines from the requests to OpenSearch which indices have an outage. period
// is the time since the last call.
func (c *cluster) updateOutages(period time.Duration) {
	for _, s := range c.senders {
		nothing := !s.tried.IsZero() && time.Since(later(s.accepted, s.tried)) >= silence && time.Since(s.retried) < silence-propagation
		if !s.tried.IsZero() && time.Since(s.accepted) >= silence-unsure {
			s.possible = time.Now()
		}
		for _, x := range s.indices {
			sure := nothing
			if !x.counted.IsZero() {
				recent := s.blockedShare(later(x.counted, time.Now().Add(-shareWindow)))
				longer := s.blockedShare(later(x.counted, time.Now().Add(-shareWindow-2*time.Minute)))
				// Some answers of this moment arrived before the outage was counted.
				after := s.blockedShare(x.counted.Add(1))
				sure = sure || min(recent, longer, after) > 0.6
				if max(recent, longer) > 0.4 {
					s.possible = time.Now()
				}
			}
			switch {
			case !sure:
				x.outage = time.Time{}
			case x.outage.IsZero():
				x.outage = time.Now()
			}
			if x.inOutage() {
				x.stood += period
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isOver reports whether documents were accepted since any was first sent, or with the last one,
// and none was sent for a while. At the end of a shard the outcomes of those are not evidence of
// the present state.
func (s *sender) isOver() bool {
	n := len(s.firsts)
	if n == 0 {
		return true
	}
	last := s.firsts[n-1].at
	return s.accepted.After(last) || !s.accepted.Before(last) && time.Since(last) >= silence-unsure
}

// blockedShare returns the share of the documents with a first outcome since a time whose index
// rejected all documents. It is a half if there are few.
func (s *sender) blockedShare(since time.Time) float64 {
	const few = 10
	i, _ := slices.BinarySearchFunc(s.firsts, since, func(f first, t time.Time) int { return f.at.Compare(t) })
	recent := s.firsts[i:]
	if len(recent) < few {
		return 0.5
	}
	blocked := 0
	for _, f := range recent {
		if f.blocked {
			blocked++
		}
	}
	return float64(blocked) / float64(len(recent))
}
