package fakeaws

type createStreamInput struct {
	StreamName string
	ShardCount *int
}

// maxShards bounds a stream; the service's quota is per account.
const maxShards = 10_000

func (k *Kinesis) createStream(in *createStreamInput) (any, error) {
	shards := 4 // as the service starts an on-demand stream
	if in.ShardCount != nil {
		shards = *in.ShardCount
	}
	switch {
	case in.StreamName == "":
		return nil, failf(codeValidation, "StreamName is missing")
	case shards < 1:
		return nil, failf(codeValidation, "ShardCount must be at least 1")
	case shards > maxShards:
		return nil, failf(codeLimit, "ShardCount is beyond the quota of %d", maxShards)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.streams[in.StreamName] != nil {
		return nil, failf(codeInUse, "Stream %s under account 000000000000 already exists.", in.StreamName)
	}
	s := &stream{name: in.StreamName, created: k.options.Clock()}
	k.uniform(s, shards)
	k.streams[in.StreamName] = s
	return nil, nil
}
