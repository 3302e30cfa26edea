package fakeaws

import "math/big"

type mergeShardsInput struct {
	streamRef
	ShardToMerge         string
	AdjacentShardToMerge string
}

func (k *Kinesis) mergeShards(in *mergeShardsInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.findOpen("shardToMerge", in.ShardToMerge, k.horizon())
	if err != nil {
		return nil, err
	}
	b, err := s.findOpen("adjacentShardToMerge", in.AdjacentShardToMerge, k.horizon())
	if err != nil {
		return nil, err
	}
	if !follows(a, b) && !follows(b, a) {
		return nil, failf(codeInvalidArgument, "Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", a.id, b.id, s.name, account)
	}
	k.merge(s, a, b)
	return nil, nil
}

// follows reports whether b begins where a ends.
func follows(a, b *shard) bool { return new(big.Int).Add(a.last, one).Cmp(b.first) == 0 }
