package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/consumer/kcl"
	"logsluice/internal/statelog"
)

// Reading shards: where reading begins, evenly spaced GetRecords calls, and its end with the
// lease.

// callTimeout bounds one call to Kinesis with its retries.
const callTimeout = 15 * time.Second

// stream reads the shards of the Kinesis stream. It implements kcl.Reader.
//   - Calls end when the worker stops or the lease of their shard is lost. They cannot hang.
//   - A shard without a checkpoint is read from the position in the lease table.
//   - GetRecords calls of a shard are spaced evenly, within the shard's limits.
//   - The memory for answers is bounded for all shards together, by the number of answers and
//     by the records per answer.
//   - An iterator that expired while OpenSearch was unavailable is renewed.
//   - Aggregates are unpacked in bounded memory. An aggregate that cannot be unpacked is
//     marked, and becomes a dead letter.
type stream struct {
	name     string // or ARN
	kinesis  *kinesis.Client
	table    *checkpoint.Table
	reading  context.Context // ends when the worker stops
	interval time.Duration   // between two GetRecords calls of a shard
	metrics  *metrics
	shards   *shards

	log       zerolog.Logger
	retention retention

	fetchTokens chan struct{} // a token for each answer in memory
}

const (
	// maxFetches is the maximum number of answers to GetRecords in memory, for all shards:
	// from the call until their records are accepted.
	maxFetches = 8
	// fetchBytes is the target size of an answer. The limit of a call is computed from the
	// size of the previous records.
	fetchBytes = 1 << 20
	// shardBytesPerSecond is the read limit of a shard for all its readers. After a
	// larger answer, Kinesis rejects calls for at least its size divided by this.
	// See https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html.
	shardBytesPerSecond = 2e6
	// firstRecords is the limit of the first call, when the size of records is unknown.
	// maxRecords is the maximum that Kinesis returns per call.
	firstRecords, maxRecords = 10, 10_000
)

// reader is the reading of one shard under one lease.
type reader struct {
	shard    string
	lease    *checkpoint.Lease
	asked    time.Time                     // when GetRecords was last called
	next     time.Time                     // when it may be called again
	limit    int32                         // maximum number of records of the next call
	position kinesis.GetShardIteratorInput // of the next read
	iterator *string                       // for the same position, nil after the last answer of a closed shard
	last     string                        // sequence number of the last record, or the checkpoint
	read     time.Time                     // all records up to then are read or lost, by Kinesis' clock
	answered bool                          // this reading has had an answer
	wasEmpty bool                          // the last answer had no records
	// Guarded by shards.mu:
	holdsFetch bool // an answer is in memory whose records are not yet accepted
	parked     bool // reading must end
	// The gap that is not reported yet, nil if none is, and when it was found.
	gap      *gap
	gapFound time.Time
}

func newStream(reading context.Context, cfg Config, table *checkpoint.Table, m *metrics, all *shards) *stream {
	s := &stream{
		name:        cfg.Stream,
		table:       table,
		reading:     reading,
		interval:    cfg.PollInterval,
		metrics:     m,
		fetchTokens: make(chan struct{}, maxFetches),
		shards:      all,
		log:         cfg.Log,
	}
	s.retention.lines = statelog.NewSampler()
	s.kinesis = NewKinesis(cfg.AWS, cfg.Stream, func(o *kinesis.Options) { o.APIOptions = append(o.APIOptions, useDeserializer) })
	return s
}

// listTimeout bounds a listing of the shards, so that a worker notices silent workers even
// when a listing hangs.
const listTimeout = 5 * time.Second

func (s *stream) list(ctx context.Context) (shards []checkpoint.Shard, now time.Time, err error) {
	shards, now, err = ListShards(ctx, s.kinesis, s.name)
	if err != nil {
		err = &readError{cause: err, needs: "kinesis:ListShards"}
	}
	return shards, now, err
}

