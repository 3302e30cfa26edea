package fakeaws

import "math"

type getShardIteratorInput struct {
	streamRef
	ShardId                string
	ShardIteratorType      string
	StartingSequenceNumber string
	Timestamp              *float64 // seconds since the epoch
}

func (k *Kinesis) getShardIterator(in *getShardIteratorInput) (any, error) {
	switch {
	case in.ShardId == "":
		return nil, missing("shardId")
	case in.ShardIteratorType == "":
		return nil, missing("shardIteratorType")
	}
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, err := s.find(in.ShardId, k.horizon())
	if err != nil {
		return nil, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	next, err := k.position(sh, in)
	if err != nil {
		return nil, err
	}
	text, err := iterator{Stream: s.name, Shard: sh.id, Next: next, Issued: k.now(), Oldest: in.ShardIteratorType == "TRIM_HORIZON"}.text()
	return map[string]string{"ShardIterator": text}, err
}

// position returns the sequence number to read from:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html
// The shard's lock must be held.
func (k *Kinesis) position(sh *shard, in *getShardIteratorInput) (uint64, error) {
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
		return sh.start, nil
	case "LATEST":
		return sh.newest + 1, nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		n, err := parseSequenceNumber(in.StartingSequenceNumber)
		if err != nil {
			return 0, err
		}
		if n < sh.start || n > max(sh.newest, sh.end) {
			return 0, failf(codeInvalidArgument, "StartingSequenceNumber %s is not of shard %s.", in.StartingSequenceNumber, sh.id)
		}
		if in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			n++
		}
		return n, nil
	case "AT_TIMESTAMP":
		if in.Timestamp == nil {
			return 0, failf(codeInvalidArgument, "Must specify timestamp parameter for iterator of type AT_TIMESTAMP.")
		}
		// The fraction may be slightly less than the time in milliseconds.
		at, now := int64(math.Floor(*in.Timestamp*1000+0.01)), k.now()
		if at > now {
			return 0, failf(codeInvalidArgument, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", at, now)
		}
		if i := sh.since(at); i < len(sh.records) {
			return sh.records[i].number, nil
		}
		return sh.newest + 1, nil
	}
	return 0, failf(codeValidation, "shardIteratorType %q is not one of AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON", in.ShardIteratorType)
}
