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
	"logsluice/internal/garbage"
	"logsluice/subscription"
)

// Processing one record: it is inflated and decoded, its events become documents, and these
// are passed to the indexer. Data that cannot be decoded becomes a dead letter.

// ackGroup calls done when all documents and dead letters of a record are acknowledged.
type ackGroup struct {
	pending atomic.Int64
	done    func()
}

func (g *ackGroup) ack() {
	if g.pending.Add(-1) == 0 {
		g.done()
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

// index processes one record. done is called when all of it is acknowledged. If index returns
// false, part of the record was not accepted and done is not called.
func (p *processor) index(decoder *subscription.Decoder, r *types.Record, done func()) (ok bool) {
	metrics := p.consumer.metrics
	metrics.records.Inc()
	metrics.recordBytes.Add(float64(len(r.Data)))
	j := recordJob{
		processor: p,
		source: indexer.Source{
			Stream: p.consumer.cfg.Stream, Shard: p.shard, SequenceNumber: aws.ToString(r.SequenceNumber),
			Arrived: aws.ToTime(r.ApproximateArrivalTimestamp),
		},
		acks: &ackGroup{done: done},
	}
	j.acks.pending.Store(1) // for this function, until everything is passed on
	if data, bad := bytes.CutPrefix(r.Data, badAggregate); bad {
		j.deadLetter(indexer.Record{}, deadletter.StageInflate, aggregateError(data), data)
	} else {
		j.decode(decoder, data)
	}
	if j.incomplete { // the accepted part must not acknowledge the whole record
		return false
	}
	j.acks.ack()
	return true
}

func (j *recordJob) decode(decoder *subscription.Decoder, data []byte) {
	decoder.BeforeLarge = j.beforeLarge
	controls, err := decoder.Decode(data, j.addEnvelope)
	if j.holdsLarge {
		j.consumer.large.Release(1)
	}
	j.consumer.metrics.controls.Add(float64(controls))
	if err != nil {
		j.deadLetter(indexer.Record{}, stageOf(err), err, data)
	}
	j.flush(0)
}

// beforeLarge waits until no other large record is decoded.
func (j *recordJob) beforeLarge() error {
	err := j.consumer.large.Acquire(j.ctx, 1)
	j.holdsLarge, j.incomplete = err == nil, j.incomplete || err != nil
	garbage.Collect()
	return err
}

func (j *recordJob) addEnvelope(envelope *subscription.Envelope) {
	if j.incomplete {
		return
	}
	j.mapper.Begin(envelope, j.source.Arrived)
	j.origin = indexer.Origin{Owner: envelope.Owner, LogGroup: envelope.LogGroup, LogStream: envelope.LogStream}
	for more := true; more && !j.incomplete; {
		more = j.addDocuments()
	}
	for _, rejected := range envelope.Rejected {
		j.deadLetter(indexer.Record{LogGroup: envelope.LogGroup.String(), LogStream: envelope.LogStream.String()},
			deadletter.StageParse, rejected.Err, rejected.Raw)
	}
}

// addDocuments adds documents of the envelope's next events, as many as are passed to the
// indexer at once. It reports whether the envelope has more.
func (j *recordJob) addDocuments() (more bool) {
	room := maxPutBytes
	if j.docs != nil {
		room -= len(j.docs.Body)
	}
	documents, size, more := j.mapper.Prepare(room)
	if documents == 0 {
		return false
	}
	if size > room {
		j.flush(0)
	}
	reserved := int64(0)
	if size > maxPutBytes && !j.incomplete {
		// The bytes are reserved before they are allocated.
		reserved = j.consumer.indexer.Reserve(j.ctx, j.shard, int64(size))
		j.incomplete = reserved == 0
		if j.holdsLarge {
			garbage.Collect()
		}
	}
	if j.incomplete {
		return false
	}
	if j.docs == nil {
		j.docs = indexer.NewDocuments(j.source, size)
	}
	j.docs.From(j.origin)
	for range documents {
		j.appendDocument()
	}
	if more || reserved > 0 {
		j.flush(reserved)
	}
	return more
}

// appendDocument appends the next document, and the fields of its event that a dead letter
// needs in addition.
func (j *recordJob) appendDocument() {
	var event *subscription.Event
	j.docs.Body, event = j.mapper.Append(j.docs.Body)
	switch {
	case event.OriginalID != nil:
		j.docs.Extra("id", event.OriginalID)
	case !j.mapper.HasIDs():
		j.docs.Extra("id", fmt.Appendf(nil, "%q", event.ID))
	}
	if fields := extractedFields(event); fields != nil {
		j.docs.Extra("extractedFields", fields)
	}
	j.docs.Next(event.Position)
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

// flush passes the collected documents to the indexer. reserved is the number of bytes that
// are already reserved for them.
func (j *recordJob) flush(reserved int64) {
	docs := j.docs
	j.docs = nil
	switch {
	case docs == nil:
	case j.incomplete:
		docs.Recycle()
	default:
		j.consumer.metrics.events.Add(float64(docs.Len()))
		j.incomplete = !j.put(docs, reserved, j.acks)
	}
}

func (j *recordJob) deadLetter(of indexer.Record, stage string, reason error, payload []byte) {
	if j.incomplete {
		return
	}
	j.deadLetters++
	of.Source, of.Occurrence = j.source, j.deadLetters
	reserved := int64(0)
	if len(payload) > maxPutBytes {
		reserved = j.consumer.indexer.Reserve(j.ctx, j.shard, int64(len(payload)))
		j.incomplete = reserved == 0
	}
	j.incomplete = j.incomplete || !j.put(indexer.NewDeadLetter(of, stage, reason, payload), reserved, j.acks)
}

func stageOf(err error) string {
	var e *subscription.Error
	if errors.As(err, &e) {
		return e.Stage
	}
	return deadletter.StageParse
}
