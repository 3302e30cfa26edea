package consumer

import (
	"sync"
	"time"
)

// watermark follows the records of one shard from being read to being
// acknowledged. Acknowledgements come in any order; the watermark moves when
// every earlier record is acknowledged too. While one record holds it up, what
// is acknowledged behind that takes no memory: of neighbours that are
// acknowledged the last one stands for all.
type watermark struct {
	advance     func(sequenceNumber string)
	readThrough func(time.Time) // called with the time up to which all is acknowledged; may be nil

	mu      sync.Mutex
	last    *mark         // of those not yet passed, in the order of the stream
	count   int           // marks without acknowledgement
	empty   chan struct{} // closed when there are none; nil when nobody waits
	blocked bool          // a record was read that is never passed
}

// mark is one sequence number. User records that a producer aggregated into
// one Kinesis record share it.
type mark struct {
	sequenceNumber string
	pending        int       // user records without acknowledgement
	through        time.Time // of what was read when this is passed, zero if that is not known
	abandoned      bool
	before, after  *mark
}

func newWatermark(advance func(sequenceNumber string)) *watermark {
	return &watermark{advance: advance}
}

// add follows n user records of a sequence number, which are the next in the
// stream's order.
func (w *watermark) add(sequenceNumber string, n int) *mark {
	m := &mark{sequenceNumber: sequenceNumber, pending: n}
	w.mu.Lock()
	defer w.mu.Unlock()
	m.before = w.last
	if w.last != nil {
		w.last.after = m
	}
	w.last = m
	w.count++
	return m
}

// through notes that the records added so far are all up to a time. It is passed with
// the last of them, at once if no record is waiting.
func (w *watermark) through(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.blocked:
	case w.last != nil:
		w.last.through = t
	default:
		w.notePassed(t)
	}
}

func (w *watermark) notePassed(through time.Time) {
	if w.readThrough != nil && !through.IsZero() {
		w.readThrough(through)
	}
}

// acknowledge counts one user record off its mark.
func (w *watermark) acknowledge(m *mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.pending--
	if m.abandoned || m.pending > 0 {
		return
	}
	if m.before != nil && m.before.pending == 0 {
		w.remove(m.before)
	}
	if m.after != nil && m.after.pending == 0 {
		w.remove(m)
		m = m.after
	}
	if m.before == nil {
		// Under the lock, so that two calls cannot advance in the wrong order.
		w.advance(m.sequenceNumber)
		w.notePassed(m.through)
		w.remove(m)
	}
	w.countDown()
}

// abandon gives up the newest mark, whose records were not all taken on: the
// watermark never passes it, and nobody waits for it.
func (w *watermark) abandon(m *mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.abandoned, w.blocked = true, true
	w.remove(m)
	w.countDown()
}

func (w *watermark) remove(m *mark) {
	if m.before != nil {
		m.before.after = m.after
	}
	if m.after == nil {
		w.last = m.before
	} else {
		m.after.before = m.before
	}
}

// settled counts a mark off that is acknowledged or abandoned.
func (w *watermark) countDown() {
	w.count--
	if w.count == 0 && w.empty != nil {
		close(w.empty)
		w.empty = nil
	}
}

// drained is closed when no record is waiting for its acknowledgement.
func (w *watermark) drained() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.empty == nil {
		w.empty = make(chan struct{})
	}
	empty := w.empty
	if w.count == 0 {
		close(w.empty)
		w.empty = nil
	}
	return empty
}

// pending counts the sequence numbers without acknowledgement.
func (w *watermark) pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}
