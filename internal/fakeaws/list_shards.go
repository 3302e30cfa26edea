package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
)

type listShardsInput struct {
	streamRef
	NextToken             string
	MaxResults            *int
	ExclusiveStartShardId string
}

// shardsToken is where a listing goes on.
type shardsToken struct{ Stream, After string }

// Bounds of a page.
const (
	defaultListed = 1_000
	maxListed     = 10_000
)

func (k *Kinesis) listShards(in *listShardsInput) (any, error) {
	ref, after := in.streamRef, in.ExclusiveStartShardId
	if in.NextToken != "" {
		if in.StreamName != "" || after != "" {
			return nil, failf(codeInvalidArgument, "NextToken and StreamName cannot be provided together.")
		}
		var token shardsToken
		raw, err := base64.StdEncoding.DecodeString(in.NextToken)
		if err != nil || json.Unmarshal(raw, &token) != nil {
			return nil, failf(codeInvalidArgument, "NextToken is not valid")
		}
		ref, after = streamRef{StreamName: token.Stream}, token.After
	}
	limit := defaultListed
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > maxListed {
		return nil, failf(codeValidation, "MaxResults must be from 1 to %d", maxListed)
	}
	s, err := k.stream(ref)
	if err != nil {
		return nil, err
	}
	shards, more := s.list(after, limit)
	answer := map[string]any{"Shards": shards}
	if more {
		token, _ := json.Marshal(shardsToken{Stream: s.name, After: shards[len(shards)-1].ShardId})
		answer["NextToken"] = base64.StdEncoding.EncodeToString(token)
	}
	return answer, nil
}

// shardDescription is a shard as the service describes it.
type shardDescription struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashKeyRange
	SequenceNumberRange   struct {
		StartingSequenceNumber string
		EndingSequenceNumber   string `json:",omitempty"`
	}
}

type hashKeyRange struct{ StartingHashKey, EndingHashKey string }

func rangeOf(first, last *big.Int) hashKeyRange {
	return hashKeyRange{StartingHashKey: first.String(), EndingHashKey: last.String()}
}

// list describes up to limit shards after an id, closed ones included.
func (s *stream) list(after string, limit int) (page []shardDescription, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	page = []shardDescription{}
	for _, sh := range s.shards {
		if sh.id <= after {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		d := shardDescription{ShardId: sh.id, ParentShardId: sh.parent, AdjacentParentShardId: sh.adjacent, HashKeyRange: rangeOf(sh.first, sh.last)}
		d.SequenceNumberRange.StartingSequenceNumber = sh.startNumber
		d.SequenceNumberRange.EndingSequenceNumber = sh.endNumber
		page = append(page, d)
	}
	return page, false
}
