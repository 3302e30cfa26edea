package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// entry is a record to be put. Data is base64 on the wire.
type entry struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string
}

type putRecordInput struct {
	streamRef
	entry
	SequenceNumberForOrdering string
}

type putResult struct{ ShardId, SequenceNumber string }

func (k *Kinesis) putRecord(in *putRecordInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return k.put(s, &in.entry)
}

// Bounds of a record.
const (
	maxRecordBytes  = 1 << 20 // data and partition key
	maxPartitionKey = 256
)

func (e *entry) check() error {
	switch {
	case e.Data == nil:
		return failf(codeValidation, "Data is missing")
	case e.PartitionKey == "" || len(e.PartitionKey) > maxPartitionKey:
		return failf(codeValidation, "PartitionKey must have 1 to %d characters", maxPartitionKey)
	case len(e.Data)+len(e.PartitionKey) > maxRecordBytes:
		return failf(codeValidation, "a record may have at most %d bytes, this one has %d", maxRecordBytes, len(e.Data)+len(e.PartitionKey))
	}
	if e.ExplicitHashKey != "" {
		_, err := parseHashKey(e.ExplicitHashKey)
		return err
	}
	return nil
}

// put appends a checked record to its shard.
func (k *Kinesis) put(s *stream, e *entry) (*putResult, error) {
	key := hashKey(e.PartitionKey)
	if e.ExplicitHashKey != "" {
		var err error
		if key, err = parseHashKey(e.ExplicitHashKey); err != nil {
			return nil, err
		}
	}
	// The lock keeps the shard open.
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh := s.forKey(key)
	if sh == nil {
		return nil, failf("InternalFailure", "no shard has the hash key %s", key)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := record{number: k.numbers.Add(1), arrived: k.options.Clock().UnixMilli(), size: len(e.Data)}
	result := &putResult{ShardId: sh.id, SequenceNumber: sequenceNumber(r.number)}
	r.render(result.SequenceNumber, e)
	sh.records = append(sh.records, r)
	return result, nil
}

// render makes the JSON that GetRecords sends, once for all reads.
func (r *record) render(number string, e *entry) {
	key, _ := json.Marshal(e.PartitionKey)
	r.json = make([]byte, 0, base64.StdEncoding.EncodedLen(len(e.Data))+len(key)+180)
	r.json = append(r.json, `{"SequenceNumber":"`...)
	r.json = append(r.json, number...)
	r.json = append(r.json, `","ApproximateArrivalTimestamp":`...)
	r.json = append(r.json, epochSeconds(r.arrived)...)
	r.json = append(r.json, `,"Data":"`...)
	r.json = base64.StdEncoding.AppendEncode(r.json, e.Data)
	r.json = append(r.json, `","PartitionKey":`...)
	r.json = append(r.json, key...)
	r.json = append(r.json, '}')
}

// epochSeconds is how the protocol writes a time.
func epochSeconds(milliseconds int64) json.Number {
	return json.Number(strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64))
}
