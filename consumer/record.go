package consumer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
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

// maxSet bounds the bytes of documents that are handed over at once: a record
// that becomes more is handed over in pieces, so that even one that inflates to
// many times the bytes in flight needs no more than those.
const maxSet = 1 << 20

// besideMessage is more than a document takes beside its message, in bytes.
const besideMessage = 16 << 10

// index follows one record through the rooms: subscription finds its events,
// mapping makes documents of them, the indexer brings them into OpenSearch.
// What cannot be read becomes a dead letter. done is called when all of it is
// settled; it may never be when index tells that not all was handed over.
func (p *processor) index(decoder *subscription.Decoder, r *types.Record, done func()) (ok bool) {
	c := p.consumer
	source := indexer.Source{Stream: c.cfg.Stream, Shard: p.shard, SequenceNumber: aws.ToString(r.SequenceNumber)}
	all := &settlement{done: done}
	all.pending.Store(1) // ours, until everything is handed over
	ok = true
	deadLetter := func(of indexer.Record, stage string, reason error, payload []byte) {
		if !ok {
			return // the record is read again
		}
		p.letters++
		of.Source, of.Occurrence = source, p.letters
		reserved := int64(0)
		if len(payload) > maxSet {
			reserved = p.reserve(int64(len(payload)))
			ok = reserved > 0
		}
		ok = ok && p.hand(indexer.NewDeadLetter(of, stage, reason, payload), reserved, all)
	}

	c.metrics.records.Inc()
	c.metrics.recordBytes.Add(float64(len(r.Data)))
	data, bad := bytes.CutPrefix(r.Data, badAggregate)
	if bad {
		deadLetter(indexer.Record{}, indexer.StageInflate, errors.New("not a valid KPL aggregate"), data)
		if ok {
			all.settle()
		}
		return ok
	}
	guess := float64(inflatedSize(data, c.cfg.MaxInflated))
	room := int(min(guess*max(p.growth, 1), maxSet))
	docs, written := indexer.NewDocuments(source, room), 0
	// Records that inflate to much are decoded one at a time.
	alone := false
	decoder.BeforeLarge = func() error {
		err := c.large.Acquire(p.ctx, 1)
		alone, ok = err == nil, ok && err == nil
		runtime.GC() // the memory limit alone is exceeded by one large buffer
		return err
	}
	handOver := func(reserved int64) {
		c.metrics.events.Add(float64(docs.Len()))
		ok = p.hand(docs, reserved, all)
		docs = indexer.NewDocuments(source, room)
	}
	controls, err := decoder.Decode(data, func(envelope *subscription.Envelope) {
		for i := range envelope.Events {
			event, reserved := &envelope.Events[i], int64(0)
			if size := len(event.Message) + besideMessage; size > maxSet {
				// Its bytes count before they are taken.
				if ok && docs.Len() > 0 {
					handOver(0)
				}
				if ok {
					reserved = p.reserve(int64(size))
					ok = reserved > 0
				}
				if ok {
					docs.Recycle()
					if alone {
						runtime.GC() // what had these bytes before is no longer needed
					}
					docs = indexer.NewDocuments(source, size)
				}
			}
			if !ok {
				return
			}
			before := len(docs.Body)
			docs.Body = p.mapper.Append(docs.Body, envelope, event)
			docs.Next()
			written += len(docs.Body) - before
			if reserved > 0 || len(docs.Body) >= maxSet {
				handOver(reserved)
			}
		}
		for _, rejected := range envelope.Rejected {
			deadLetter(indexer.Record{LogGroup: envelope.LogGroup.String(), LogStream: envelope.LogStream.String()},
				indexer.StageParse, rejected.Err, rejected.Raw)
		}
	})
	if alone {
		c.large.Release(1)
	}
	if written > 0 {
		p.growth = float64(written) / guess
	}
	c.metrics.controls.Add(float64(controls))
	if err != nil {
		deadLetter(indexer.Record{}, stageOf(err), err, data)
	}
	if ok && docs.Len() > 0 {
		handOver(0)
	}
	docs.Recycle()
	if ok { // else what was handed over must not pass for the whole record
		all.settle()
	}
	return ok
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
