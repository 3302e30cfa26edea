package fakeaws

import (
	"bufio"
	"encoding/json"
	"fmt"
	"time"
)

type getRecordsInput struct {
	streamRef
	ShardIterator string
	Limit         *int
}

// Limits of one answer:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

// expiredAnswers is the number of answers without records that an iterator of expired records
// returns before the oldest kept record. The service does not document the number. An iterator
// of type TRIM_HORIZON returns none.
const expiredAnswers = 20

func (k *Kinesis) getRecords(in *getRecordsInput) (any, error) {
	if in.ShardIterator == "" {
		return nil, missing("shardIterator")
	}
	limit := maxGetRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	switch {
	case limit < 1:
		return nil, failf(codeValidation, "limit must be at least 1, it is %d", limit)
	case limit > maxGetRecords:
		return nil, failf(codeInvalidArgument, "Limit must be at most %d, it is %d", maxGetRecords, limit)
	}
	it, err := parseIterator(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	now := k.options.Clock()
	if age := now.UnixMilli() - it.Issued; age > k.options.IteratorLifetime.Milliseconds() {
		return nil, failf(codeExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			time.UnixMilli(it.Issued).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), k.options.IteratorLifetime.Milliseconds())
	}
	s, err := k.stream(streamRef{StreamName: it.Stream, StreamARN: in.StreamARN})
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, err := s.find(it.Shard, k.horizon())
	if err != nil {
		return nil, err
	}
	if it.Next < sh.start {
		return nil, failf(codeInvalidArgument, "Invalid ShardIterator: it belongs to another stream %s, which was deleted.", s.name)
	}
	return k.read(s, sh, it, limit, now)
}

// read returns records of a shard, as many as its limits allow. The stream's read lock must
// be held. Sending the answer does not need it.
func (k *Kinesis) read(s *stream, sh *shard, it iterator, limit int, now time.Time) (answer, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !k.options.NoReadLimits {
		if reason := sh.meter.admit(now); reason != "" {
			return nil, failf(codeThroughput, "Rate exceeded for shard %s in stream %s under account %s: %s.", sh.id, s.name, account, reason)
		}
	}
	horizon := k.horizon()
	sh.trim(horizon)
	first := max(sh.from(it.Next), sh.since(horizon))
	if !it.Oldest && it.Next <= sh.lastExpired(horizon) && it.Passed < expiredAnswers {
		it.Passed++
		it.Issued = now.UnixMilli()
		return withoutRecords(it, k.options.Retention.Milliseconds())
	}
	it.Oldest, it.Passed = false, 0
	next, size := first, 0
	for next < len(sh.records) && next-first < limit && (next == first || size+sh.records[next].size <= maxGetBytes) {
		size += sh.records[next].size
		next++
	}
	sh.meter.bytes += size
	records := sh.records[first:next:next]
	end := ending{MillisBehindLatest: behind(sh.records[next:], now)}
	if len(records) > 0 {
		it.Next = records[len(records)-1].number + 1
	}
	if !sh.isOpen() && next == len(sh.records) {
		end.ChildShards = childShards(sh)
	} else {
		it.Issued = now.UnixMilli()
		text, err := it.text()
		if err != nil {
			return nil, err
		}
		end.NextShardIterator = &text
	}
	raw, err := json.Marshal(end)
	if err != nil {
		return nil, fmt.Errorf("write the end of an answer: %w", err)
	}
	return recordsAnswer{records, raw[1:]}, nil
}

// withoutRecords returns an answer with an iterator and no records.
func withoutRecords(it iterator, behind int64) (answer, error) {
	text, err := it.text()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(ending{MillisBehindLatest: behind, NextShardIterator: &text})
	if err != nil {
		return nil, fmt.Errorf("write the end of an answer: %w", err)
	}
	return recordsAnswer{nil, raw[1:]}, nil
}

// behind returns the age of the oldest unread record in milliseconds. It is 0 only for a
// reader that has read everything.
func behind(unread []record, now time.Time) int64 {
	if len(unread) == 0 {
		return 0
	}
	return max(1, now.UnixMilli()-unread[0].arrived)
}

// ending is the answer without the records. At the end of a closed shard it has the child
// shards instead of an iterator.
type ending struct {
	MillisBehindLatest int64
	NextShardIterator  *string
	ChildShards        []childShard `json:",omitempty"`
}

type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeyRange
}

func childShards(sh *shard) []childShard {
	var children []childShard
	for _, c := range sh.children {
		child := childShard{ShardId: c.id, HashKeyRange: rangeOf(c)}
		for _, p := range c.parents {
			child.ParentShards = append(child.ParentShards, p.id)
		}
		children = append(children, child)
	}
	return children
}

// recordsAnswer is an answer of GetRecords. Its parts are written without assembling them.
type recordsAnswer struct {
	records []record
	ending  []byte // JSON after the first brace
}

const (
	recordsStart = `{"Records":[`
	recordsEnd   = `],`
)

func (a recordsAnswer) size() int {
	n := len(recordsStart) + max(0, len(a.records)-1) + len(recordsEnd) + len(a.ending)
	for i := range a.records {
		n += len(a.records[i].head) + len(a.records[i].data) + len(recordTail)
	}
	return n
}

// writeTo ignores errors: the writer's Flush returns them.
func (a recordsAnswer) writeTo(w *bufio.Writer) {
	_, _ = w.WriteString(recordsStart)
	for i := range a.records {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(a.records[i].head)
		_, _ = w.Write(a.records[i].data)
		_, _ = w.WriteString(recordTail)
	}
	_, _ = w.WriteString(recordsEnd)
	_, _ = w.Write(a.ending)
}
