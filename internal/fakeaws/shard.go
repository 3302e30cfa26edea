package fakeaws

import (
	"encoding/json"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"
)

// shard is a range of hash keys with its records.
type shard struct {
	id          string
	first, last *big.Int // hash keys
	parents     []*shard // two after a merge
	start       uint64   // sequence number before all of its records

	// Guarded by the stream's lock.
	end      uint64 // sequence number after all of its records, 0 while it is open
	closed   int64  // when it was closed, in milliseconds since the Unix epoch
	children []*shard

	mu      sync.Mutex
	records []record
	trimmed uint64 // sequence number of the last deleted record, 0 if none is
	newest  uint64 // last sequence number
	arrived int64  // arrival time of that record
	meter   meter
}

// record is a record as GetRecords sends it. It is immutable.
type record struct {
	number  uint64
	arrived int64  // milliseconds since the epoch
	size    int    // bytes of data and partition key
	head    []byte // the JSON before the data
	data    []byte // base64; a part of the request that put it
}

const recordTail = `"}`

func (sh *shard) isOpen() bool { return sh.end == 0 }

// isExpired reports whether the shard is closed and all of its records have expired: the
// service no longer lists it.
func (sh *shard) isExpired(horizon int64) bool { return !sh.isOpen() && sh.closed < horizon }

// append stores a record and assigns its sequence number. The stream's read lock must be held.
func (k *Kinesis) append(sh *shard, e *entry) putResult {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.trim(k.horizon())
	sh.newest = k.numbers.Add(1)
	// A clock that was set back must not change the order of records.
	sh.arrived = max(sh.arrived, k.now())
	number := sequenceNumber(sh.newest)
	sh.records = append(sh.records, record{
		number:  sh.newest,
		arrived: sh.arrived,
		size:    e.size,
		head:    recordHead(number, sh.arrived, e.PartitionKey),
		data:    e.Data.text,
	})
	return putResult{ShardId: sh.id, SequenceNumber: number}
}

// recordHead returns the JSON before the data. It is rendered once for all reads.
func recordHead(number string, arrived int64, partitionKey string) []byte {
	key, _ := json.Marshal(partitionKey) // cannot fail for a string
	head := make([]byte, 0, len(key)+160)
	head = append(head, `{"SequenceNumber":"`...)
	head = append(head, number...)
	head = append(head, `","ApproximateArrivalTimestamp":`...)
	head = append(head, epochSeconds(arrived)...)
	head = append(head, `,"PartitionKey":`...)
	head = append(head, key...)
	return append(head, `,"Data":"`...)
}

// epochSeconds returns a time in the format of the protocol.
func epochSeconds(milliseconds int64) json.Number {
	return json.Number(strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64))
}

// from returns the index of the first record with at least this number. The shard's lock must
// be held.
func (sh *shard) from(number uint64) int {
	return sort.Search(len(sh.records), func(i int) bool { return sh.records[i].number >= number })
}

// since returns the index of the first record that arrived at this time or later. The shard's
// lock must be held.
func (sh *shard) since(at int64) int {
	if len(sh.records) == 0 || sh.records[0].arrived >= at {
		return 0
	}
	return sort.Search(len(sh.records), func(i int) bool { return sh.records[i].arrived >= at })
}

// trim drops the records before the horizon when they are half of all or more. It does not
// clear them, because a reader may still be sending them. The shard's lock must be held.
func (sh *shard) trim(horizon int64) {
	if expired := sh.since(horizon); expired > 0 && 2*expired >= len(sh.records) {
		sh.trimmed = sh.records[expired-1].number
		sh.records = slices.Clone(sh.records[expired:])
	}
}

// lastExpired returns the sequence number of the newest record before the horizon, 0 if none
// has expired. The shard's lock must be held.
func (sh *shard) lastExpired(horizon int64) uint64 {
	if expired := sh.since(horizon); expired > 0 {
		return sh.records[expired-1].number
	}
	return sh.trimmed
}

// Read limits of a shard: 5 calls and 2 MiB per second. A call may return up to 10 MiB, which
// counts towards the following seconds:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
const (
	callsPerSecond = 5
	bytesPerSecond = 2 << 20
)

// meter measures the reads of a shard.
type meter struct {
	calls  []time.Time // in the last second
	window time.Time   // when counting of bytes began
	bytes  int
}

// admit returns why a call is rejected, "" if it is allowed. Rejected calls do not count.
func (m *meter) admit(now time.Time) (reason string) {
	m.calls = slices.DeleteFunc(m.calls, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if len(m.calls) >= callsPerSecond {
		return "more than 5 calls in a second"
	}
	// A window lasts as long as its bytes take at the limit.
	length := max(time.Second, time.Duration(m.bytes)*time.Second/bytesPerSecond)
	if now.Sub(m.window) >= length {
		m.window, m.bytes = now, 0
	}
	if m.bytes >= bytesPerSecond {
		return "more than 2 MiB in a second"
	}
	m.calls = append(m.calls, now)
	return ""
}
