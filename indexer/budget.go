package indexer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// budget bounds the bytes of documents without an outcome, for the whole process,
// and shares them among the shards: one that is far behind, or whose documents
// wait for an index, leaves room for the others.
type budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	waiting int64 // of used: documents that wait for their index
	shards  map[string]*account
	queue   []*reservation // that wait for room, oldest first
	paused  []*reservation // whose shards are paused
}

// account is what a shard has of the budget.
type account struct {
	used, waiting int64
	looks         bool // it may take a record, though it is paused
}

// reservation waits until there is room for a shard, or until it may go on.
type reservation struct {
	shard  string
	size   int64
	passed int64 // bytes that younger ones were given before it
	given  chan struct{}
}

// Shares of the budget, as parts of its limit.
const (
	// flowing is the part that documents which do not wait for their index may
	// take whatever the other shards need.
	flowing = 2
	// waitingShare is the part at which waiting documents pause their shards, and
	// sheddingShare that at which they are dropped and read again later: each shard
	// adds a record before it is paused, and there can be many.
	waitingShare  = 4
	sheddingShare = 2
	// guaranteed is the part that shards without waiting documents have in any case.
	guaranteed = 8
)

func newBudget(limit int64) *budget {
	return &budget{limit: limit, shards: make(map[string]*account)}
}

// waitingLimit is how many bytes of documents may wait for their indices.
func (b *budget) waitingLimit() int64 { return b.limit / waitingShare }

// reserve waits until there is room for a shard's documents of size bytes, and
// returns how many count, at least 1 and at most the limit without what may wait
// for indices: a larger document would otherwise never be let in. It returns 0 when
// ctx ends first.
func (b *budget) reserve(ctx context.Context, shard string, size int64) int64 {
	if ctx.Err() != nil {
		return 0
	}
	r := &reservation{shard: shard, size: max(min(size, b.limit-b.waitingLimit()), 1), given: make(chan struct{})}
	b.mu.Lock()
	if a := b.shards[shard]; a != nil {
		a.looks = false
	}
	b.queue = append(b.queue, r)
	b.grantLocked()
	b.mu.Unlock()
	if b.await(ctx, r) {
		return r.size
	}
	return 0
}

// await waits for a reservation and reports whether it was given.
func (b *budget) await(ctx context.Context, r *reservation) bool {
	select {
	case <-r.given:
		return true
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-r.given:
		return true
	default:
	}
	other := func(o *reservation) bool { return o == r }
	b.queue, b.paused = slices.DeleteFunc(b.queue, other), slices.DeleteFunc(b.paused, other)
	b.grantLocked() // it may have been in the way of others
	return false
}

// grantLocked gives room to those that wait, oldest first. A younger one may pass
// those that do not fit, but not for ever.
func (b *budget) grantLocked() {
	var older []*reservation
	share, healthy := b.shareLocked(), b.healthyLocked()
	for _, r := range b.queue {
		if b.heldUpLocked(older) || !b.fitsLocked(r, share, healthy) {
			older = append(older, r)
			continue
		}
		if a := b.addLocked(r.shard, r.size); a.waiting == 0 {
			healthy += r.size
		}
		for _, o := range older {
			o.passed += r.size
		}
		close(r.given)
	}
	b.queue = older
}

// heldUpLocked reports whether one of those that wait has been passed by enough
// bytes. One that does not fit next to what waits for an index is not brought in by
// keeping others out.
func (b *budget) heldUpLocked(older []*reservation) bool {
	waiting := b.waiting + b.waiting/3 // sets that are not moved have up to so much more than their documents
	return slices.ContainsFunc(older, func(r *reservation) bool { return r.passed > b.limit && waiting+r.size <= b.limit })
}

// fitsLocked reports whether there is room: half of the limit is for any shard,
// and beyond that each has its share of the limit, or room for one reservation. An
// eighth is for shards without waiting documents, healthy bytes of which are used. A
// shard that is paused is in the middle of a record and holds a decoder that others
// need, so it may finish; as many do so as there are decoders.
func (b *budget) fitsLocked(r *reservation, share, healthy int64) bool {
	mine, waits := b.usedByLocked(r.shard)
	switch {
	case b.isPausedLocked(r.shard):
		return true
	case !waits && healthy+r.size <= b.limit/guaranteed:
		return true
	case b.used+r.size > b.limit:
		return false
	}
	return b.used-b.waiting+r.size <= b.limit/flowing || mine == 0 || mine+r.size <= share
}

// healthyLocked is how many bytes the shards use that have no waiting documents.
func (b *budget) healthyLocked() int64 {
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

// shareLocked is the limit divided by the shards that have something or wait for
// room.
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

// add takes bytes of a shard without asking, or releases them if size is below 0.
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

// wait counts bytes of a shard as waiting for their index, or no longer if size is
// below 0.
func (b *budget) wait(shard string, size int64) {
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

// pausedFor is how long a paused shard waits at most for its next record, while
// half of the limit or less waits for indices. Without a look at what comes in, it
// would never show that most of it is accepted by now.
const pausedFor = 10 * time.Second

// begin waits while a shard is paused, and reports false when ctx ends first. A
// shard is paused while the documents of all shards that wait for their indices
// exceed their part of the limit and its own exceed its share of that.
func (b *budget) begin(ctx context.Context, shard string) bool {
	for ctx.Err() == nil {
		r := b.pause(shard)
		if r == nil {
			return true
		}
		limited, cancel := context.WithTimeout(ctx, pausedFor)
		resumed := b.await(limited, r)
		cancel()
		if resumed || ctx.Err() == nil && b.look(shard) {
			return true
		}
	}
	return false
}

// pause notes that a shard waits for its next record, nil if it need not.
func (b *budget) pause(shard string) *reservation {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isPausedLocked(shard) {
		return nil
	}
	r := &reservation{shard: shard, given: make(chan struct{})}
	b.paused = append(b.paused, r)
	return r
}

// look lets a paused shard take a record, and reports whether it may.
func (b *budget) look(shard string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.shards[shard]
	if a != nil {
		a.looks = b.waiting <= b.limit/flowing
	}
	return a == nil || a.looks
}

func (b *budget) isPausedLocked(shard string) bool {
	a := b.shards[shard]
	return a != nil && !a.looks && b.waiting > b.waitingLimit() && a.waiting*int64(len(b.shards)) > b.waitingLimit()
}

func (b *budget) resumeLocked() {
	b.paused = slices.DeleteFunc(b.paused, func(r *reservation) bool {
		paused := b.isPausedLocked(r.shard)
		if !paused {
			close(r.given)
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

// toShed are the shards whose documents are to be dropped because those that wait
// take too much: the ones with most of it, until the others take what may wait.
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

// state returns the bytes used, the bytes that wait, and the shards that are
// paused, in order.
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
