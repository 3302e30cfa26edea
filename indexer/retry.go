package indexer

import (
	"math/rand/v2"
	"time"
)

// delayedPart is a part that waits to be sent again.
type delayedPart struct {
	part
	tried time.Time // when it was last refused
	slot  int       // index in its set's delayed parts
}

// retry holds the failed parts of one request, and when they are due.
type retry struct {
	made        time.Time
	due         time.Time
	parts       []*delayedPart
	unreachable bool // OpenSearch returned no outcomes; the parts are due as soon as it does
	isolated    bool // others were accepted in between: one of these may be the cause
}

// delay adds a part to the delayed parts of its set.
func delay(p part) *delayedPart {
	dp := &delayedPart{part: p, tried: time.Now(), slot: len(p.docs.delayed)}
	p.docs.delayed = append(p.docs.delayed, dp)
	return dp
}

// resume removes the part from the delayed parts of its set and returns it.
func (dp *delayedPart) resume() part {
	delayed := dp.docs.delayed
	last := delayed[len(delayed)-1]
	delayed[dp.slot], last.slot = last, dp.slot
	delayed[len(delayed)-1] = nil // otherwise it keeps its documents in memory
	dp.docs.delayed = delayed[:len(delayed)-1]
	return dp.part
}

// isolateAfter is how often a request may fail while others succeed before its halves are
// sent separately, to find the document that makes it fail.
const isolateAfter = 3

// enqueueDue enqueues parts that are due for another attempt.
func (d *dispatcher) enqueueDue(now time.Time) {
	kept := d.retries[:0]
	for _, r := range d.retries {
		if r.due.After(now) {
			kept = append(kept, r)
			continue
		}
		parts := make([]part, len(r.parts))
		for i, dp := range r.parts {
			parts[i] = dp.resume()
			parts[i].isolated = r.isolated
		}
		switch {
		case !r.isolated:
			d.enqueueAgain(parts, now)
		case documents(parts) > 1:
			first, second := halve(parts)
			d.isolated = append(d.isolated, first, second)
		case len(parts) > 0:
			d.isolated = append(d.isolated, parts)
		}
	}
	clear(d.retries[len(kept):]) // otherwise it keeps their documents in memory
	d.retries = kept
}

// wake makes parts due that were delayed because OpenSearch was unreachable. It does so
// once per part: if the part fails again, the part itself may be the cause.
func (d *dispatcher) wake(now time.Time) {
	for i := range d.retries {
		r := &d.retries[i]
		if !r.unreachable {
			continue
		}
		r.due = now
		for _, dp := range r.parts {
			dp.woken = true
		}
	}
}

// backoff returns a pause with full jitter.
// See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
func (c Config) backoff(attempts int) time.Duration {
	ceiling := c.RetryMax
	if shift := attempts - 1; shift < 30 && c.RetryMin<<shift < ceiling {
		ceiling = c.RetryMin << shift
	}
	return time.Duration(rand.Int64N(int64(ceiling) + 1)) //nolint:gosec // not a secret
}
