package indexer

import (
	"math/rand/v2"
	"slices"
	"time"
)

// dispatcher owns every document between Put and its final verdict: those
// that wait to be sent, and those that wait to be sent again. One goroutine
// runs it, so it needs no lock.
type dispatcher struct {
	ix    *Indexer
	limit limit

	queue   []part      // to be sent, oldest first
	arrived []time.Time // when each part of the queue may go or came in
	bytes   int         // in the queue, about
	count   int         // documents in the queue

	large        []part // large forms, of which one goes at a time, alone
	largeRunning bool

	retries []retry
}

// retry is what failed in one request, and when it is due again.
type retry struct {
	due   time.Time
	parts []part
	away  bool // OpenSearch gave no verdicts: when it does for others, it may be back
}

// result is what a request brought.
type result struct {
	verdicts []verdict
	trip     trip
	large    bool // of a large form
}

func newDispatcher(ix *Indexer) *dispatcher {
	return &dispatcher{ix: ix, limit: newLimit(ix.cfg.Connections)}
}

func (d *dispatcher) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		d.ix.inbox.take(d.enqueue)
		d.enqueueDue(now)
		ready, wake := d.ready(now)
		if ready {
			d.send(d.take())
			continue
		}
		timer.Reset(wake.Sub(now))
		d.ix.inbox.wait(d.enough())
		select {
		case <-d.ix.inbox.bell:
		case result := <-d.ix.results:
			d.limit.end(result.trip)
			d.largeRunning = d.largeRunning && !result.large
			d.ix.metrics.concurrency.Set(float64(int(d.limit.allowed)))
			d.settle(result.verdicts)
		case <-d.ix.pings:
		case <-timer.C:
		case <-d.ix.ctx.Done():
			return
		}
	}
}

// enqueue puts a part behind what waits.
func (d *dispatcher) enqueue(p part, at time.Time) {
	if isLarge(p) {
		d.large = append(d.large, p)
		return
	}
	d.queue = append(d.queue, p)
	d.arrived = append(d.arrived, at)
	d.bytes += p.size()
	d.count += p.to - p.from
}

// enqueueFirst puts parts before what waits, to go as soon as may be: they hold up
// the acknowledgement of their records, and forms take memory.
func (d *dispatcher) enqueueFirst(parts []part, now time.Time) {
	queue, arrived := d.queue, d.arrived
	d.queue, d.arrived = make([]part, 0, len(parts)+len(queue)), make([]time.Time, 0, len(parts)+len(queue))
	for _, p := range parts {
		d.enqueue(p, now.Add(-d.ix.cfg.Linger))
	}
	d.queue, d.arrived = append(d.queue, queue...), append(d.arrived, arrived...)
}

// idle is how long the dispatcher sleeps when no clock of its own runs.
const idle = time.Hour

// full tells whether the queue fills a batch.
func (d *dispatcher) full() bool {
	return d.bytes >= d.ix.cfg.BatchBytes || d.count >= d.ix.cfg.BatchDocuments
}

// ready tells whether a batch may go; if not, when to look again. One goes as
// soon as a connection is free when it is full or nothing is under way: at low
// load nobody waits. While requests are under way it fills, for as long as the
// linger allows.
func (d *dispatcher) ready(now time.Time) (ready bool, wake time.Time) {
	wake = now.Add(idle)
	for _, r := range d.retries {
		if r.due.Before(wake) {
			wake = r.due
		}
	}
	if !d.limit.free() {
		return false, wake
	}
	if d.mayTakeLarge() {
		return true, wake
	}
	if len(d.queue) == 0 {
		return false, wake
	}
	lingered := d.arrived[0].Add(d.ix.cfg.Linger)
	if d.full() || d.limit.running == 0 || !lingered.After(now) {
		return true, wake
	}
	if lingered.Before(wake) {
		wake = lingered
	}
	return false, wake
}

// enough is how much has to come in for a batch to go before the time that ready
// tells.
func (d *dispatcher) enough() amount {
	switch {
	case !d.limit.free():
		return never
	case len(d.queue) == 0:
		return anything
	}
	return amount{d.ix.cfg.BatchBytes - d.bytes, d.ix.cfg.BatchDocuments - d.count}
}

func (d *dispatcher) mayTakeLarge() bool { return len(d.large) > 0 && !d.largeRunning }

// send has a goroutine send a batch.
func (d *dispatcher) send(batch []part) {
	last, large := d.limit.begin(), isLarge(batch[0])
	d.largeRunning = d.largeRunning || large
	d.ix.running.Go(func() {
		result := d.ix.send(batch)
		result.trip.last, result.large = last, large
		select {
		case d.ix.results <- result:
		case <-d.ix.ctx.Done():
		}
	})
}

// take cuts a batch off what waits.
func (d *dispatcher) take() []part {
	var batch []part
	if d.mayTakeLarge() {
		batch = append(batch, d.large[0])
		d.large = slices.Delete(d.large, 0, 1)
		return batch
	}
	maxBytes, maxCount := d.ix.cfg.BatchBytes, d.ix.cfg.BatchDocuments
	n := 0
	for n < len(d.queue) && maxBytes > 0 && maxCount > 0 {
		head, rest := d.queue[n].split(maxBytes, maxCount)
		size := head.size()
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
	d.queue = slices.Delete(d.queue, 0, n)
	d.arrived = slices.Delete(d.arrived, 0, n)
	return batch
}

// settle counts verdicts off their records, and schedules what is to be sent again.
func (d *dispatcher) settle(verdicts []verdict) {
	now := time.Now()
	again, isBack := retry{away: true}, false
	var next []part
	for _, v := range verdicts {
		docs, n := v.docs, v.to-v.from
		switch {
		case v.again && docs.ours.Err() != nil:
			docs.givenUp = true
			d.finish(docs, n)
		case v.again:
			v.attempts++
			again.away = again.away && v.away && !v.woken
			again.parts = append(again.parts, v.part)
			if due := now.Add(d.ix.cfg.backoff(v.attempts)); due.After(again.due) {
				again.due = due
			}
		default:
			isBack = true
			docs.pending += len(v.next)
			next = append(next, v.next...)
			d.finish(docs, n)
		}
	}
	if len(next) > 0 {
		d.enqueueFirst(next, now)
	}
	if isBack {
		d.wake(now)
	}
	if len(again.parts) > 0 {
		d.retries = append(d.retries, again)
	}
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
		for j := range r.parts {
			r.parts[j].woken = true
		}
	}
}

// finish counts n verdicts off a record. The last one is its end.
func (d *dispatcher) finish(docs *Documents, n int) {
	docs.pending -= n
	if docs.pending > 0 {
		return
	}
	done, settled := docs.done, !docs.givenUp
	docs.Recycle()
	done(settled)
}

// enqueueDue puts what is due for another attempt before what is new.
func (d *dispatcher) enqueueDue(now time.Time) {
	var due []part
	kept := d.retries[:0]
	for _, r := range d.retries {
		if r.due.After(now) {
			kept = append(kept, r)
		} else {
			due = append(due, r.parts...)
		}
	}
	clear(d.retries[len(kept):]) // else it keeps their documents in memory
	d.retries = kept
	if len(due) > 0 {
		d.enqueueFirst(due, now)
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
