package indexer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"logsluice/indexer/deadletter"
)

// Store keeps dead letters that their index refuses.
type Store interface {
	Put(ctx context.Context, at time.Time, name string, lines []byte) error
}

// storing are dead letters on their way to the store.
type storing struct {
	parts    []*held
	running  bool
	attempts int // that failed, one after the other
	due      time.Time
}

// Bounds on what goes into one object of the store.
const (
	storeLetters = 1000
	storeBytes   = 8 << 20
	storeTimeout = time.Minute
)

// storeDue is when the next dead letters may go to the store.
func (d *dispatcher) storeDue() (at time.Time, ok bool) {
	s := &d.storing
	return s.due, len(s.parts) > 0 && !s.running
}

// store has a goroutine put dead letters into the store.
func (d *dispatcher) store(now time.Time) {
	s := &d.storing
	if due, ok := d.storeDue(); !ok || due.After(now) {
		return
	}
	n, size := 0, 0
	for n < len(s.parts) && n < storeLetters && (n == 0 || size+s.parts[n].size() <= storeBytes) {
		size += s.parts[n].size()
		n++
	}
	batch := make([]part, n)
	for i, h := range s.parts[:n] {
		batch[i] = h.leave()
	}
	s.parts = slices.Delete(s.parts, 0, n)
	s.running = true
	d.underWay = append(d.underWay, batch)
	d.ix.running.Go(func() {
		result := result{batch: batch, stored: true, verdicts: d.ix.putIntoStore(batch)}
		select {
		case d.ix.results <- result:
		case <-d.ix.ctx.Done():
		}
	})
}

// storeLater has a dead letter go to the store.
func (d *dispatcher) storeLater(p part) {
	d.storing.parts = append(d.storing.parts, rest(p))
	d.compact(p.docs)
}

// putIntoStore writes dead letters as lines of JSON, each with its _id.
func (ix *Indexer) putIntoStore(batch []part) []verdict {
	var lines []byte
	at := batch[0].docs.source.Arrived
	for _, p := range batch {
		id, source := ix.letterSource(p)
		lines = deadletter.AppendLine(lines, id, source)
		if arrived := p.docs.source.Arrived; arrived.Before(at) {
			at = arrived
		}
	}
	ctx, cancel := context.WithTimeout(ix.ctx, storeTimeout)
	defer cancel()
	sum := sha256.Sum256(lines)
	err := ix.cfg.Store.Put(ctx, at, hex.EncodeToString(sum[:16]), lines)
	how := indexed
	if err != nil {
		how = unanswered
		ix.storeLog.error(ix.cfg.Log, err, "dead letters that their index refuses cannot be stored; trying again")
	} else {
		ix.metrics.stored.Add(float64(len(batch)))
		ix.metrics.deadLetters.Add(float64(len(batch)))
	}
	verdicts := make([]verdict, len(batch))
	for i, p := range batch {
		verdicts[i] = verdict{part: p, outcome: how, index: deadletter.Index(ix.cfg.Prefix)}
	}
	return verdicts
}

// endStore takes in what became of dead letters for the store.
func (d *dispatcher) endStore(r result) {
	s, now := &d.storing, time.Now()
	s.running = false
	failed := 0
	for _, v := range r.verdicts {
		p := v.part
		switch {
		case v.outcome.isAccepted():
			d.finish(p)
		case d.dropIfForsaken(p):
		default:
			failed++
			if t := d.targets[v.index]; t == nil || !t.givenUp || t.probing == 0 && !t.probeDue.After(now) {
				d.enqueueAgain([]part{p}, now) // divert makes the first one a probe, and brings the others back
				continue
			}
			d.storeLater(p)
		}
	}
	if s.attempts++; failed == 0 {
		s.attempts = 0
		s.due = now
		return
	}
	s.due = now.Add(d.ix.cfg.backoff(s.attempts))
}
