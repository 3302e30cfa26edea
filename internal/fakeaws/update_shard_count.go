package fakeaws

import "math/big"

type updateShardCountInput struct {
	streamRef
	TargetShardCount int
	ScalingType      string
}

// updateShardCount splits and merges until there are as many shards as wanted,
// as evenly as that goes: the widest is split, the narrowest neighbours are
// merged. As in the service, a shard at most doubles or halves in one call.
func (k *Kinesis) updateShardCount(in *updateShardCountInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := len(s.openShards())
	switch {
	case in.ScalingType != "UNIFORM_SCALING":
		return nil, failf(codeValidation, "ScalingType must be UNIFORM_SCALING")
	case in.TargetShardCount < 1:
		return nil, failf(codeInvalidArgument, "TargetShardCount must be at least 1")
	case in.TargetShardCount > 2*now || 2*in.TargetShardCount < now:
		return nil, failf(codeInvalidArgument, "TargetShardCount %d must be between half and double the current count of %d", in.TargetShardCount, now)
	}
	for n := now; n < in.TargetShardCount; n++ {
		sh := widest(s.openShards())
		k.split(s, sh, new(big.Int).Add(sh.first, new(big.Int).Rsh(width(sh), 1)))
	}
	for n := now; n > in.TargetShardCount; n-- {
		a, b := narrowestPair(s.openShards())
		k.merge(s, a, b)
	}
	return map[string]any{
		"StreamName": s.name, "StreamARN": arnPrefix + s.name, "CurrentShardCount": now, "TargetShardCount": in.TargetShardCount,
	}, nil
}

// width is the number of hash keys of shards next to each other.
func width(shards ...*shard) *big.Int {
	n := new(big.Int).Sub(shards[len(shards)-1].last, shards[0].first)
	return n.Add(n, big.NewInt(1))
}

func widest(shards []*shard) *shard {
	best := shards[0]
	for _, sh := range shards[1:] {
		if width(sh).Cmp(width(best)) > 0 {
			best = sh
		}
	}
	return best
}

// narrowestPair finds the two neighbours that have the fewest hash keys.
func narrowestPair(shards []*shard) (a, b *shard) {
	a, b = shards[0], shards[1]
	for i := 1; i+1 < len(shards); i++ {
		if width(shards[i], shards[i+1]).Cmp(width(a, b)) < 0 {
			a, b = shards[i], shards[i+1]
		}
	}
	return a, b
}