// ListShards lists the shards of a stream, including second parents, and returns the time by
// Kinesis' clock, to the second. client was returned by NewKinesis for the stream.
func ListShards(ctx context.Context, client *kinesis.Client, stream string) (shards []checkpoint.Shard, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	input := &kinesis.ListShardsInput{StreamName: aws.String(stream)}
	for {
		page, err := client.ListShards(ctx, input)
		if err != nil {
			return nil, now, fmt.Errorf("list the shards of stream %s: %w", stream, err)
		}
		if t, ok := awsmiddleware.GetServerTime(page.ResultMetadata); ok {
			now = t
		}
		for _, listed := range page.Shards {
			shard := checkpoint.Shard{ID: aws.ToString(listed.ShardId)}
			for _, parent := range []*string{listed.ParentShardId, listed.AdjacentParentShardId} {
				if parent != nil {
					shard.Parents = append(shard.Parents, *parent)
				}
			}
			if r := listed.SequenceNumberRange; r != nil {
				shard.First, shard.Last = aws.ToString(r.StartingSequenceNumber), aws.ToString(r.EndingSequenceNumber)
				shard.Closed = r.EndingSequenceNumber != nil
			}
			shards = append(shards, shard)
		}
		if page.NextToken == nil {
			break
		}
		input = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
	if now.IsZero() {
		return nil, now, fmt.Errorf("list the shards of stream %s: the answer has no Date header", stream)
	}
	return shards, now, nil
}

// Assignment waits until there are leases to acquire. It returns their shards and those of
// the leases that are held.
func (s *stream) Assignment(ctx context.Context) (ids []string, err error) {
	err = s.whileRunning(ctx, func(ctx context.Context) (err error) {
		ids, err = s.table.Assignment(ctx)
		return err
	})
	return ids, err
}

// Acquired starts to track the progress of a shard's reader, until Ended.
func (s *stream) Acquired(shard string) { s.shards.expectReader(shard) }

// Ended stops tracking the progress of a shard's reader.
func (s *stream) Ended(shard string) { s.shards.expectNoReader(shard) }

// Begin gets the first iterator of a shard. Its lease must be held.
func (s *stream) Begin(ctx context.Context, shard string) error {
	return s.whileRunning(ctx, func(ctx context.Context) error {
		r := &reader{shard: shard, limit: firstRecords, lease: s.table.Lease(shard)}
		err := r.whileLeased(ctx, func(ctx context.Context) (err error) {
			if err := s.waitWhileParked(ctx, shard); err != nil {
				return err
			}
			r.setStart(s.name)
			s.moveToHorizon(ctx, r)
			r.iterator, err = s.getIterator(ctx, r)
			return err
		})
		if r.position.ShardIteratorType == types.ShardIteratorTypeAfterSequenceNumber && errors.As(err, new(*types.InvalidArgumentException)) {
			r.lease.CheckpointRefused()
		}
		if err = s.noteFailure(r, err); err == nil {
			s.setReader(r)
		}
		return err
	})
}

// Read returns the next records of a shard, with aggregates unpacked.
func (s *stream) Read(ctx context.Context, shard string) (kcl.Answer, error) {
	var answer *kinesis.GetRecordsOutput
	err := s.whileRunning(ctx, func(ctx context.Context) error {
		r := s.readerOf(shard)
		s.releaseFetch(r) // the previous records are accepted
		err := s.noteFailure(r, r.whileLeased(ctx, func(ctx context.Context) (err error) {
			answer, err = s.fetch(ctx, r)
			return err
		}))
		if err == nil {
			err = s.noteFailure(r, r.whileLeased(ctx, func(ctx context.Context) error { return s.processAnswer(ctx, r, answer) }))
		}
		if err != nil || len(answer.Records) == 0 {
			s.releaseFetch(r)
		}
		return err
	})
	if err != nil {
		return kcl.Answer{}, err
	}
	return kcl.Answer{
		Records: answer.Records, MillisBehindLatest: aws.ToInt64(answer.MillisBehindLatest), IsLast: answer.NextShardIterator == nil,
	}, nil
}

// whileRunning makes a call with a context that ends when the worker stops.
func (s *stream) whileRunning(ctx context.Context, call func(context.Context) error) error {
	if err := s.reading.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.reading, cancel)() //nolint:contextcheck // ends with the worker, not with the call
	return call(ctx)
}

