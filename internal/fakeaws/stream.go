package fakeaws

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
	"sync"
)

// stream is a data stream. Closed shards remain listed.
type stream struct {
	name    string
	created int64 // milliseconds since the epoch

	// mu guards the list of shards and their open state. It is read-locked while records are
	// put, so that a shard closes between puts. It is locked before the lock of a shard.
	mu     sync.RWMutex
	shards []*shard // all, including closed ones, by id
	open   []*shard // by hash key
}

// add opens a shard. The stream's lock must be held.
func (k *Kinesis) add(s *stream, first, last *big.Int, parents ...*shard) *shard {
	start := k.numbers.Add(1)
	sh := &shard{
		id:      fmt.Sprintf("shardId-%012d", len(s.shards)),
		first:   first,
		last:    last,
		parents: parents,
		start:   start,
		newest:  start,
	}
	for _, p := range parents {
		p.children = append(p.children, sh)
	}
	s.shards = append(s.shards, sh)
	s.open = append(s.open, sh)
	slices.SortFunc(s.open, func(a, b *shard) int { return a.first.Cmp(b.first) })
	return sh
}

// close closes a shard. The stream's lock must be held, so that no put is under way.
func (k *Kinesis) close(s *stream, sh *shard) {
	sh.end, sh.closed = k.numbers.Add(1), k.now()
	s.open = slices.DeleteFunc(s.open, func(o *shard) bool { return o == sh })
}

// split replaces a shard by two. The second one begins at a key. The stream's lock must be
// held.
func (k *Kinesis) split(s *stream, sh *shard, at *big.Int) {
	k.close(s, sh)
	k.add(s, sh.first, new(big.Int).Sub(at, one), sh)
	k.add(s, at, sh.last, sh)
}

// merge replaces two adjacent shards by one. The stream's lock must be held.
func (k *Kinesis) merge(s *stream, parent, adjacent *shard) *shard {
	k.close(s, parent)
	k.close(s, adjacent)
	low, high := parent, adjacent
	if low.first.Cmp(high.first) > 0 {
		low, high = high, low
	}
	return k.add(s, low.first, high.last, parent, adjacent)
}

// find returns a shard by its id, unless it is closed and its records have expired. The
// stream's lock must be held.
func (s *stream) find(id string, horizon int64) (*shard, error) {
	i, ok := slices.BinarySearchFunc(s.shards, id, func(sh *shard, id string) int { return strings.Compare(sh.id, id) })
	if !ok || s.shards[i].isExpired(horizon) {
		return nil, failf(codeNotFound, "Shard %s in stream %s under account %s does not exist", id, s.name, account)
	}
	return s.shards[i], nil
}

// findOpen returns an open shard by its id. The stream's lock must be held.
func (s *stream) findOpen(member, id string, horizon int64) (*shard, error) {
	if id == "" {
		return nil, missing(member)
	}
	sh, err := s.find(id, horizon)
	if err == nil && !sh.isOpen() {
		return nil, failf(codeInvalidArgument, "Shard %s in stream %s under account %s is not open.", id, s.name, account)
	}
	return sh, err
}

// forKey returns the open shard of a hash key. Open shards cover all keys. The stream's lock
// must be held.
func (s *stream) forKey(key *big.Int) *shard {
	return s.open[sort.Search(len(s.open)-1, func(i int) bool { return s.open[i].last.Cmp(key) >= 0 })]
}

// shardID returns the id of the open shard of a hash key.
func (s *stream) shardID(key *big.Int) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.forKey(key).id
}
