package indexer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// budget limits the memory of documents without an outcome in the whole process, and
// divides it among the shards. A shard that is far behind, or whose documents wait for an
// index, leaves room for the others.
type budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	waiting int64 // the part of used whose documents wait for their index
	shards  map[string]*account
	queue   []*reservation // waiting for room, oldest first
	paused  []*reservation // reservations of paused shards
}

// account is a shard's use of the budget.
type account struct {
	used, waiting int64
	mayReadOne    bool // the shard may read one record, although it is paused
}

// reservation waits until the shard has room or may continue.
type reservation struct {
	shard   string
	size    int64
	passed  int64 // bytes granted to younger reservations before this one
	granted chan struct{}
}

// Shares of the budget, as divisors of its limit.
const (
	// firstComeShare is for documents that do not wait for their index. Any shard may use it,
	// whatever other shards need.
	firstComeShare = 2
	// Above waitingShare, waiting documents pause their shards. Above sheddingShare, they
	// are dropped and read again later: each shard adds one record before it is paused,
	// and there can be many shards.
	waitingShare  = 4
	sheddingShare = 2
	// guaranteedShare is reserved for shards without waiting documents.
	guaranteedShare = 8
)

func newBudget(limit int64) *budget {
	return &budget{limit: limit, shards: make(map[string]*account)}
}

// waitingLimit returns how many bytes of documents may wait for their indices.
func (b *budget) waitingLimit() int64 { return b.limit / waitingShare }

// reserve waits until a shard has room for documents of size bytes, and returns the
// number of bytes reserved. That is at least 1, and at most the limit minus the waiting
// limit: otherwise a larger document would never be admitted. It returns 0 when ctx ends
// first.
func (b *budget) reserve(ctx context.Context, shard string, size int64) int64 {
	if ctx.Err() != nil {
		return 0
	}
	r := &reservation{shard: shard, size: max(min(size, b.limit-b.waitingLimit()), 1), granted: make(chan struct{})}
	b.mu.Lock()
	if a := b.shards[shard]; a != nil {
		a.mayReadOne = false
	}
	b.queue = append(b.queue, r)
	b.grantLocked()
	b.mu.Unlock()
	if b.await(ctx, r) {
		return r.size
	}
	return 0
}

// await waits for a reservation and reports whether it was granted.
func (b *budget) await(ctx context.Context, r *reservation) bool {
	select {
	case <-r.granted:
		return true
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-r.granted:
		return true
	default:
	}
	same := func(o *reservation) bool { return o == r }
	b.queue, b.paused = slices.DeleteFunc(b.queue, same), slices.DeleteFunc(b.paused, same)
	b.grantLocked() // it may have kept others waiting
	return false
}

// grantLocked grants reservations that fit, oldest first. A younger one may overtake
// older ones that do not fit, but not indefinitely.
func (b *budget) grantLocked() {
	var older []*reservation
	share, unblocked := b.shareLocked(), b.unblockedLocked()
	for _, r := range b.queue {
		if b.starvesLocked(older) || !b.fitsLocked(r, share, unblocked) {
			older = append(older, r)
			continue
		}
		if a := b.addLocked(r.shard, r.size); a.waiting == 0 {
			unblocked += r.size
		}
		for _, o := range older {
			o.passed += r.size
		}
		close(r.granted)
	}
	b.queue = older
}

// starvesLocked reports whether one of the older reservations was overtaken by more bytes
// than the limit. It ignores reservations that do not fit next to the documents waiting
// for an index: keeping others out would not admit them.
func (b *budget) starvesLocked(older []*reservation) bool {
	waiting := b.waiting + b.waiting/3 // sets that were not compacted take up to a third more than their documents
	return slices.ContainsFunc(older, func(r *reservation) bool { return r.passed > b.limit && waiting+r.size <= b.limit })
}

// fitsLocked reports whether a reservation can be granted. Any shard gets room while
// documents that do not wait for indices take at most half of the limit. Beyond that, a
// shard may use its share of the limit, or one reservation. An eighth of the limit is kept
// for shards without waiting documents, which use unblocked bytes at present. A paused shard
// is in the middle of a record and occupies a decoder that others need, so it may finish;
// at most as many shards as decoders do so.
func (b *budget) fitsLocked(r *reservation, share, unblocked int64) bool {
	mine, waits := b.usedByLocked(r.shard)
	switch {
	case b.isPausedLocked(r.shard):
		return true
	case !waits && unblocked+r.size <= b.limit/guaranteedShare:
		return true
	case b.used+r.size > b.limit:
		return false
	}
	return b.used-b.waiting+r.size <= b.limit/firstComeShare || mine == 0 || mine+r.size <= share
}

