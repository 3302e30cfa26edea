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
	senders   map[*process]*sender
	leased    map[string]time.Time // by shard: when the owner of its lease last changed
	closed    map[string]time.Time // by shard: when it was found to have children
	stored    map[string]bool      // dead letters in the store, by subject
}

// document is the state of a document.
type document struct {
	shard             string
	former            bool      // from a stream that was deleted
	first             time.Time // when it or a dead letter about it was first sent
	indexed, isLetter bool      // OpenSearch has it; a dead letter about it exists
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
	waiting           map[string]*attempts // documents that it rejected and has not accepted since
	since             time.Time            // since when any of these waits, zero if none does
	counted           time.Time            // the same for documents whose leases are still held
	outageTimeAtStart time.Duration        // value of outageTime at since
	outageTime        time.Duration        // time in an outage
	outage            time.Time            // since when an outage lasts, zero without one
	flood             time.Time            // since when every rejection was due to the flood stage
	accepted          int
	givenUp           time.Time // zero if it is not given up
	letters           time.Time // when documents last became dead letters; some may still be under way
	probed            bool      // a document was accepted since then
	refusal           time.Time // the last rejection while it was given up
}

// attempts records the attempts on one document.
type attempts struct {
	first             time.Time
	failures          int  // item 5xx
	blocked           bool // the index was the cause of a rejection
	accepted          int  // documents that the index had accepted at the first attempt
	outageTimeAtStart time.Duration
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
		senders:   make(map[*process]*sender),
		leased:    make(map[string]time.Time),
		closed:    make(map[string]time.Time),
		stored:    make(map[string]bool),
	}
}

