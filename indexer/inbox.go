package indexer

import (
	"math"
	"sync"
	"time"
)

// inbox is what callers have put in and the dispatcher has not taken up yet. It
// wakes the dispatcher only when there is enough for it to act upon: waking it for
// each record would be a good part of a record's cost.
type inbox struct {
	bell chan struct{} // rung when there is enough

	mu     sync.Mutex
	parts  []part
	times  []time.Time // when each came in
	amount amount
	enough amount // for the dispatcher
}

// amount is of documents.
type amount struct{ bytes, count int }

// Amounts that the dispatcher waits for.
var (
	anything = amount{}
	never    = amount{math.MaxInt, math.MaxInt}
)

func (a amount) reaches(other amount) bool { return a.bytes >= other.bytes || a.count >= other.count }

func newInbox() *inbox { return &inbox{bell: make(chan struct{}, 1)} }

// put adds a part.
func (b *inbox) put(p part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts, b.times = append(b.parts, p), append(b.times, time.Now())
	b.amount.bytes += p.size()
	b.amount.count += p.to - p.from
	if b.amount.reaches(b.enough) || isLarge(p) {
		b.ring()
	}
}

func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// take empties it into the dispatcher's queue.
func (b *inbox) take(enqueue func(part, time.Time)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, p := range b.parts {
		enqueue(p, b.times[i])
	}
	clear(b.parts) // else it keeps their documents in memory
	b.parts, b.times, b.amount = b.parts[:0], b.times[:0], amount{}
}

// wait has the bell ring when so much is there, at once if it is.
func (b *inbox) wait(enough amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enough = enough
	if len(b.parts) > 0 && b.amount.reaches(enough) {
		b.ring()
	}
}
