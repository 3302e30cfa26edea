package fakeaws

import "math/big"

type mergeShardsInput struct {
	streamRef
	ShardToMerge         string
	AdjacentShardToMerge string
}

func (in *mergeShardsInput) shard() string { return in.ShardToMerge }

func (k *Kinesis) mergeShards(in *mergeShardsInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findOpen(in.ShardToMerge)
	if err != nil {
		return nil, err
	}
	b, err := s.findOpen(in.AdjacentShardToMerge)
	if err != nil {
		return nil, err
	}
	if !adjacent(a, b) && !adjacent(b, a) {
		return nil, failf(codeInvalidArgument, "Shards %s and %s in stream %s are not an adjacent pair of shards eligible for merging", a.id, b.id, s.name)
	}
	k.merge(s, a, b)
	return nil, nil
}

// adjacent tells whether b begins where a ends.
func adjacent(a, b *shard) bool {
	return new(big.Int).Add(a.last, big.NewInt(1)).Cmp(b.first) == 0
}

// merge replaces two adjacent shards by one. The stream's lock is held.
func (k *Kinesis) merge(s *stream, a, b *shard) {
	k.close(a)
	k.close(b)
	first, last := a.first, b.last
	if b.first.Cmp(a.first) < 0 {
		first, last = b.first, a.last
	}
	k.open(s, first, last, a, b)
}
