package fakeaws

import "math/big"

type splitShardInput struct {
	streamRef
	ShardToSplit       string
	NewStartingHashKey string
}

func (in *splitShardInput) shard() string { return in.ShardToSplit }

func (k *Kinesis) splitShard(in *splitShardInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	at, err := parseHashKey(in.NewStartingHashKey)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, err := s.findOpen(in.ShardToSplit)
	if err != nil {
		return nil, err
	}
	if at.Cmp(sh.first) <= 0 || at.Cmp(sh.last) > 0 {
		return nil, failf(codeInvalidArgument, "NewStartingHashKey %s is not within the hash keys of %s behind its first", at, sh.id)
	}
	k.split(s, sh, at)
	return nil, nil
}

// split replaces a shard by two, the second of which begins at a key. The
// stream's lock is held.
func (k *Kinesis) split(s *stream, sh *shard, at *big.Int) {
	k.close(sh)
	k.open(s, sh.first, new(big.Int).Sub(at, big.NewInt(1)), sh)
	k.open(s, at, sh.last, sh)
}
