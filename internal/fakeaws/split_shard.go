package fakeaws

import "math/big"

type splitShardInput struct {
	streamRef
	ShardToSplit       string
	NewStartingHashKey string
}

func (k *Kinesis) splitShard(in *splitShardInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	if in.NewStartingHashKey == "" {
		return nil, missing("newStartingHashKey")
	}
	at, err := parseHashKey("NewStartingHashKey", in.NewStartingHashKey)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, err := s.findOpen("shardToSplit", in.ShardToSplit, k.horizon())
	if err != nil {
		return nil, err
	}
	if at.Cmp(new(big.Int).Add(sh.first, one)) <= 0 || at.Cmp(sh.last) >= 0 {
		return nil, failf(codeInvalidArgument, "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.", at, sh.id, s.name, account, sh.first, sh.last)
	}
	k.split(s, sh, at)
	return nil, nil
}
