package indexer

import (
	"slices"
	"time"
)

// dispatcher owns every document between Put and its outcome, both those that were not
// sent yet and those that are to be sent again. A single goroutine runs it, so it needs
// no lock.
type dispatcher struct {
	ix    *Indexer
	limit limit

	// fresh holds documents that were not sent yet. requeued holds those to be sent again or
	// as a fallback. They get up to half of a batch, fresh ones the rest.
	fresh, requeued queue

	isolated     [][]part // batches that may be the cause of failing requests
	large        []part   // large fallbacks, sent one at a time, each in its own request
	largeRunning bool

	underWay [][]part // batches whose requests have no answer yet

	retries []retry
	targets map[string]*target
	tally   tally
	// accepted is the number of documents accepted so far.
	accepted int
	ticked   time.Time // when the clocks of the targets were last advanced
	shown    int       // number of indices and paused shards at the last publish
	warned   time.Time // when stalled shards were last logged
	givenUp  int       // number of targets given up
	ends     map[string]time.Time
	storing  storing
}

// result is what one request returned.
type result struct {
	batch    []part
	outcomes []partOutcome
	stats    requestStats
	large    bool // the request had a large fallback
	stored   bool // the batch was written to the store
}

func newDispatcher(ix *Indexer) *dispatcher {
	now := time.Now()
	return &dispatcher{
		ix: ix, limit: newLimit(ix.cfg.Connections), targets: make(map[string]*target), ends: make(map[string]time.Time),
		tally: tally{accepted: now, recent: outageAfter + ix.cfg.RequestTimeout + ix.cfg.RetryMax}, ticked: now,
	}
}

func (d *dispatcher) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		d.ix.inbox.drain(d.enqueue)
		d.enqueueDue(now)
		d.tick(now)
		d.resend(now)
		d.store(now)
		ready, wake := d.ready(now)
		if ready {
			if batch := d.nextBatch(now); len(batch) > 0 {
				d.send(batch)
			}
			continue
		}
		timer.Reset(wake.Sub(now))
		d.ix.inbox.wakeAt(d.wakeThreshold())
		select {
		case <-d.ix.inbox.wakeup:
		case result := <-d.ix.results:
			d.handleResult(result)
		case end := <-d.ix.ends:
			d.noteEnd(end)
		case <-d.ix.pings:
		case query := <-d.ix.queries:
			query(d)
		case <-timer.C:
		case <-d.ix.ctx.Done():
			return
		}
	}
}

// handleResult applies the result of a request.
func (d *dispatcher) handleResult(r result) {
	d.underWay = slices.DeleteFunc(d.underWay, func(batch []part) bool { return &batch[0] == &r.batch[0] })
	if r.stored {
		d.handleStoreResult(r)
		return
	}
	d.limit.release(r.stats)
	d.largeRunning = d.largeRunning && !r.large
	d.ix.metrics.concurrency.Set(float64(int(d.limit.allowed)))
	d.settle(r)
}

// enqueue appends a part that was not sent yet.
func (d *dispatcher) enqueue(p part, at time.Time) {
	if isLarge(p) {
		d.large = append(d.large, p)
		return
	}
	d.fresh.put(p, at)
}

// enqueueAgain appends parts that are sent again. They do not linger, because the
// acknowledgement of their records waits for them.
func (d *dispatcher) enqueueAgain(parts []part, now time.Time) {
	for _, p := range parts {
		if isLarge(p) {
			d.large = append(d.large, p)
			continue
		}
		d.requeued.put(p, now.Add(-d.ix.cfg.Linger))
	}
}

// idleWait is how long the dispatcher sleeps when no timer is due.
const idleWait = time.Hour

// full reports whether the queues fill a batch.
func (d *dispatcher) full() bool {
	return d.fresh.bytes+d.requeued.bytes >= d.ix.cfg.BatchBytes || d.fresh.count+d.requeued.count >= d.ix.cfg.BatchDocuments
}

