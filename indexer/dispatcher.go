package indexer

import (
	"math/rand/v2"
	"time"
)

// dispatcher owns every document between Put and its final verdict: those
// that wait to be sent, and those that wait to be sent again. One goroutine
// runs it, so it needs no lock.
type dispatcher struct {
	ix *Indexer

	queue   []part      // to be sent, oldest first
	arrived []time.Time // when each part of the queue may go or came in
	bytes   int         // in the queue
	count   int         // documents in the queue

	retries []retry
}

// retry is what failed in one request, and when it is due again.
type retry struct {
	due   time.Time
	parts []part
}

func newDispatcher(ix *Indexer) *dispatcher { return &dispatcher{ix: ix} }

func (d *dispatcher) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		d.enqueueDue(now)
		// A batch is composed when a sender asks for it, not before: while all
		// are busy, batches fill.
		ready, wake := d.ready(now)
		var requests chan chan []part
		if ready {
			requests = d.ix.requests
		}
		timer.Reset(wake.Sub(now))
		select {
		case docs := <-d.ix.incoming:
			d.enqueue(part{docs: docs, to: docs.Len()}, time.Now())
		case answer := <-requests:
			answer <- d.take()
		case verdicts := <-d.ix.verdicts:
			d.settle(verdicts)
		case <-d.ix.pings:
		case <-timer.C:
		case <-d.ix.ctx.Done():
			return
		}
	}
}

func (d *dispatcher) enqueue(p part, at time.Time) {
	d.queue = append(d.queue, p)
	d.arrived = append(d.arrived, at)
	d.bytes += len(p.bytes())
	d.count += p.to - p.from
}

// idle is how long the dispatcher sleeps when no clock of its own runs.
const idle = time.Hour

// ready tells whether a batch is full or has lingered long enough; if not, when
// to look again.
func (d *dispatcher) ready(now time.Time) (ready bool, wake time.Time) {
	wake = now.Add(idle)
	for _, r := range d.retries {
		if r.due.Before(wake) {
			wake = r.due
		}
	}
	if len(d.queue) == 0 {
		return false, wake
	}
	if d.bytes >= d.ix.cfg.BatchBytes || d.count >= d.ix.cfg.BatchDocuments {
		return true, wake
	}
	lingered := d.arrived[0].Add(d.ix.cfg.Linger)
	if !lingered.After(now) {
		return true, wake
	}
	if lingered.Before(wake) {
		wake = lingered
	}
	return false, wake
}

// take cuts a batch off the queue.
func (d *dispatcher) take() []part {
	var batch []part
	maxBytes, maxCount := d.ix.cfg.BatchBytes, d.ix.cfg.BatchDocuments
	n := 0
	for n < len(d.queue) && maxBytes > 0 && maxCount > 0 {
		head, rest := d.queue[n].split(maxBytes, maxCount)
		size := len(head.bytes())
		if len(batch) > 0 && size > maxBytes {
			break
		}
		batch = append(batch, head)
		maxBytes -= size
		maxCount -= head.to - head.from
		d.bytes -= size
		d.count -= head.to - head.from
		if rest.from < rest.to {
			d.queue[n] = rest
			break
		}
		n++
	}
	d.queue = append(d.queue[:0], d.queue[n:]...)
	d.arrived = append(d.arrived[:0], d.arrived[n:]...)
	return batch
}

// settle counts verdicts off their records, and schedules what is to be sent again.
func (d *dispatcher) settle(verdicts []verdict) {
	now := time.Now()
	var again retry
	for _, v := range verdicts {
		if v.again {
			v.attempts++
			again.parts = append(again.parts, v.part)
			if due := now.Add(d.ix.cfg.backoff(v.attempts)); due.After(again.due) {
				again.due = due
			}
			continue
		}
		docs, n := v.docs, v.to-v.from
		if v.letter == nil {
			d.finish(docs, n)
			continue
		}
		// The document is settled when its dead letter is.
		v.letter.pending, v.letter.done = 1, func() { d.finish(docs, n) }
		d.enqueue(part{docs: v.letter, to: 1}, now)
	}
	if len(again.parts) > 0 {
		d.retries = append(d.retries, again)
	}
}

// finish counts n verdicts off a record. The last one is its end.
func (d *dispatcher) finish(docs *Documents, n int) {
	docs.pending -= n
	if docs.pending > 0 {
		return
	}
	done := docs.done
	docs.recycle()
	done()
}

// enqueueDue puts what is due for another attempt before what is new: it holds
// up its record's acknowledgement.
func (d *dispatcher) enqueueDue(now time.Time) {
	kept := d.retries[:0]
	for _, r := range d.retries {
		if r.due.After(now) {
			kept = append(kept, r)
			continue
		}
		times := make([]time.Time, len(r.parts))
		for i, p := range r.parts {
			times[i] = r.due.Add(-d.ix.cfg.Linger)
			d.bytes += len(p.bytes())
			d.count += p.to - p.from
		}
		d.queue = append(r.parts, d.queue...)
		d.arrived = append(times, d.arrived...)
	}
	d.retries = kept
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