// fetch waits until a shard may be read and calls GetRecords. It renews an expired iterator.
func (s *stream) fetch(ctx context.Context, r *reader) (*kinesis.GetRecordsOutput, error) {
	defer s.shards.enter(r.shard)()
	if s.isParked(r) {
		return nil, errParked
	}
	if err := r.pace(ctx); err != nil {
		return nil, err
	}
	if err := s.acquireFetch(ctx, r); err != nil {
		return nil, err
	}
	r.asked = time.Now()
	r.next = r.asked.Add(s.interval)
	if !r.wasEmpty || !s.moveToHorizon(ctx, r) {
		answer, err := s.getRecords(ctx, r, r.iterator)
		if !errors.As(err, new(*types.ExpiredIteratorException)) {
			return answer, err
		}
	}
	iterator, err := s.renew(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.getRecords(ctx, r, iterator)
}

// getRecords calls GetRecords.
func (s *stream) getRecords(ctx context.Context, r *reader, iterator *string) (*kinesis.GetRecordsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := s.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: &r.limit})
	return answer, causeOf(err)
}

// getIterator calls GetShardIterator for the position of the next read.
func (s *stream) getIterator(ctx context.Context, r *reader) (*string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := s.kinesis.GetShardIterator(ctx, &r.position)
	if err != nil {
		return nil, causeOf(err)
	}
	return answer.ShardIterator, nil
}

// causeOf returns the error of a call without the name of the operation: the log lines
// already state that a shard cannot be read.
func causeOf(err error) error {
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		return operation.Err
	}
	return err
}

// acquireFetch waits until one more answer may be in memory.
func (s *stream) acquireFetch(ctx context.Context, r *reader) error {
	select {
	case s.fetchTokens <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	r.holdsFetch = true
	return nil
}

// releaseFetch records that a reader's answer is no longer in memory.
func (s *stream) releaseFetch(r *reader) {
	if r == nil {
		return
	}
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	s.releaseFetchLocked(r)
}

// releaseFetchLocked is like releaseFetch. s.shards.mu must be held.
func (s *stream) releaseFetchLocked(r *reader) {
	if r.holdsFetch {
		r.holdsFetch = false
		<-s.fetchTokens
	}
}

// endReading forgets the reader of a shard, if it has one: it releases the reader's answer and
// reports a pending gap.
func (s *stream) endReading(shard string) {
	s.releaseFetchOf(shard)
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	if known := s.shards.byID[shard]; known != nil && known.reader != nil {
		s.reportGapLocked(known.reader)
		known.reader = nil
	}
}

// releaseFetchOf is like releaseFetch for the reader of a shard.
func (s *stream) releaseFetchOf(shard string) {
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	if known := s.shards.byID[shard]; known != nil && known.reader != nil {
		s.releaseFetchLocked(known.reader)
	}
}

// renew returns a new iterator for the position of the next read.
func (s *stream) renew(ctx context.Context, r *reader) (iterator *string, err error) {
	if iterator, err = s.getIterator(ctx, r); err != nil {
		return nil, fmt.Errorf("renew the iterator of %s: %w", r.shard, err)
	}
	return iterator, nil
}

// setReader sets the reader of a shard.
func (s *stream) setReader(begun *reader) {
	s.endReading(begun.shard)
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	s.shards.ofLocked(begun.shard).reader = begun
}

// readerOf returns the reader of a shard, nil if it has none.
func (s *stream) readerOf(shard string) *reader {
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	if known := s.shards.byID[shard]; known != nil {
		return known.reader
	}
	return nil
}

// errNotLeased ends a reading whose lease is lost, released or claimed.
var errNotLeased = errors.New("the lease of the shard is lost or released")

// whileLeased makes a call with a context that ends when the shard must no longer be read.
func (r *reader) whileLeased(ctx context.Context, call func(context.Context) error) error {
	if r == nil || r.lease == nil || r.lease.Reading().Err() != nil {
		return errNotLeased
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.lease.Reading(), cancel)() //nolint:contextcheck // ends with the lease, not with the call
	err := call(ctx)
	if err != nil && r.lease.Reading().Err() != nil {
		return errNotLeased
	}
	return err
}

// setStart sets where reading begins.
func (r *reader) setStart(stream string) {
	r.last, r.read = r.lease.Checkpoint(), r.lease.UnreadSince()
	r.position = kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &r.shard}
	if r.last == "" {
		startAt(&r.position, r.lease.Start())
		return
	}
	r.position.ShardIteratorType, r.position.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, aws.String(r.last)
}