// oldest returns the arrival time of the part that has waited longest. ok reports whether
// any part waits.
func (d *dispatcher) oldest() (at time.Time, ok bool) {
	for _, q := range []*queue{&d.fresh, &d.requeued} {
		if !q.empty() && (!ok || q.oldest().Before(at)) {
			at, ok = q.oldest(), true
		}
	}
	return at, ok
}

// ready reports whether a batch can be sent now, and otherwise when to check again. A
// batch is sent as soon as a connection is free if it is full or if no request is under
// way, so at low load nothing is delayed. While requests are under way, the batch fills
// for up to the linger.
func (d *dispatcher) ready(now time.Time) (ready bool, wake time.Time) {
	wake = d.nextDue(now)
	if !d.limit.available() {
		return false, wake
	}
	if d.maySendLarge() || len(d.isolated) > 0 {
		return true, wake
	}
	oldest, waits := d.oldest()
	if !waits {
		return false, wake
	}
	lingered := oldest.Add(d.ix.cfg.Linger)
	if d.full() || d.limit.running == 0 || !lingered.After(now) {
		return true, wake
	}
	if lingered.Before(wake) {
		wake = lingered
	}
	return false, wake
}

// nextDue returns when the next timer is due.
func (d *dispatcher) nextDue(now time.Time) time.Time {
	next := now.Add(idleWait)
	for _, r := range d.retries {
		next = earlier(next, r.due)
	}
	if at, ok := d.storeDue(); ok {
		next = earlier(next, at)
	}
	if len(d.targets) > 0 || d.shown > 0 || len(d.ends) > 0 || len(d.retries) > 0 {
		next = earlier(next, d.ticked.Add(tickInterval))
	}
	for _, t := range d.targets {
		next = earlier(next, t.nextDue(next))
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// wakeThreshold returns how much must arrive to wake the dispatcher before its timer.
func (d *dispatcher) wakeThreshold() amount {
	switch {
	case !d.limit.available():
		return never
	case d.fresh.empty() && d.requeued.empty():
		return anything
	}
	return amount{d.ix.cfg.BatchBytes - d.fresh.bytes - d.requeued.bytes, d.ix.cfg.BatchDocuments - d.fresh.count - d.requeued.count}
}

func (d *dispatcher) maySendLarge() bool { return len(d.large) > 0 && !d.largeRunning }

// send sends a batch in a new goroutine.
func (d *dispatcher) send(batch []part) {
	last, large, isolated := d.limit.acquire(), isLarge(batch[0]), batch[0].isolated
	d.largeRunning = d.largeRunning || large
	d.underWay = append(d.underWay, batch)
	d.ix.running.Go(func() {
		result := d.ix.send(batch)
		result.batch, result.stats.last, result.large = batch, last, large
		// A document that fails on its own is not a sign of overload.
		result.stats.pushback = result.stats.pushback && !isolated
		select {
		case d.ix.results <- result:
		case <-d.ix.ctx.Done():
		}
	})
}

// nextBatch removes a batch from the queues. The batch is empty if all of its documents
// are for indices that are given up.
func (d *dispatcher) nextBatch(now time.Time) []part {
	var batch []part
	switch {
	case d.maySendLarge():
		batch = []part{d.large[0]}
		d.large = slices.Delete(d.large, 0, 1)
	case len(d.isolated) > 0:
		batch = d.isolated[0]
		d.isolated = slices.Delete(d.isolated, 0, 1)
	default:
		left := room{d.ix.cfg.BatchBytes, d.ix.cfg.BatchDocuments}
		batch = d.requeued.fill(batch, room{left.bytes / 2, max(left.count/2, 1)})
		batch = d.fresh.fill(batch, left.without(batch))
		batch = d.requeued.fill(batch, left.without(batch))
	}
	if d.givenUp > 0 {
		batch = d.divert(batch, now)
	}
	return batch
}
