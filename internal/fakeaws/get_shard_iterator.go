package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"sort"
	"time"
)

type getShardIteratorInput struct {
	streamRef
	ShardId                string
	ShardIteratorType      string
	StartingSequenceNumber string
	Timestamp              *float64 // seconds since the epoch
}

func (in *getShardIteratorInput) shard() string { return in.ShardId }

// iterator is a position in a shard. It is handed out as an opaque text.
type iterator struct {
	Stream, Shard string
	Next          int   // index of the record to read next
	Issued        int64 // milliseconds since the epoch
}

func (it iterator) String() string {
	raw, _ := json.Marshal(it)
	return base64.StdEncoding.EncodeToString(raw)
}

func parseIterator(s string) (it iterator, err error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &it)
	}
	if err != nil || it.Shard == "" || it.Next < 0 {
		return it, failf(codeInvalidArgument, "Invalid ShardIterator.")
	}
	return it, nil
}

func (k *Kinesis) getShardIterator(in *getShardIteratorInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, err := s.find(in.ShardId)
	if err != nil {
		return nil, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, err := k.position(sh, in)
	if err != nil {
		return nil, err
	}
	it := iterator{Stream: s.name, Shard: sh.id, Next: next, Issued: k.options.Clock().UnixMilli()}
	return map[string]string{"ShardIterator": it.String()}, nil
}

// position is the index of the first record to read. The shard's lock is held.
func (k *Kinesis) position(sh *shard, in *getShardIteratorInput) (int, error) {
	first := func(ok func(r record) bool) int {
		return sort.Search(len(sh.records), func(i int) bool { return ok(sh.records[i]) })
	}
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
		return 0, nil
	case "LATEST":
		return len(sh.records), nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		n, err := parseSequenceNumber(in.StartingSequenceNumber)
		if err != nil {
			return 0, err
		}
		if in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			n++
		}
		return first(func(r record) bool { return r.number >= n }), nil
	case "AT_TIMESTAMP":
		if in.Timestamp == nil {
			return 0, failf(codeInvalidArgument, "Must specify timestamp parameter for iterator of type AT_TIMESTAMP.")
		}
		at := time.UnixMilli(int64(*in.Timestamp * 1000))
		if now := k.options.Clock(); at.After(now) {
			return 0, failf(codeInvalidArgument, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", at.UnixMilli(), now.UnixMilli())
		}
		return first(func(r record) bool { return r.arrived >= at.UnixMilli() }), nil
	}
	return 0, failf(codeValidation, "%q is not a ShardIteratorType", in.ShardIteratorType)
}