// unblockedLocked returns how many bytes are used by shards without waiting documents.
func (b *budget) unblockedLocked() int64 {
	n := int64(0)
	for _, a := range b.shards {
		if a.waiting == 0 {
			n += a.used
		}
	}
	return n
}

func (b *budget) usedByLocked(shard string) (used int64, waits bool) {
	if a := b.shards[shard]; a != nil {
		return a.used, a.waiting > 0
	}
	return 0, false
}

// shareLocked returns the limit divided by the number of shards that use the budget or
// wait for room.
func (b *budget) shareLocked() int64 {
	n := len(b.shards)
	for _, r := range b.queue {
		if b.shards[r.shard] == nil {
			n++
		}
	}
	return b.limit / int64(max(n, 1))
}

func (b *budget) addLocked(shard string, size int64) *account {
	b.used += size
	a := b.shards[shard]
	if a == nil {
		a = &account{}
		b.shards[shard] = a
	}
	a.used += size
	return a
}

// add adds bytes to a shard's use without waiting, or releases them if size is negative.
func (b *budget) add(shard string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.addLocked(shard, size)
	if a.used == 0 && a.waiting == 0 {
		delete(b.shards, shard)
	}
	b.grantLocked()
	b.resumeLocked()
}

// addWaiting counts bytes of a shard as waiting for their index, or no longer if size is
// negative.
func (b *budget) addWaiting(shard string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.addLocked(shard, 0)
	a.waiting += size
	b.waiting += size
	if a.used == 0 && a.waiting == 0 {
		delete(b.shards, shard)
	}
	b.grantLocked()
	b.resumeLocked()
}

// maxPause is the longest time a paused shard waits for its next record while at most
// half of the limit waits for indices. Without reading a record now and then, the shard
// would not notice that most documents are accepted again.
const maxPause = 10 * time.Second

// waitWhilePaused waits while a shard is paused. It reports false when ctx ends first. A shard is
// paused while the waiting documents of all shards exceed their part of the limit and its
// own exceed its share of that part.
func (b *budget) waitWhilePaused(ctx context.Context, shard string) bool {
	for ctx.Err() == nil {
		r := b.pause(shard)
		if r == nil {
			return true
		}
		limited, cancel := context.WithTimeout(ctx, maxPause)
		resumed := b.await(limited, r)
		cancel()
		if resumed || ctx.Err() == nil && b.allowOne(shard) {
			return true
		}
	}
	return false
}

// pause registers that a shard waits for its next record. It returns nil if the shard is
// not paused.
func (b *budget) pause(shard string) *reservation {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isPausedLocked(shard) {
		return nil
	}
	r := &reservation{shard: shard, granted: make(chan struct{})}
	b.paused = append(b.paused, r)
	return r
}

// allowOne lets a paused shard read one record, and reports whether it may.
func (b *budget) allowOne(shard string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.shards[shard]
	if a != nil {
		a.mayReadOne = b.waiting <= b.limit/firstComeShare
	}
	return a == nil || a.mayReadOne
}

func (b *budget) isPausedLocked(shard string) bool {
	a := b.shards[shard]
	return a != nil && !a.mayReadOne && b.waiting > b.waitingLimit() && a.waiting*int64(len(b.shards)) > b.waitingLimit()
}

func (b *budget) resumeLocked() {
	b.paused = slices.DeleteFunc(b.paused, func(r *reservation) bool {
		paused := b.isPausedLocked(r.shard)
		if !paused {
			close(r.granted)
		}
		return !paused
	})
}

// isPaused reports whether a shard is paused.
func (b *budget) isPaused(shard string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isPausedLocked(shard)
}

// toShed returns the shards whose documents must be dropped because waiting documents
// take too much memory: those with the most, until the rest is within the waiting limit.
func (b *budget) toShed() (shards []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.waiting
	if waiting <= b.limit/sheddingShare {
		return nil
	}
	all := slices.Collect(maps.Keys(b.shards))
	slices.SortFunc(all, func(x, y string) int {
		return cmp.Or(cmp.Compare(b.shards[y].waiting, b.shards[x].waiting), cmp.Compare(x, y))
	})
	for _, shard := range all {
		if waiting <= b.waitingLimit() {
			break
		}
		waiting -= b.shards[shard].waiting
		shards = append(shards, shard)
	}
	return shards
}

// state returns the bytes used, the bytes waiting for indices, and the paused shards,
// sorted.
func (b *budget) state() (used, waiting int64, paused []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for shard := range b.shards {
		if b.isPausedLocked(shard) {
			paused = append(paused, shard)
		}
	}
	slices.Sort(paused)
	return b.used, b.waiting, paused
}
