package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/loggen"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// history is a cluster that records what was put into which shard, and checks the checkpoints
// against the indexed documents.
type history struct {
	*cluster
	mu       sync.Mutex // held while a record is put
	records  map[string][]putRecord
	produced int
	verified map[string]int // number of records by shard that are known to be indexed
	later    atomic.Bool    // records have events of the next two days, whose indices do not exist yet
}

// putRecord is a record that was put.
type putRecord struct {
	number string
	events []loggen.Event
}

func newHistory(c *cluster) *history {
	return &history{cluster: c, records: make(map[string][]putRecord), verified: make(map[string]int)}
}

// producer returns a function that puts a record: usually a small one, sometimes one as large as
// CloudWatch's.
func (h *history) producer(seed uint64) func() {
	rng := rand.New(rand.NewPCG(seed, 1))
	large := loggen.New(loggen.Options{Seed: seed})
	made := 0
	return func() {
		var data []byte
		var events []loggen.Event
		later := h.later.Load()
		if rng.IntN(20) == 0 && !later {
			r, _ := large.Next()
			data = r.Data
			if !r.Control { // the event of a control message is not a log event
				events = r.Events
			}
		} else {
			for range 1 + rng.IntN(8) {
				made++
				// Two days, for two indices.
				day := 15
				if later {
					day += 2
				}
				at := time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC).Add(time.Duration(rng.Int64N(int64(48 * time.Hour))))
				// No generated id begins with 9.
				events = append(events, loggen.Event{ID: fmt.Sprintf("9%055d", made), Timestamp: at.UnixMilli(), Message: fmt.Sprint("event ", made)})
			}
			data = packEvents(events)
		}
		if err := h.putEvents(strconv.FormatUint(rng.Uint64(), 36), data, events); err != nil {
			h.t.Errorf("put a record: %v", err)
		}
	}
}

func packEvents(events []loggen.Event) []byte { return localtest.Gzip(envelopeOf(events)) }

func envelopeOf(events []loggen.Event) []byte {
	envelope, _ := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "soak", "logStream": "s",
		"subscriptionFilters": []string{"f"}, "logEvents": events})
	return envelope
}

// putEvents puts a record. It holds the lock until the record is in h.records, so that a holder
// of the lock knows every record that a worker can have read.
func (h *history) putEvents(key string, data []byte, events []loggen.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	out, err := h.kinesis.PutRecord(context.Background(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(key), Data: data})
	if err != nil {
		return err
	}
	h.records[*out.ShardId] = append(h.records[*out.ShardId], putRecord{*out.SequenceNumber, events})
	h.produced++
	for _, e := range events {
		h.expected[e.ID] = e
	}
	return nil
}

// verify checks that all records up to the checkpoints are indexed.
func (h *history) verify(rows map[string]leaseRow, fail func(id, format string, args ...any)) {
	type document struct {
		Index  string `json:"_index"`
		ID     string `json:"_id"`
		shard  string
		record string // sequence number
	}
	var documents []document
	verified := make(map[string]int)
	h.mu.Lock()
	for id, row := range rows {
		records, n := h.records[id], h.verified[id]
		for ; n < len(records) && records[n].number <= row.checkpoint; n++ {
			for _, e := range records[n].events {
				documents = append(documents, document{h.index(e), e.ID, id, records[n].number})
			}
		}
		verified[id] = n
	}
	h.mu.Unlock()
	if len(documents) > 0 {
		// Getting by id also finds documents that are not refreshed yet.
		body, _ := json.Marshal(map[string]any{"docs": documents})
		var answer struct {
			Docs []struct{ Found bool }
		}
		if err := inspect.Ask(context.Background(), h.search, http.MethodPost, "/_mget?_source=false", string(body), &answer); err != nil || len(answer.Docs) != len(documents) {
			h.t.Errorf("%d documents for %d: %v", len(answer.Docs), len(documents), err)
			return
		}
		missing := 0
		for i, d := range documents {
			if answer.Docs[i].Found {
				continue
			}
			if missing++; missing <= 3 {
				fail(d.shard, "the checkpoint %s passes event %s of record %s, which is not in %s", rows[d.shard].checkpoint, d.ID, d.record, d.Index)
			}
		}
		if missing > 0 {
			h.t.Errorf("%d of %d events before checkpoints are missing", missing, len(documents))
			return
		}
	}
	for id, n := range verified {
		h.verified[id] = n
	}
}

// puts returns how many records were put.
func (h *history) puts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.produced
}

// last returns the sequence number of the last record put into each shard.
func (h *history) last() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]string)
	for id, records := range h.records {
		last[id] = records[len(records)-1].number
	}
	return last
}

// skipEmpty returns the sequence number up to which each shard has only records without events
// after the given one. A checkpoint passes them even if nothing can be indexed.
func (h *history) skipEmpty(after map[string]string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	through := make(map[string]string)
	for id, records := range h.records {
		through[id] = after[id]
		for _, r := range records {
			if r.number > after[id] && len(r.events) > 0 {
				break
			}
			through[id] = max(through[id], r.number)
		}
	}
	return through
}

// behind returns how many records the checkpoints had not passed at the last call of verify.
func (h *history) behind() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, records := range h.records {
		n += len(records) - h.verified[id]
	}
	return n
}
