package fakeaws

import (
	"math/big"
	"unicode/utf8"
)

// entry is a record to put.
type entry struct {
	Data            blob
	PartitionKey    string
	ExplicitHashKey string

	size int // bytes of data and partition key
	key  *big.Int
}

type putRecordInput struct {
	streamRef
	entry
	SequenceNumberForOrdering string
}

func (in *putRecordInput) blobs() []*blob { return []*blob{&in.Data} }

type putResult struct {
	ShardId        string `json:",omitempty"`
	SequenceNumber string `json:",omitempty"`
	ErrorCode      string `json:",omitempty"`
	ErrorMessage   string `json:",omitempty"`
}

func (k *Kinesis) putRecord(in *putRecordInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	if _, err := k.check(&in.entry, nil); err != nil {
		return nil, err
	}
	// Every put is ordered here, so this has no effect, but must be a number.
	if in.SequenceNumberForOrdering != "" {
		if _, err := parseSequenceNumber(in.SequenceNumberForOrdering); err != nil {
			return nil, err
		}
	}
	return k.put(s, &in.entry)
}

// put appends a checked record to its shard, or returns a fault.
func (k *Kinesis) put(s *stream, e *entry) (putResult, error) {
	// Called without a lock, so that the function may change the stream.
	if err := k.faultOf(s.shardID(e.key)); err != nil {
		return putResult{}, err
	}
	// The lock keeps the shard open.
	s.mu.RLock()
	defer s.mu.RUnlock()
	return k.append(s.forKey(e.key), e), nil
}

// maxPartitionKey is the maximum number of characters.
const maxPartitionKey = 256

// check validates an entry and sets its size and hash key. It returns the scratch buffer,
// which may have grown.
func (k *Kinesis) check(e *entry, scratch []byte) ([]byte, error) {
	switch n := utf8.RuneCountInString(e.PartitionKey); {
	case !e.Data.present:
		return scratch, missing("data")
	case n == 0:
		return scratch, missing("partitionKey")
	case n > maxPartitionKey:
		return scratch, failf(codeValidation, "partitionKey must have at most %d characters, it has %d", maxPartitionKey, n)
	}
	n, scratch, err := decodedSize(e.Data.text, scratch)
	if err != nil {
		return scratch, failf(codeSerialization, "%v", err)
	}
	if e.size = n + len(e.PartitionKey); e.size > k.options.MaxRecordBytes {
		return scratch, failf(codeValidation, "data and partitionKey must have at most %d bytes, they have %d", k.options.MaxRecordBytes, e.size)
	}
	if e.ExplicitHashKey == "" {
		e.key = hashKey(e.PartitionKey)
		return scratch, nil
	}
	e.key, err = parseHashKey("ExplicitHashKey", e.ExplicitHashKey)
	return scratch, err
}