// startAt sets the position where reading begins without a checkpoint.
func startAt(input *kinesis.GetShardIteratorInput, start checkpoint.Position) {
	input.ShardIteratorType = types.ShardIteratorTypeTrimHorizon
	if t, ok := start.Timestamp(); ok {
		input.ShardIteratorType, input.Timestamp = types.ShardIteratorTypeAtTimestamp, &t
	}
}

// pace waits until the shard's next call is due.
func (r *reader) pace(ctx context.Context) error {
	timer := time.NewTimer(time.Until(r.next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// processAnswer unpacks an answer and sets the iterator of the shard's next call. If the
// answer has too many user records, its last records are dropped and read again.
func (s *stream) processAnswer(ctx context.Context, r *reader, answer *kinesis.GetRecordsOutput) error {
	r.lease.ReadSucceeded()
	size := 0
	for i := range answer.Records {
		size += len(answer.Records[i].Data)
	}
	from := r.asked
	if now := time.Now(); now.Sub(from) > s.interval {
		from = now // the exact time is unknown: there may have been several attempts
	}
	r.next = from.Add(max(s.interval, time.Duration(size)*time.Second/shardBytesPerSecond))
	date, _ := awsmiddleware.GetServerTime(answer.ResultMetadata)
	wasEmpty := len(answer.Records) == 0
	skipped := r.skipRead(answer)
	pending := s.checkGap(ctx, r, date, answer, skipped)
	r.answered, r.wasEmpty = true, wasEmpty
	isEmpty := len(answer.Records) == 0
	lag := time.Duration(aws.ToInt64(answer.MillisBehindLatest)) * time.Millisecond
	// The answer may be older than its date by as much as the call took.
	through := date.Add(-lag - time.Since(r.asked))
	if !isEmpty {
		last, dropped, err := s.unpack(ctx, r, answer)
		if err != nil {
			return err
		}
		if !dropped.IsZero() {
			lag = max(lag, date.Sub(dropped))
			through = last
		}
		r.read = later(r.read, last)
	}
	marks := s.shards.answered(r.shard, r.lease, lag)
	if !date.IsZero() {
		r.lease.Answered(date, lag)
		r.read = later(r.read, through)
		if isEmpty && marks != nil && !pending {
			marks.through(through)
		}
	}
	r.iterator = answer.NextShardIterator
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// unpack replaces the aggregates in an answer with their user records and sets the position of the
// next read. last is the arrival time of the last unpacked record, and dropped that of the
// first dropped record, zero if none is dropped.
func (s *stream) unpack(ctx context.Context, r *reader, answer *kinesis.GetRecordsOutput) (last, dropped time.Time, err error) {
	records, all := answer.Records, len(answer.Records)
	unpacked, taken := unpack(records)
	answer.Records = unpacked
	size := userRecordBytes * (len(unpacked) - taken)
	for i := range records[:taken] {
		size += len(records[i].Data)
	}
	r.limit = int32(min(max(taken*fetchBytes/max(size, 1), 1), maxRecords))
	before := r.position
	r.position = kinesis.GetShardIteratorInput{
		StreamName: &s.name, ShardId: &r.shard,
		ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: records[taken-1].SequenceNumber,
	}
	last, lastBefore := aws.ToTime(records[taken-1].ApproximateArrivalTimestamp), r.last
	r.last = aws.ToString(records[taken-1].SequenceNumber)
	if taken == all {
		return last, time.Time{}, nil
	}
	dropped = aws.ToTime(records[taken].ApproximateArrivalTimestamp)
	if answer.NextShardIterator, err = s.renew(ctx, r); err != nil {
		r.position, r.last = before, lastBefore // the KCL gets none of the records
	}
	return last, dropped, err
}
