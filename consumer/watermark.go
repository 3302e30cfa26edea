package consumer

import (
	"sync"
	"time"
)

// watermark tracks the records of one shard until they are acknowledged. Acknowledgements
// arrive in any order; the watermark advances to a record when it and all earlier records are
// acknowledged. Adjacent acknowledged marks are merged into the last one, so the memory does
// not grow while one record is pending.
type watermark struct {
	advance     func(sequenceNumber string)
	readThrough func(time.Time) // called with the time up to which all records are acknowledged; may be nil

	mu      sync.Mutex
	last    *mark         // the newest one that is not passed yet, in the stream's order
	count   int           // pending marks
	empty   chan struct{} // closed when count becomes 0; nil when nobody waits
	blocked bool          // a mark was abandoned: the watermark no longer advances past it
}

// mark is one sequence number. The user records of an aggregate share it.
type mark struct {
	sequenceNumber string
	pending        int       // user records that are not acknowledged
	through        time.Time // the shard is read up to this time when the mark is passed, zero if unknown
	abandoned      bool
	before, after  *mark
}

func newWatermark(advance func(sequenceNumber string)) *watermark {
	return &watermark{advance: advance}
}

// add adds a mark for n user records with one sequence number. Marks are added in the
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

// through records that all records up to a time were added. The time is passed together with
// the last of them, or at once if none is pending.
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

// acknowledge acknowledges one user record of a mark.
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
		// This is done with the lock held, so that two calls cannot advance in the wrong order.
		w.advance(m.sequenceNumber)
		w.notePassed(m.through)
		w.remove(m)
	}
	w.countDown()
}

// abandon abandons the newest mark because not all of its records were accepted. The
// watermark never passes it, and drained does not wait for it.
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

// countDown counts a mark that is acknowledged or abandoned.
func (w *watermark) countDown() {
	w.count--
	if w.count == 0 && w.empty != nil {
		close(w.empty)
		w.empty = nil
	}
}

// drained returns a channel that is closed when no mark is pending.
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

// pending returns the number of pending marks.
func (w *watermark) pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}