func (o *outcomes) sender(p *process) *sender {
	s := o.senders[p]
	if s == nil {
		s = &sender{known: make(map[string]bool), indices: make(map[string]*sentIndex), letters: make(map[letter]bool)}
		o.senders[p] = s
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
func (c *cluster) sent(p *process, i item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sender(p)
	if i.letter != nil {
		if !s.letters[*i.letter] && !c.byKCL {
			s.letters[*i.letter] = true
			c.letterSent(p, s, *i.letter)
		}
		return
	}
	name := i.document()
	if d := c.documents[name]; d == nil {
		c.violated(exactly, "%s sends document %s, which nobody has put", p.name, name)
	} else if d.first.IsZero() {
		d.first = time.Now()
	}
	if !s.known[name] {
		s.try()
	}
}

// try records an attempt that is evidence of OpenSearch's state: one on a document without an
// outcome, or a request that fails as a whole.
func (s *sender) try() {
	s.retried = time.Now()
	if s.tried.IsZero() {
		s.tried = s.retried
	}
}

// outcome is called for each item that has a result.
func (c *cluster) outcome(p *process, i item, r *refusal, created bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sender(p)
	if i.letter != nil {
		c.letterOutcome(p, s, *i.letter, r)
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
			c.violated(steady, "%s sends %s to the index that it gave up %s after the last probe", p.name, name, pause)
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
		a = &attempts{first: time.Now(), accepted: x.accepted, outageTimeAtStart: x.outageTime}
		x.waiting[name] = a
	}
	if !r.isBlocked() {
		a.failures++
		return
	}
	a.blocked = true
	if x.since.IsZero() {
		x.since, x.outageTimeAtStart = time.Now(), x.outageTime
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
func (c *cluster) letterSent(p *process, s *sender, dead letter) {
	if dead.ID == "" {
		return // about a record: counted at the end
	}
	name := dead.Index + "/" + dead.ID
	d := c.documents[name]
	if d == nil {
		c.violated(exactly, "%s sends a dead letter about %s, which nobody has put", p.name, name)
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
		c.poisonSent(p, x, dead.ID, name)
	case "blocked":
		closed, isClosed := c.closed[d.shard]
		switch {
		case !x.givenUp.IsZero(), time.Since(x.letters) < unsure:
		case !isClosed || time.Since(closed) < endOfShard-propagation:
			c.violated(steady, "%s sends a dead letter about %s, whose index it has not given up", p.name, name)
		case x.inOutage() && !s.isOver() || x.inFlood():
			c.violated(outageKeeps, "%s sends a dead letter about %s in an outage, at the end of its shard", p.name, name)
		}
	default:
		c.violated(exactly, "%s sends a dead letter of stage %s about document %s", p.name, dead.Stage, name)
	}
}

// poisonSent checks a dead letter about a document that is at fault.
func (c *cluster) poisonSent(p *process, x *sentIndex, id, name string) {
	if refused(id) {
		return
	}
	a := x.waiting[name]
	if a == nil || a.failures == 0 {
		c.violated(steady, "%s sends a dead letter about %s, which is not at fault", p.name, name)
		return
	}
	waited := time.Since(a.first)
	isPoison := x.accepted-a.accepted >= manyOthers && (a.failures >= manyTries && waited >= longTime-propagation || c.quarterFull(p))
	switch {
	case x.inOutage() && !isPoison:
		c.violated(outageKeeps, "%s sends a dead letter about %s, which failed, in an outage", p.name, name)
	case !isPoison && waited-(x.outageTime-a.outageTimeAtStart) < c.wait-propagation:
		c.violated(steady, "%s sends a dead letter about %s after %s, %d tries and %d others", p.name, name, waited, a.failures, x.accepted-a.accepted)
	}
}

// letterOutcome records the outcome of a dead letter.
func (c *cluster) letterOutcome(p *process, s *sender, dead letter, r *refusal) {
	switch {
	case r == nil:
		s.lettersRefused = time.Time{}
		c.letterKept(p, dead)
	case s.lettersRefused.IsZero():
		s.lettersRefused = time.Now()
	}
}

// lettersLogged checks that the dead-letter index is given up for a reason.
func (c *cluster) lettersLogged(p *process, s *sender, givenUp bool) {
	waited := time.Since(s.lettersRefused)
	switch {
	case s.storing && !givenUp:
		s.stored = time.Now()
	case s.storing == givenUp:
		c.violated(steady, "%s logs the state of the dead-letter index twice", p.name)
	case !c.hasStore || s.lettersRefused.IsZero() || waited < c.wait-propagation && !c.quarterFull(p):
		c.violated(steady, "%s gives up the dead-letter index after %s", p.name, waited)
	}
	s.storing = givenUp
}

// letterStored checks that dead letters go to the store for a reason.
func (c *cluster) letterStored(p *process, s *sender, dead letter) {
	if !s.storing && time.Since(s.stored) > unsure {
		c.violated(steady, "%s stores a dead letter about %s, although it has not given up the dead-letter index", p.name, dead.about())
	}
	if !s.letters[dead] {
		s.letters[dead] = true
		c.letterSent(p, s, dead)
	}
	c.stored[dead.about()] = true
	c.letterKept(p, dead)
}

// letterKept records that a dead letter is stored or indexed.
func (c *cluster) letterKept(p *process, dead letter) {
	name := dead.Index + "/" + dead.ID
	d := c.documents[name]
	if d == nil {
		return
	}
	c.sender(p).index(dead.Index).decide(name)
	if dead.Stage == "blocked" { // the minimal fallback of a rejected document may be accepted
		d.isLetter = true
		c.twice(d, name)
	}
}

// twice checks that a document which is both indexed and a dead letter was read twice: the
// lease of its shard has had another owner since it was first sent.
func (c *cluster) twice(d *document, name string) {
	if d.indexed && d.isLetter && !d.former && !c.leased[d.shard].After(d.first) && !c.byKCL {
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
func (c *cluster) gapLogged(p *process, text []byte) {
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
		c.violated(noFalseGap, "%s logs %s, but no record after %s can have expired", p.name, string(text), expired.Sub(c.begun))
	}
	number := cmp.Or(fields.After, fields.Before)
	if number != "" && number < c.firsts[fields.Shard] {
		return // from a stream that was deleted
	}
	// A worker that had trouble notices late that the stream was created again.
	noticed := later(c.createdAgain, c.slowedAt)
	mayBeOld := fields.After == "" && !c.createdAgain.IsZero() && time.Since(noticed) < mostWait
	if created := c.appeared[fields.Shard]; !mayBeOld && !fields.To.After(created.Add(-propagation)) {
		c.violated(noFalseGap, "%s logs %s, but the shard was created at %s", p.name, string(text), created.Sub(c.begun))
	}
	c.gaps = append(c.gaps, interval{fields.Shard, fields.From, fields.To})
}

// logged evaluates a worker's log lines about decisions on indices and about expired records.
func (c *cluster) logged(p *process, text []byte) {
	if bytes.Contains(text, logGap) {
		c.gapLogged(p, text)
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
		c.lettersLogged(p, c.sender(p), givenUp)
		return
	}
	c.updateOutages(0) // it may have ended since
	x := c.sender(p).index(fields.Index)
	switch {
	case givenUp:
		c.givenUp(p, x, fields.Index)
		x.givenUp, x.probed = time.Now(), false
	case partly:
		c.givenUp(p, x, fields.Index)
		x.letters = time.Now()
	default:
		if x.givenUp.IsZero() || !x.probed {
			c.violated(steady, "%s logs that %s accepts documents again, without an accepted probe", p.name, fields.Index)
		}
		x.givenUp, x.since, x.counted, x.refusal = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		x.letters = time.Now()
		clear(x.waiting)
	}
}

// givenUp checks that an index, or the documents that wait for it, are given up for a reason.
func (c *cluster) givenUp(p *process, x *sentIndex, name string) {
	switch waited := time.Since(x.since) - (x.outageTime - x.outageTimeAtStart); {
	case !x.givenUp.IsZero():
		c.violated(steady, "%s gives up %s twice", p.name, name)
	case x.since.IsZero():
		c.violated(steady, "%s gives up %s, which has rejected no waiting document", p.name, name)
	case x.inOutage():
		c.violated(outageKeeps, "%s gives up %s in an outage, which began at %s: nothing accepted since %s, tried from %s to %s, %.2f blocked since %s", p.name, name, x.outage.Sub(c.begun), c.sender(p).accepted.Sub(c.begun), c.sender(p).tried.Sub(c.begun), c.sender(p).retried.Sub(c.begun), c.sender(p).blockedShare(x.counted), x.counted.Sub(c.begun))
	case x.inFlood():
		c.violated(outageKeeps, "%s gives up %s in the flood stage", p.name, name)
	case waited < c.wait-propagation && !c.quarterFull(p):
		c.violated(steady, "%s gives up %s after %s", p.name, name, waited)
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
func (c *cluster) quarterFull(p *process) bool {
	n, held := 0, 0
	if c.former != nil {
		return true
	}
	for shard, records := range c.records {
		if c.holders[shard] != p {
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
				x.outageTime += period
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

// isOver reports whether the first outcomes are no longer evidence of an outage: a document was
// accepted after the latest of them, or with it and long ago.
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
