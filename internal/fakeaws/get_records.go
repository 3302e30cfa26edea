package fakeaws

import (
	"encoding/json"
	"strconv"
	"time"
)

type getRecordsInput struct {
	ShardIterator string
	Limit         *int
}

func (in *getRecordsInput) shard() string {
	it, _ := parseIterator(in.ShardIterator)
	return it.Shard
}

// Bounds of GetRecords. A shard gives 2 MB and takes 5 calls a second; an
// answer with more than that silences it for the time that it stands for.
const (
	maxGetRecords     = 10_000
	maxGetBytes       = 10_000_000
	bytesPerSecond    = 2_000_000
	callsPerSecond    = 5
	throttledCalls    = "Rate exceeded for shard %s in stream %s under account 000000000000."
	throttledBytes    = "Rate exceeded for shard %s in stream %s: more than 2 MB a second were read."
	expiredIterator   = "Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %s."
	isoTime           = "2006-01-02T15:04:05.000Z"
	recordsAnswerRoom = 512
)

func (k *Kinesis) getRecords(in *getRecordsInput) (any, error) {
	it, err := parseIterator(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	limit := maxGetRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxGetRecords {
		return nil, failf(codeValidation, "Limit must be from 1 to %d", maxGetRecords)
	}
	now := k.options.Clock()
	if issued := time.UnixMilli(it.Issued); now.Sub(issued) > k.options.IteratorLifetime {
		return nil, failf(codeExpiredIterator, expiredIterator, issued.UTC().Format(isoTime), now.UTC().Format(isoTime), k.options.IteratorLifetime)
	}
	s, err := k.stream(streamRef{StreamName: it.Stream})
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh, err := s.find(it.Shard)
	if err != nil {
		return nil, err
	}
	records, next, behind, err := k.read(s, sh, it.Next, limit, now)
	if err != nil {
		return nil, err
	}
	it.Next, it.Issued = next, now.UnixMilli()
	return answerRecords(sh, records, it, behind), nil
}

// read takes records from a shard within its limits. behind is how far the
// reader is from the tip, in milliseconds.
func (k *Kinesis) read(s *stream, sh *shard, from, limit int, now time.Time) (records []record, next int, behind int64, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !k.options.NoReadLimits {
		if err := sh.admit(s, now); err != nil {
			return nil, 0, 0, err
		}
	}
	from = min(from, len(sh.records))
	next = from
	size := 0
	for next < len(sh.records) && next-from < limit && (next == from || size+sh.records[next].size <= maxGetBytes) {
		size += sh.records[next].size
		next++
	}
	sh.readBytes += size
	if size > bytesPerSecond {
		sh.pausedTo = now.Add(time.Duration(size) * time.Second / bytesPerSecond)
	}
	if next < len(sh.records) {
		behind = max(now.UnixMilli()-sh.records[next].arrived, 1)
	}
	// Records do not change: the slice may be read without the lock.
	return sh.records[from:next:next], next, behind, nil
}

// admit throttles calls. The shard's lock is held.
func (sh *shard) admit(s *stream, now time.Time) error {
	recent := sh.calls[:0]
	for _, at := range sh.calls {
		if now.Sub(at) < time.Second {
			recent = append(recent, at)
		}
	}
	sh.calls = recent
	if now.Sub(sh.windowStart) >= time.Second {
		sh.windowStart, sh.readBytes = now, 0
	}
	if len(sh.calls) >= callsPerSecond {
		return failf(codeThroughput, throttledCalls, sh.id, s.name)
	}
	if now.Before(sh.pausedTo) || sh.readBytes >= bytesPerSecond {
		return failf(codeThroughput, throttledBytes, sh.id, s.name)
	}
	sh.calls = append(sh.calls, now)
	return nil
}

// answerRecords writes the answer in one pass. The stream's lock is held.
func answerRecords(sh *shard, records []record, it iterator, behind int64) []byte {
	size := recordsAnswerRoom
	for _, r := range records {
		size += len(r.json) + 1
	}
	out := make([]byte, 0, size)
	out = append(out, `{"Records":[`...)
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, r.json...)
	}
	out = append(out, `],"MillisBehindLatest":`...)
	out = strconv.AppendInt(out, behind, 10)
	if !sh.isOpen() && it.Next == len(sh.records) {
		// The end of a closed shard: no iterator, but what comes after.
		children, _ := json.Marshal(childrenOf(sh))
		out = append(append(out, `,"ChildShards":`...), children...)
	} else {
		out = append(out, `,"NextShardIterator":"`...)
		out = append(append(out, it.String()...), '"')
	}
	return append(out, '}')
}

type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeyRange
}

func childrenOf(sh *shard) []childShard {
	children := []childShard{}
	for _, c := range sh.children {
		child := childShard{ShardId: c.id, ParentShards: []string{c.parent}, HashKeyRange: rangeOf(c.first, c.last)}
		if c.adjacent != "" {
			child.ParentShards = append(child.ParentShards, c.adjacent)
		}
		children = append(children, child)
	}
	return children
}
