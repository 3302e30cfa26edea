package consumer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/indexer"
	"logsluice/subscription"
)

// settlement calls done when everything that became of a record is settled.
type settlement struct {
	pending atomic.Int64
	done    func()
}

func (s *settlement) settle() {
	if s.pending.Add(-1) == 0 {
		s.done()
	}
}

// index follows one record through the rooms: subscription finds its events,
// mapping makes documents of them, the indexer brings them into OpenSearch.
// What cannot be read becomes a dead letter. done is called when all of it is
// settled. It returns how many bytes the documents take until then; not ok tells
// that the indexer is closed and done may never be called.
func (p *processor) index(r *types.Record, done func()) (taken int64, ok bool) {
	c := p.consumer
	source := indexer.Source{Stream: c.cfg.Stream, Shard: p.shard, SequenceNumber: aws.ToString(r.SequenceNumber)}
	all := &settlement{done: done}
	all.pending.Store(1) // ours, until everything is handed over
	ok = true
	deadLetter := func(stage string, reason error, payload []byte) {
		all.pending.Add(1)
		taken += int64(len(payload))
		ok = c.indexer.DeadLetter(source, stage, reason, payload, all.settle) == nil && ok
	}

	c.metrics.records.Inc()
	c.metrics.recordBytes.Add(float64(len(r.Data)))
	data, bad := bytes.CutPrefix(r.Data, badAggregate)
	if bad {
		deadLetter(indexer.StageInflate, errors.New("not a valid KPL aggregate"), data)
		all.settle()
		return taken, ok
	}
	docs := indexer.NewDocuments(source)
	controls, err := p.decoder.Decode(data, func(envelope *subscription.Envelope) {
		for i := range envelope.Events {
			docs.Body = c.mapper.Append(docs.Body, envelope, &envelope.Events[i])
			docs.Next()
		}
		for _, rejected := range envelope.Rejected {
			deadLetter(indexer.StageParse, rejected.Err, rejected.Raw)
		}
	})
	c.metrics.controls.Add(float64(controls))
	c.metrics.events.Add(float64(docs.Len()))
	if err != nil {
		deadLetter(stageOf(err), err, data)
	}
	all.pending.Add(1)
	taken += int64(len(docs.Body))
	ok = c.indexer.Put(docs, all.settle) == nil && ok
	all.settle()
	return taken, ok
}

func stageOf(err error) string {
	var e *subscription.Error
	if errors.As(err, &e) {
		return e.Stage
	}
	return indexer.StageParse
}

// maxRatio is the most that DEFLATE can compress.
const maxRatio = 1032

// inflatedSize guesses from the trailer of a gzip member (RFC 1952, ISIZE)
// what a record inflates to, in bytes. It is a hint and bounded, as the sender
// may have written anything there.
func inflatedSize(data []byte, bound int) int64 {
	size := int64(len(data))
	if len(data) > 18 && data[0] == 0x1f && data[1] == 0x8b {
		hint := int64(binary.LittleEndian.Uint32(data[len(data)-4:]))
		size = max(size, min(hint, size*maxRatio))
	}
	return min(size, int64(bound))
}
