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

// The link stream: whether it exists and can be read, and whether a recent record can be
// decoded.

// sample describes a record of the stream, the first of the last hour in its shard.
type sample struct {
	arrived time.Time
	owner   string // the account that the log events come from, "" if it has no events
}

const (
	sampleAge = time.Hour
	// sampleShards is how many shards are searched for a sample, and sampleReads how often each
	// is read: a response can be empty although records follow.
	sampleShards, sampleReads = 4, 3
	// readPause keeps the reads of doctor and a worker below five per second and shard.
	readPause = 300 * time.Millisecond
	// sampleInflated is the maximum inflated size of a sample in bytes.
	sampleInflated = 64 << 20
)

// CorrectStream is the remedy for a stream that does not exist.
const CorrectStream = "correct STREAM_NAME (--stream-name) or AWS_REGION, or create the stream (deploy/logsluice.yaml)"

// stream checks the stream and whether it can be read.
func (w *walk) stream(ctx context.Context, f *Finding) {
	err := bounded(ctx, func(ctx context.Context) error {
		summary, err := consumer.Summary(ctx, w.Kinesis, w.Stream)
		if err == nil {
			reportStream(f, w.Stream, summary)
		}
		return err
	})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		f.fail(CorrectStream, "stream %s does not exist in %s", w.Stream, consumer.StreamRegion(w.Stream, w.AWS.Region))
		return
	case err != nil && consumer.IsDenied(err): // run does not need it
		f.warn(allowRemedy("kinesis:DescribeStreamSummary"), "stream %s cannot be described: %s", w.Stream, awsErrorText(err))
	case err != nil:
		f.fail(remedyOf(err, "kinesis:DescribeStreamSummary"), "stream %s cannot be described: %s", w.Stream, awsErrorText(err))
		return
	}
	w.readStream(ctx, f)
}

func reportStream(f *Finding, name string, s *types.StreamDescriptionSummary) {
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
		f.fail("create it again once it is deleted (deploy/logsluice.yaml); until then logs are lost, as CloudWatch Logs skips what it cannot send", "stream %s is being deleted", name)
	}
}

// readStream lists the shards and reads from them as a worker does.
func (w *walk) readStream(ctx context.Context, f *Finding) {
	shards, _, err := consumer.ListShards(ctx, w.Kinesis, w.Stream)
	if err != nil {
		f.fail(remedyOf(err, "kinesis:ListShards"), "its shards cannot be listed: %s", awsErrorText(err))
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
			w.reportSample(f, s.ID, record)
			return
		case i == min(len(open), sampleShards)-1:
			f.note("can be read; no record of the last hour in %d shards", i+1)
		}
	}
}

// read returns a record of the last hour, or nil if a shard has none. ok is false if reading
// fails.
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
		f.fail(remedyOf(err, "kinesis:GetShardIterator"), "%s cannot be read: %s", shard, awsErrorText(err))
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
			f.note("%s can be read, but other consumers use up its reads", shard)
			return nil, false
		case strings.HasPrefix(code(err), "KMS"):
			f.fail("grant kms:Decrypt with the stream's key to the task role, and check that the key is enabled", "%s cannot be decrypted: %s", shard, awsErrorText(err))
			return nil, false
		case err != nil:
			f.fail(remedyOf(err, "kinesis:GetRecords"), "%s cannot be read: %s", shard, awsErrorText(err))
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

// reportSample decodes a record and reports its contents.
func (w *walk) reportSample(f *Finding, shard string, record *types.Record) {
	w.sample = &sample{arrived: aws.ToTime(record.ApproximateArrivalTimestamp)}
	what, events := "", 0
	controls, err := subscription.NewDecoder(sampleInflated).Decode(record.Data, func(e *subscription.Envelope) {
		events += len(e.Events)
		what, w.sample.owner = e.LogGroup.String(), e.Owner.String()
	})
	age := time.Since(w.sample.arrived).Round(time.Second)
	switch {
	case err != nil:
		f.warn("find out what else writes to the stream: only CloudWatch Logs should; other records become dead letters",
			"a record of %s that arrived %s ago is not a subscription record: %s", shard, age, err)
	case events > 0:
		f.note("a record of %s that arrived %s ago has %d events of %s", shard, age, events, what)
	default:
		f.note("a record of %s that arrived %s ago has %s", shard, age, fmt.Sprintf("%d control messages", controls))
	}
}
