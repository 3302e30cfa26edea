package consumer

import "sync"

// watermark follows the records of one shard from being read to being
// acknowledged. Acknowledgements come in any order; the watermark moves when
// every earlier record is acknowledged too.
type watermark struct {
	advance func(sequenceNumber string)

	mu    sync.Mutex
	marks []*mark       // not yet passed, in the order of the stream
	empty chan struct{} // closed when marks gets empty; nil when nobody waits
}

// mark is one sequence number. User records that a producer aggregated into
// one Kinesis record share it.
type mark struct {
	sequenceNumber string
	pending        int // user records without acknowledgement
	abandoned      bool
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
	w.marks = append(w.marks, m)
	return m
}

// acknowledge counts one user record off its mark.
func (w *watermark) acknowledge(m *mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.pending--
	if m.abandoned {
		return
	}
	passed := 0
	for passed < len(w.marks) && w.marks[passed].pending == 0 {
		passed++
	}
	if passed > 0 {
		// Under the lock, so that two calls cannot advance in the wrong order.
		w.advance(w.marks[passed-1].sequenceNumber)
		w.drop(0, passed)
	}
}

// abandon gives up the newest mark, whose records were not all taken on: the
// watermark never passes it, and nobody waits for it.
func (w *watermark) abandon(m *mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.abandoned = true
	w.drop(len(w.marks)-1, len(w.marks))
}

func (w *watermark) drop(from, to int) {
	w.marks = append(w.marks[:from], w.marks[to:]...)
	if len(w.marks) == 0 && w.empty != nil {
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
	if len(w.marks) == 0 {
		close(w.empty)
		w.empty = nil
	}
	return empty
}

// pending counts the sequence numbers not yet passed.
func (w *watermark) pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.marks)
}
