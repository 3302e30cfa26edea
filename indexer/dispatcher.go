package indexer

import (
	"slices"
	"time"
)

// dispatcher owns every document between Put and its outcome: those that wait to
// be sent, and those that wait to be sent again. One goroutine runs it, so it
// needs no lock.
type dispatcher struct {
	ix    *Indexer
	limit limit

	// fresh documents were not sent yet; resent ones are tried again, or in another
	// form. Each may take half of a batch from the other.
	fresh, resent queue

	alone        [][]part // batches of what may be the cause of failing requests
	large        []part   // large forms, of which one goes at a time, alone
	largeRunning bool

	underWay [][]part // batches of requests without an answer

	retries []retry
	targets map[string]*target
	tally   tally
	// accepted counts documents.
	accepted int
	ticked   time.Time // when the clocks of the targets were advanced last
	shown    int       // indices and paused shards that publish showed last
	warned   time.Time // when a line said last that shards stand still
	given    int       // targets that are given up
	ends     map[string]time.Time
	storing  storing
}

// result is what a request brought.
type result struct {
	batch    []part
	verdicts []verdict
	trip     trip
	large    bool // of a large form
	stored   bool // of dead letters for the store
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
		d.ix.inbox.take(d.enqueue)
		d.enqueueDue(now)
		d.tick(now)
		d.resend(now)
		d.store(now)
		ready, wake := d.ready(now)
		if ready {
			if batch := d.take(now); len(batch) > 0 {
				d.send(batch)
			}
			continue
		}
		timer.Reset(wake.Sub(now))
		d.ix.inbox.wait(d.enough())
		select {
		case <-d.ix.inbox.bell:
		case result := <-d.ix.results:
			d.end(result)
		case end := <-d.ix.ends:
			d.noteEnd(end)
		case <-d.ix.pings:
		case ask := <-d.ix.asks:
			ask(d)
		case <-timer.C:
		case <-d.ix.ctx.Done():
			return
		}
	}
}

// end takes in what a request brought.
func (d *dispatcher) end(r result) {
	d.underWay = slices.DeleteFunc(d.underWay, func(batch []part) bool { return &batch[0] == &r.batch[0] })
	if r.stored {
		d.endStore(r)
		return
	}
	d.limit.end(r.trip)
	d.largeRunning = d.largeRunning && !r.large
	d.ix.metrics.concurrency.Set(float64(int(d.limit.allowed)))
	d.settle(r)
}

// enqueue puts a part that was not sent yet behind what waits.
func (d *dispatcher) enqueue(p part, at time.Time) {
	if isLarge(p) {
		d.large = append(d.large, p)
		return
	}
	d.fresh.put(p, at)
}

// enqueueAgain puts parts behind others that are sent again, to go without linger:
// they hold up the acknowledgement of their records.
func (d *dispatcher) enqueueAgain(parts []part, now time.Time) {
	for _, p := range parts {
		if isLarge(p) {
			d.large = append(d.large, p)
			continue
		}
		d.resent.put(p, now.Add(-d.ix.cfg.Linger))
	}
}

// idle is how long the dispatcher sleeps when no clock of its own runs.
const idle = time.Hour

// full reports whether the queues fill a batch.
func (d *dispatcher) full() bool {
	return d.fresh.bytes+d.resent.bytes >= d.ix.cfg.BatchBytes || d.fresh.count+d.resent.count >= d.ix.cfg.BatchDocuments
}

// oldest is when the part came that has waited longest; ok reports whether any waits.
func (d *dispatcher) oldest() (at time.Time, ok bool) {
	for _, q := range []*queue{&d.fresh, &d.resent} {
		if !q.empty() && (!ok || q.oldest().Before(at)) {
			at, ok = q.oldest(), true
		}
	}
	return at, ok
}

// ready reports whether a batch may go; if not, when to look again. One goes as
// soon as a connection is free when it is full or nothing is under way: at low
// load nobody waits. While requests are under way it fills, for as long as the
// linger allows.
func (d *dispatcher) ready(now time.Time) (ready bool, wake time.Time) {
	wake = d.nextDue(now)
	if !d.limit.free() {
		return false, wake
	}
	if d.mayTakeLarge() || len(d.alone) > 0 {
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

// nextDue is when something falls due that no message announces.
func (d *dispatcher) nextDue(now time.Time) time.Time {
	next := now.Add(idle)
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

// enough is how much has to come in for a batch to go before the time that ready
// returns.
func (d *dispatcher) enough() amount {
	switch {
	case !d.limit.free():
		return never
	case d.fresh.empty() && d.resent.empty():
		return anything
	}
	return amount{d.ix.cfg.BatchBytes - d.fresh.bytes - d.resent.bytes, d.ix.cfg.BatchDocuments - d.fresh.count - d.resent.count}
}

func (d *dispatcher) mayTakeLarge() bool { return len(d.large) > 0 && !d.largeRunning }

// send has a goroutine send a batch.
func (d *dispatcher) send(batch []part) {
	last, large, alone := d.limit.begin(), isLarge(batch[0]), batch[0].alone
	d.largeRunning = d.largeRunning || large
	d.underWay = append(d.underWay, batch)
	d.ix.running.Go(func() {
		result := d.ix.send(batch)
		result.batch, result.trip.last, result.large = batch, last, large
		// What fails by itself says nothing of the room that OpenSearch has.
		result.trip.pushback = result.trip.pushback && !alone
		select {
		case d.ix.results <- result:
		case <-d.ix.ctx.Done():
		}
	})
}

// take cuts a batch off what waits. It is empty when all of that is for indices
// that are given up.
func (d *dispatcher) take(now time.Time) []part {
	var batch []part
	switch {
	case d.mayTakeLarge():
		batch = []part{d.large[0]}
		d.large = slices.Delete(d.large, 0, 1)
	case len(d.alone) > 0:
		batch = d.alone[0]
		d.alone = slices.Delete(d.alone, 0, 1)
	default:
		left := room{d.ix.cfg.BatchBytes, d.ix.cfg.BatchDocuments}
		batch = d.resent.take(batch, room{left.bytes / 2, left.count / 2})
		batch = d.fresh.take(batch, left.without(batch))
		batch = d.resent.take(batch, left.without(batch))
	}
	if d.given > 0 {
		batch = d.divert(batch, now)
	}
	return batch
}
