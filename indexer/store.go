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
	// Put writes JSON lines under a name that is unique to them, so a repeated call overwrites. at
	// is when the oldest record arrived. It returns when they are stored or the write has failed.
	Put(ctx context.Context, at time.Time, name string, lines []byte) error
}

// storing holds dead letters to be written to the store.
type storing struct {
	parts    []*delayedPart
	running  bool
	attempts int // consecutive failures
	due      time.Time
}

// Bounds of one object in the store.
const (
	storeLetters = 1000
	storeBytes   = 8 << 20
	storeTimeout = time.Minute
)

// storeDue returns when the next dead letters may be written to the store. ok reports
// whether there are any and no write is running.
func (d *dispatcher) storeDue() (at time.Time, ok bool) {
	s := &d.storing
	return s.due, len(s.parts) > 0 && !s.running
}

// store writes dead letters to the store in a new goroutine.
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
	for i, dp := range s.parts[:n] {
		batch[i] = dp.resume()
	}
	s.parts = slices.Delete(s.parts, 0, n)
	s.running = true
	d.underWay = append(d.underWay, batch)
	d.ix.running.Go(func() {
		result := result{batch: batch, stored: true, outcomes: d.ix.putIntoStore(batch)}
		select {
		case d.ix.results <- result:
		case <-d.ix.ctx.Done():
		}
	})
}

// storeLater schedules a dead letter for the store.
func (d *dispatcher) storeLater(p part) {
	d.storing.parts = append(d.storing.parts, delay(p))
	d.compact(p.docs)
}

// putIntoStore writes dead letters as JSON lines, each with its _id.
func (ix *Indexer) putIntoStore(batch []part) []partOutcome {
	var lines []byte
	at := batch[0].docs.source.Arrived
	for _, p := range batch {
		id, l, payload := ix.letterOf(p)
		lines = l.AppendLine(lines, id, payload, p.fallback.keep)
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
		ix.storeLog.error(ix.cfg.Log, err, "dead letters could not be written to DEAD_LETTER_URL, retrying")
	} else {
		ix.metrics.stored.Add(float64(len(batch)))
		ix.metrics.deadLetters.Add(float64(len(batch)))
	}
	outcomes := make([]partOutcome, len(batch))
	for i, p := range batch {
		outcomes[i] = partOutcome{part: p, outcome: how, index: deadletter.Index(ix.cfg.Prefix)}
	}
	return outcomes
}

// handleStoreResult applies the result of a write to the store.
func (d *dispatcher) handleStoreResult(r result) {
	s, now := &d.storing, time.Now()
	s.running = false
	failed := 0
	for _, o := range r.outcomes {
		p := o.part
		switch {
		case o.outcome.isAccepted():
			d.finish(p)
		case d.dropIfCanceled(p):
		default:
			failed++
			if t := d.targets[o.index]; t == nil || !t.givenUp || t.probing == 0 && !t.probeDue.After(now) {
				d.enqueueAgain([]part{p}, now) // divert makes the first one a probe, and returns the others to the store
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
