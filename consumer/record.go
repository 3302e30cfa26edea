package consumer

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/indexer"
	"logsluice/indexer/deadletter"
	"logsluice/internal/heap"
	"logsluice/subscription"
)

// Processing one record: it is inflated and decoded, its events become documents, and these
// are passed to the indexer. Data that cannot be decoded becomes a dead letter.

// ackGroup calls done when all documents and dead letters of a record are acknowledged.
type ackGroup struct {
	pending atomic.Int64
	done    func()
}

func (s *ackGroup) ack() {
	if s.pending.Add(-1) == 0 {
		s.done()
	}
}

// maxPutBytes bounds the bytes of documents that are passed to the indexer at once. A larger
// record is passed in parts, so even a record that inflates to many times the limit of bytes
// in flight stays within the limit. Only a single document can be larger.
const maxPutBytes = 1 << 20

// recordJob is the processing of one record.
type recordJob struct {
	*processor
	source     indexer.Source
	acks       *ackGroup
	docs       *indexer.Documents // not passed to the indexer yet, nil if empty
	origin     indexer.Origin     // of the current envelope
	holdsLarge bool               // large is acquired: no other large record is decoded
	incomplete bool               // part of the record was not accepted: it is read again
}

// index processes one record: subscription finds its events, mapping makes documents, and
// the indexer writes them to OpenSearch. Data that cannot be decoded becomes a dead letter.
// done is called when all of it is acknowledged. If index returns false, part of the record
// was not accepted and done is not called.
func (p *processor) index(decoder *subscription.Decoder, r *types.Record, done func()) (ok bool) {
	metrics := p.consumer.metrics
	metrics.records.Inc()
	metrics.recordBytes.Add(float64(len(r.Data)))
	w := recordJob{
		processor: p,
		source: indexer.Source{
			Stream: p.consumer.cfg.Stream, Shard: p.shard, SequenceNumber: aws.ToString(r.SequenceNumber),
			Arrived: aws.ToTime(r.ApproximateArrivalTimestamp),
		},
		acks: &ackGroup{done: done},
	}
	w.acks.pending.Store(1) // for this function, until everything is passed on
	if data, bad := bytes.CutPrefix(r.Data, badAggregate); bad {
		w.deadLetter(indexer.Record{}, deadletter.StageInflate, aggregateError(data), data)
	} else {
		w.decode(decoder, data)
	}
	if w.incomplete { // the accepted part must not acknowledge the whole record
		return false
	}
	w.acks.ack()
	return true
}

func (w *recordJob) decode(decoder *subscription.Decoder, data []byte) {
	decoder.BeforeLarge = w.beforeLarge
	controls, err := decoder.Decode(data, w.addEnvelope)
	if w.holdsLarge {
		w.consumer.large.Release(1)
	}
	w.consumer.metrics.controls.Add(float64(controls))
	if err != nil {
		w.deadLetter(indexer.Record{}, stageOf(err), err, data)
	}
	w.flush(0)
}

// beforeLarge waits until no other large record is decoded.
func (w *recordJob) beforeLarge() error {
	err := w.consumer.large.Acquire(w.ctx, 1)
	w.holdsLarge, w.incomplete = err == nil, w.incomplete || err != nil
	heap.MakeRoom()
	return err
}

func (w *recordJob) addEnvelope(envelope *subscription.Envelope) {
	if w.incomplete {
		return
	}
	w.mapper.Begin(envelope, w.source.Arrived)
	w.origin = indexer.Origin{Owner: envelope.Owner, LogGroup: envelope.LogGroup, LogStream: envelope.LogStream}
	for more := true; more && !w.incomplete; {
		more = w.addDocuments()
	}
	for _, rejected := range envelope.Rejected {
		w.deadLetter(indexer.Record{LogGroup: envelope.LogGroup.String(), LogStream: envelope.LogStream.String()},
			deadletter.StageParse, rejected.Err, rejected.Raw)
	}
}

// addDocuments adds documents of the envelope's next events, as many as are passed to the
// indexer at once. It reports whether the envelope has more.
func (w *recordJob) addDocuments() (more bool) {
	room := maxPutBytes
	if w.docs != nil {
		room -= len(w.docs.Body)
	}
	documents, size, more := w.mapper.Prepare(room)
	if documents == 0 {
		return false
	}
	if size > room {
		w.flush(0)
	}
	reserved := int64(0)
	if size > maxPutBytes && !w.incomplete {
		// The bytes are reserved before they are allocated.
		reserved = w.consumer.indexer.Reserve(w.ctx, w.shard, int64(size))
		w.incomplete = reserved == 0
		if w.holdsLarge {
			heap.MakeRoom()
		}
	}
	if w.incomplete {
		return false
	}
	if w.docs == nil {
		w.docs = indexer.NewDocuments(w.source, size)
	}
	w.docs.From(w.origin)
	for range documents {
		w.appendDocument()
	}
	if more || reserved > 0 {
		w.flush(reserved)
	}
	return more
}

// appendDocument appends the next document, and the fields of its event that a dead letter
// needs in addition.
func (w *recordJob) appendDocument() {
	var event *subscription.Event
	w.docs.Body, event = w.mapper.Append(w.docs.Body)
	switch {
	case event.OriginalID != nil:
		w.docs.Extra("id", event.OriginalID)
	case !w.mapper.HasIDs():
		w.docs.Extra("id", fmt.Appendf(nil, "%q", event.ID))
	}
	if fields := extractedFields(event); fields != nil {
		w.docs.Extra("extractedFields", fields)
	}
	w.docs.Next(event.Position)
}

// extractedFields returns the system fields of an event as CloudWatch writes them, nil if it
// has none.
func extractedFields(event *subscription.Event) []byte {
	var fields []byte
	for _, field := range []struct {
		key   string
		value []byte
	}{{"@aws.account", event.Account}, {"@aws.region", event.Region}} {
		if field.value != nil {
			fields = append(fmt.Appendf(fields, ",%q:", field.key), field.value...)
		}
	}
	if fields == nil {
		return nil
	}
	fields[0] = '{' // replaces the first comma
	return append(fields, '}')
}

// flush passes the collected documents to the indexer. reserved bytes are already reserved
// for them, 0 if none are.
func (w *recordJob) flush(reserved int64) {
	docs := w.docs
	w.docs = nil
	switch {
	case docs == nil:
	case w.incomplete:
		docs.Recycle()
	default:
		w.consumer.metrics.events.Add(float64(docs.Len()))
		w.incomplete = !w.put(docs, reserved, w.acks)
	}
}

func (w *recordJob) deadLetter(of indexer.Record, stage string, reason error, payload []byte) {
	if w.incomplete {
		return
	}
	w.deadLetters++
	of.Source, of.Occurrence = w.source, w.deadLetters
	reserved := int64(0)
	if len(payload) > maxPutBytes {
		reserved = w.consumer.indexer.Reserve(w.ctx, w.shard, int64(len(payload)))
		w.incomplete = reserved == 0
	}
	w.incomplete = w.incomplete || !w.put(indexer.NewDeadLetter(of, stage, reason, payload), reserved, w.acks)
}

func stageOf(err error) string {
	var e *subscription.Error
	if errors.As(err, &e) {
		return e.Stage
	}
	return deadletter.StageParse
}
