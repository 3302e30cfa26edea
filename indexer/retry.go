package indexer

import (
	"math/rand/v2"
	"time"
)

// held is a part that rests until it is sent again.
type held struct {
	part
	tried time.Time // when it was refused last
	slot  int       // in its set's resting
}

// retry is what failed in one request, and when it is due again.
type retry struct {
	made  time.Time
	due   time.Time
	parts []*held
	away  bool // OpenSearch gave no outcomes: when it does for others, it may be back
	alone bool // others were accepted meanwhile: one of these may be the cause
}

// rest notes that a part waits to be sent again.
func rest(p part) *held {
	h := &held{part: p, tried: time.Now(), slot: len(p.docs.resting)}
	p.docs.resting = append(p.docs.resting, h)
	return h
}

// leave is the part that no longer rests.
func (h *held) leave() part {
	resting := h.docs.resting
	last := resting[len(resting)-1]
	resting[h.slot], last.slot = last, h.slot
	resting[len(resting)-1] = nil // otherwise it keeps its documents in memory
	h.docs.resting = resting[:len(resting)-1]
	return h.part
}

// isolateAfter is how often a request may fail while others succeed until its
// halves are sent apart, to find the document that makes it fail.
const isolateAfter = 3

// enqueueDue puts what is due for another attempt into the queue.
func (d *dispatcher) enqueueDue(now time.Time) {
	kept := d.retries[:0]
	for _, r := range d.retries {
		if r.due.After(now) {
			kept = append(kept, r)
			continue
		}
		parts := make([]part, len(r.parts))
		for i, h := range r.parts {
			parts[i] = h.leave()
			parts[i].alone = r.alone
		}
		switch {
		case !r.alone:
			d.enqueueAgain(parts, now)
		case documents(parts) > 1:
			first, second := halve(parts)
			d.alone = append(d.alone, first, second)
		case len(parts) > 0:
			d.alone = append(d.alone, parts)
		}
	}
	clear(d.retries[len(kept):]) // otherwise it keeps their documents in memory
	d.retries = kept
}

// wake ends the pauses for an OpenSearch that was away, once for each part: what
// then fails again may do so by itself.
func (d *dispatcher) wake(now time.Time) {
	for i := range d.retries {
		r := &d.retries[i]
		if !r.away {
			continue
		}
		r.due = now
		for _, h := range r.parts {
			h.woken = true
		}
	}
}

// backoff is a pause with full jitter.
// See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
func (c Config) backoff(attempts int) time.Duration {
	ceiling := c.RetryMax
	if shift := attempts - 1; shift < 30 && c.RetryMin<<shift < ceiling {
		ceiling = c.RetryMin << shift
	}
	return time.Duration(rand.Int64N(int64(ceiling) + 1)) //nolint:gosec // no secret
}
