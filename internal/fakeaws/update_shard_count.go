package fakeaws

type updateShardCountInput struct {
	streamRef
	TargetShardCount *int
	ScalingType      string
}

// updateShardCount creates shards of equal size by splits and merges, with short-lived
// intermediate shards, like the service:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html
func (k *Kinesis) updateShardCount(in *updateShardCountInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	switch {
	case in.TargetShardCount == nil:
		return nil, missing("targetShardCount")
	case in.ScalingType != "UNIFORM_SCALING":
		return nil, failf(codeValidation, "scalingType must be UNIFORM_SCALING, it is %q", in.ScalingType)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, current := *in.TargetShardCount, len(s.open)
	switch {
	case target < 1:
		return nil, failf(codeValidation, "targetShardCount must be at least 1, it is %d", target)
	case target > maxShards:
		return nil, failf(codeLimit, "%d shards exceed the shard limit of %d for account %s.", target, maxShards, account)
	case target > 2*current:
		return nil, failf(codeInvalidArgument, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d Target shard count: %d", current, target)
	case 2*target < current:
		return nil, failf(codeInvalidArgument, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d Target shard count: %d", current, target)
	}
	k.scale(s, target)
	return map[string]any{
		"StreamName": s.name, "StreamARN": k.arn(s.name), "CurrentShardCount": current, "TargetShardCount": target,
	}, nil
}

// scale splits shards where one of n equal parts begins, then merges the shards within each
// part. The stream's lock must be held.
func (k *Kinesis) scale(s *stream, n int) {
	for i := 1; i < n; i++ {
		at := uniformStart(i, n)
		if sh := s.forKey(at); sh.first.Cmp(at) != 0 {
			k.split(s, sh, at)
		}
	}
	for i := range n {
		sh := s.open[i]
		for i+1 < len(s.open) && (i+1 == n || s.open[i+1].first.Cmp(uniformStart(i+1, n)) < 0) {
			sh = k.merge(s, sh, s.open[i+1])
		}
	}
}
