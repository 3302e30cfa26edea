package fakeaws

import (
	"math/big"
	"regexp"
)

type createStreamInput struct {
	StreamName string
	ShardCount *int
}

const (
	// maxShards is the maximum per stream; the service's quota is per account.
	maxShards = 10_000
	// onDemandShards is the default number of shards.
	onDemandShards = 4
)

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

func (k *Kinesis) createStream(in *createStreamInput) (any, error) {
	shards := onDemandShards
	if in.ShardCount != nil {
		shards = *in.ShardCount
	}
	switch {
	case in.StreamName == "":
		return nil, missing("streamName")
	case !streamName.MatchString(in.StreamName):
		return nil, failf(codeValidation, "streamName %q must match %s", in.StreamName, streamName)
	case shards < 1:
		return nil, failf(codeValidation, "shardCount must be at least 1, it is %d", shards)
	case shards > maxShards:
		return nil, failf(codeLimit, "%d shards exceed the shard limit of %d for account %s.", shards, maxShards, account)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.streams[in.StreamName] != nil {
		return nil, failf(codeInUse, "Stream %s under account %s already exists.", in.StreamName, account)
	}
	s := &stream{name: in.StreamName, created: k.now()}
	k.numbers.Add(1) // iterators of a deleted stream with this name are before its shards
	for i := range shards {
		last := maxHashKey
		if i+1 < shards {
			last = new(big.Int).Sub(uniformStart(i+1, shards), one)
		}
		k.add(s, uniformStart(i, shards), last)
	}
	k.streams[in.StreamName] = s
	return nil, nil
}
