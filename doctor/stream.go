package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/subscription"
)

// The link of the stream: whether it exists and can be read, and whether a recent record
// can be decoded.

// sample is a record of the stream, the first of the last hour in its shard.
type sample struct {
	arrived time.Time
	owner   string // the account whose log events it has, "" if it has none
}

const (
	sampleAge = time.Hour
	// sampleShards are looked at for a sample, and reads of each made: an answer may
	// be empty although there are records behind it.
	sampleShards, sampleReads = 4, 3
	// readPause keeps to the five reads a second of a shard, together with a worker.
	readPause = 300 * time.Millisecond
	// sampleInflated is what a sample may inflate to, in bytes.
	sampleInflated = 64 << 20
)

// CorrectStream is the remedy for a stream that does not exist.
const CorrectStream = "correct STREAM_NAME (--stream-name) or AWS_REGION, or make the stream (deploy/logsluice.yaml)"

// stream looks at the stream, and whether it can be read.
func (w *walk) stream(ctx context.Context, f *Finding) {
	err := bounded(ctx, func(ctx context.Context) error {
		summary, err := consumer.Summary(ctx, w.Kinesis, w.Stream)
		if err == nil {
			tellStream(f, w.Stream, summary)
		}
		return err
	})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		f.fail(CorrectStream, "there is no stream %s in %s", w.Stream, consumer.StreamRegion(w.Stream, w.AWS.Region))
		return
	case err != nil && consumer.IsDenied(err): // run does without
		f.warn(allow("kinesis:DescribeStreamSummary"), "stream %s cannot be described: %s", w.Stream, said(err))
	case err != nil:
		f.fail(remedyOf(err, "kinesis:DescribeStreamSummary"), "stream %s cannot be described: %s", w.Stream, said(err))
		return
	}
	w.readStream(ctx, f)
}

func tellStream(f *Finding, name string, s *types.StreamDescriptionSummary) {
	mode := "PROVISIONED"
	if s.StreamModeDetails != nil {
		mode = string(s.StreamModeDetails.StreamMode)
	}
	encryption := "not encrypted"
	if s.EncryptionType == types.EncryptionTypeKms {
		encryption = "encrypted with " + aws.ToString(s.KeyId)
	}
	f.note("%s is %s, %s, keeps records %dh, %s", name, s.StreamStatus, mode, aws.ToInt32(s.RetentionPeriodHours), encryption)
	switch s.StreamStatus {
	case types.StreamStatusActive, types.StreamStatusUpdating:
	case types.StreamStatusCreating:
		f.fail("wait until it is ACTIVE, and try again", "stream %s is not ready", name)
	default:
		f.fail("make it again when it is gone (deploy/logsluice.yaml); logs are lost meanwhile, as CloudWatch Logs skips what it cannot send for want of a stream", "stream %s is going away", name)
	}
}

// readStream lists the shards and reads as a worker does.
func (w *walk) readStream(ctx context.Context, f *Finding) {
	shards, _, err := consumer.ListShards(ctx, w.Kinesis, w.Stream)
	if err != nil {
		f.fail(remedyOf(err, "kinesis:ListShards"), "its shards cannot be listed: %s", said(err))
		return
	}
	w.shards = shards
	open := []checkpoint.Shard{}
	for _, s := range shards {
		if !s.Closed {
			open = append(open, s)
		}
	}
	f.note("%d shards open, %d closed", len(open), len(shards)-len(open))
	for i, s := range open[:min(len(open), sampleShards)] {
		record, ok := w.read(ctx, f, s.ID)
		switch {
		case !ok:
			return
		case record != nil:
			w.tellSample(f, s.ID, record)
			return
		case i == min(len(open), sampleShards)-1:
			f.note("can be read; no record of the last hour in %d shards", i+1)
		}
	}
}

// read looks for a record of the last hour. It is not ok if reading fails.
func (w *walk) read(ctx context.Context, f *Finding, shard string) (record *types.Record, ok bool) {
	from := time.Now().Add(-sampleAge)
	var iterator *string
	err := bounded(ctx, func(ctx context.Context) error {
		answer, err := w.Kinesis.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
			StreamName: &w.Stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &from,
		})
		if err == nil {
			iterator = answer.ShardIterator
		}
		return err
	})
	if err != nil {
		f.fail(remedyOf(err, "kinesis:GetShardIterator"), "%s cannot be read: %s", shard, said(err))
		return nil, false
	}
	for try := 0; try < sampleReads && iterator != nil; try++ {
		if try > 0 && !pause(ctx, readPause) {
			return nil, false
		}
		var answer *kinesis.GetRecordsOutput
		err := bounded(ctx, func(ctx context.Context) (err error) {
			answer, err = w.Kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(1)})
			return err
		})
		var busy *types.ProvisionedThroughputExceededException
		switch {
		case errors.As(err, &busy):
			f.note("%s can be read, and is read by others as often as it allows", shard)
			return nil, false
		case strings.HasPrefix(code(err), "KMS"):
			f.fail("allow kms:Decrypt with the stream's key to the task role, and see that the key is enabled", "%s cannot be decrypted: %s", shard, said(err))
			return nil, false
		case err != nil:
			f.fail(remedyOf(err, "kinesis:GetRecords"), "%s cannot be read: %s", shard, said(err))
			return nil, false
		case len(answer.Records) > 0:
			return &answer.Records[0], true
		case aws.ToInt64(answer.MillisBehindLatest) == 0:
			return nil, true
		}
		iterator = answer.NextShardIterator
	}
	return nil, true
}

// tellSample tells what a record is.
func (w *walk) tellSample(f *Finding, shard string, record *types.Record) {
	w.sample = &sample{arrived: aws.ToTime(record.ApproximateArrivalTimestamp)}
	what, events := "", 0
	controls, err := subscription.NewDecoder(sampleInflated).Decode(record.Data, func(e *subscription.Envelope) {
		events += len(e.Events)
		what, w.sample.owner = e.LogGroup.String(), e.Owner.String()
	})
	age := time.Since(w.sample.arrived).Round(time.Second)
	switch {
	case err != nil:
		f.warn("see who else writes to the stream: only CloudWatch Logs should; what is no subscription record becomes a dead letter",
			"a record of %s that came %s ago is no subscription record: %s", shard, age, err)
	case events > 0:
		f.note("a record of %s that came %s ago has %d events of %s", shard, age, events, what)
	default:
		f.note("a record of %s that came %s ago has %s", shard, age, fmt.Sprintf("%d control messages", controls))
	}
}
