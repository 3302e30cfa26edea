package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
)

type listShardsInput struct {
	streamRef
	NextToken             string
	MaxResults            *int
	ExclusiveStartShardId string
	ShardFilter           json.RawMessage // not supported, so rejected
}

// shardsToken is where a listing continues.
type shardsToken struct {
	Stream, After string
	Issued        int64 // milliseconds since the epoch
}

const (
	maxListed     = 1_000 // shards per answer
	tokenLifetime = 300 * time.Second
)

func (k *Kinesis) listShards(in *listShardsInput) (any, error) {
	if in.ShardFilter != nil {
		return nil, failf(codeInvalidArgument, "ShardFilter is not supported by this Kinesis")
	}
	limit, err := pageSize("maxResults", in.MaxResults, maxListed)
	if err != nil {
		return nil, err
	}
	ref, after := in.streamRef, in.ExclusiveStartShardId
	if in.NextToken != "" {
		for member, value := range map[string]string{"StreamName": in.StreamName, "StreamARN": in.StreamARN, "ExclusiveStartShardId": after} {
			if value != "" {
				return nil, failf(codeInvalidArgument, "NextToken and %s cannot be provided together.", member)
			}
		}
		var token shardsToken
		raw, err := base64.StdEncoding.DecodeString(in.NextToken)
		if err != nil || json.Unmarshal(raw, &token) != nil {
			return nil, failf(codeInvalidArgument, "NextToken is not valid.")
		}
		if k.now()-token.Issued > tokenLifetime.Milliseconds() {
			return nil, failf(codeExpiredToken, "NextToken has expired: use it within %s.", tokenLifetime)
		}
		ref, after = streamRef{StreamARN: k.arn(token.Stream)}, token.After
	}
	s, err := k.stream(ref)
	if err != nil {
		return nil, err
	}
	shards, more := s.list(after, limit, k.horizon())
	result := map[string]any{"Shards": shards}
	if more {
		token, err := json.Marshal(shardsToken{Stream: s.name, After: shards[len(shards)-1].ShardId, Issued: k.now()})
		if err != nil {
			return nil, err
		}
		result["NextToken"] = base64.StdEncoding.EncodeToString(token)
	}
	return result, nil
}

// shardDescription is a shard as the service describes it:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Shard.html
type shardDescription struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashKeyRange
	SequenceNumberRange   sequenceNumberRange
}

// sequenceNumberRange has no end while the shard is open.
type sequenceNumberRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

// list describes up to limit shards after an id, including closed shards until their records
// have expired.
func (s *stream) list(after string, limit int, horizon int64) (page []shardDescription, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	page = []shardDescription{}
	first := slices.IndexFunc(s.shards, func(sh *shard) bool { return sh.id > after })
	if first < 0 {
		return page, false
	}
	for _, sh := range s.shards[first:] {
		if sh.isExpired(horizon) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, describeShard(sh))
	}
	return page, false
}

func describeShard(sh *shard) shardDescription {
	d := shardDescription{ShardId: sh.id, HashKeyRange: rangeOf(sh)}
	if len(sh.parents) > 0 {
		d.ParentShardId = sh.parents[0].id
	}
	if len(sh.parents) > 1 {
		d.AdjacentParentShardId = sh.parents[1].id
	}
	d.SequenceNumberRange.StartingSequenceNumber = sequenceNumber(sh.start)
	if !sh.isOpen() {
		d.SequenceNumberRange.EndingSequenceNumber = sequenceNumber(sh.end)
	}
	return d
}
