package indexer

import (
	"math"
	"sync"
	"time"
)

// inbox holds parts that the dispatcher has not fetched yet. It wakes the dispatcher only
// when there is enough to act on: waking it for each record would be a considerable part
// of a record's cost.
type inbox struct {
	wakeup chan struct{} // signaled when the threshold is reached

	mu     sync.Mutex
	parts  []part
	times  []time.Time // when each arrived
	amount amount
	enough amount // at which the dispatcher is woken
}

// amount is a size and a number of documents.
type amount struct{ bytes, count int }

// Thresholds of the dispatcher.
var (
	anything = amount{}
	never    = amount{math.MaxInt, math.MaxInt}
)

func (a amount) reaches(other amount) bool { return a.bytes >= other.bytes || a.count >= other.count }

func newInbox() *inbox { return &inbox{wakeup: make(chan struct{}, 1)} }

// put adds a part.
func (b *inbox) put(p part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts, b.times = append(b.parts, p), append(b.times, time.Now())
	b.amount.bytes += p.size()
	b.amount.count += p.to - p.from
	if b.amount.reaches(b.enough) || isLarge(p) {
		b.signal()
	}
}

func (b *inbox) signal() {
	select {
	case b.wakeup <- struct{}{}:
	default:
	}
}

// drain passes all parts to the dispatcher's queue.
func (b *inbox) drain(enqueue func(part, time.Time)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, p := range b.parts {
		enqueue(p, b.times[i])
	}
	clear(b.parts) // otherwise it keeps their documents in memory
	b.parts, b.times, b.amount = b.parts[:0], b.times[:0], amount{}
}

// wakeAt wakes the dispatcher when the inbox reaches a threshold, at once if it has.
func (b *inbox) wakeAt(enough amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enough = enough
	if len(b.parts) > 0 && b.amount.reaches(enough) {
		b.signal()
	}
}
