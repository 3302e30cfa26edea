package fakeaws

import (
	"crypto/md5"
	"fmt"
	"math/big"
	"sort"
	"sync"
	"time"
)

// stream is a data stream. Its shards stay listed when they are closed.
type stream struct {
	name    string
	created time.Time

	mu     sync.RWMutex
	shards []*shard // by id
}

// shard is a range of hash keys with its records.
type shard struct {
	id                    string
	first, last           *big.Int // hash keys
	parent, adjacent      string
	startNumber           string
	endNumber             string // "" while it is open; the stream's lock guards it
	children              []*shard
	mu                    sync.Mutex
	records               []record
	calls                 []time.Time // of GetRecords within the last second
	readBytes             int         // within the second that began at windowStart
	windowStart, pausedTo time.Time
}

// record is kept as the JSON that GetRecords sends.
type record struct {
	number  uint64
	arrived int64 // milliseconds since the epoch
	size    int   // bytes of data
	json    []byte
}

var maxHashKey = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

// open adds an open shard. The stream's lock is held.
func (k *Kinesis) open(s *stream, first, last *big.Int, parents ...*shard) *shard {
	sh := &shard{
		id:          fmt.Sprintf("shardId-%012d", len(s.shards)),
		first:       first,
		last:        last,
		startNumber: sequenceNumber(k.numbers.Add(1)),
	}
	for i, p := range parents {
		if i == 0 {
			sh.parent = p.id
		} else {
			sh.adjacent = p.id
		}
		p.children = append(p.children, sh)
	}
	s.shards = append(s.shards, sh)
	return sh
}

// close ends a shard. The stream's lock is held, so that no put is under way.
func (k *Kinesis) close(sh *shard) { sh.endNumber = sequenceNumber(k.numbers.Add(1)) }

func (sh *shard) isOpen() bool { return sh.endNumber == "" }

// uniform opens n shards over the whole range of hash keys.
func (k *Kinesis) uniform(s *stream, n int) {
	size := new(big.Int).Div(new(big.Int).Add(maxHashKey, big.NewInt(1)), big.NewInt(int64(n)))
	for i := range n {
		first := new(big.Int).Mul(size, big.NewInt(int64(i)))
		last := new(big.Int).Sub(new(big.Int).Add(first, size), big.NewInt(1))
		if i == n-1 {
			last = maxHashKey
		}
		k.open(s, first, last)
	}
}

// openShards are the open shards by their hash keys. The stream's lock is held.
func (s *stream) openShards() []*shard {
	var open []*shard
	for _, sh := range s.shards {
		if sh.isOpen() {
			open = append(open, sh)
		}
	}
	sort.Slice(open, func(i, j int) bool { return open[i].first.Cmp(open[j].first) < 0 })
	return open
}

// find returns a shard by its id. The stream's lock is held.
func (s *stream) find(id string) (*shard, error) {
	for _, sh := range s.shards {
		if sh.id == id {
			return sh, nil
		}
	}
	return nil, failf(codeNotFound, "Shard %s in stream %s under account 000000000000 does not exist", id, s.name)
}

// findOpen returns an open shard by its id. The stream's lock is held.
func (s *stream) findOpen(id string) (*shard, error) {
	sh, err := s.find(id)
	if err == nil && !sh.isOpen() {
		return nil, failf(codeInvalidArgument, "Shard %s in stream %s is not open", id, s.name)
	}
	return sh, err
}

// hashKey is the key that a partition key maps to: its MD5 as a number.
func hashKey(partitionKey string) *big.Int {
	sum := md5.Sum([]byte(partitionKey))
	return new(big.Int).SetBytes(sum[:])
}

// parseHashKey reads a hash key.
func parseHashKey(s string) (*big.Int, error) {
	key, ok := new(big.Int).SetString(s, 10)
	if !ok || key.Sign() < 0 || key.Cmp(maxHashKey) > 0 {
		return nil, failf(codeInvalidArgument, "%q is not a hash key: give a number from 0 to 2^128-1", s)
	}
	return key, nil
}

// forKey finds the open shard of a hash key. The stream's lock is held.
func (s *stream) forKey(key *big.Int) *shard {
	for _, sh := range s.shards {
		if sh.isOpen() && sh.first.Cmp(key) <= 0 && key.Cmp(sh.last) <= 0 {
			return sh
		}
	}
	return nil
}
