// Package feed puts subscription records into a stream as CloudWatch Logs does, for the demo and
// for compose.yaml.
package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/internal/loggen"
)

const (
	// activeWithin is how long to wait for a stream to become active.
	activeWithin = time.Minute
	// throttled is the pause after a request that was partly refused.
	throttled = 200 * time.Millisecond
)

// EnsureStream creates a stream with a number of shards and waits until it is active. A stream
// that exists keeps its shards.
func EnsureStream(ctx context.Context, client *kinesis.Client, stream string, shards int32) error {
	_, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String(stream), ShardCount: aws.Int32(shards)})
	if exists := (*types.ResourceInUseException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("create the stream %s: %w", stream, err)
	}
	active := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, 5*time.Second })
	if err := active.Wait(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String(stream)}, activeWithin); err != nil {
		return fmt.Errorf("wait for the stream %s: %w", stream, err)
	}
	return nil
}

// Put sends records until Kinesis has accepted each. They must fit into one request: at most 500
// records and 10 MiB.
// See https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html.
func Put(ctx context.Context, client *kinesis.Client, stream string, records []loggen.Record) error {
	entries := make([]types.PutRecordsRequestEntry, len(records))
	for i, r := range records {
		entries[i] = types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(r.PartitionKey)}
	}
	for len(entries) > 0 {
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
		if err != nil {
			return fmt.Errorf("put records: %w", err)
		}
		var failed []types.PutRecordsRequestEntry
		for i, result := range out.Records {
			if result.ErrorCode != nil {
				failed = append(failed, entries[i])
			}
		}
		entries = failed
		if len(failed) > 0 {
			select {
			case <-time.After(throttled):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Trickle puts records of events as they happen, at a rate per second, until ctx ends. Then it
// returns nil. Different seeds have different event ids. After each put it calls done, unless
// that is nil, with the number of events so far.
func Trickle(ctx context.Context, client *kinesis.Client, stream string, seed uint64, perSecond int, done func(events int)) error {
	began, events := time.Now(), 0
	// For endless input, Span is the time of a million events.
	generator := loggen.New(loggen.Options{Seed: seed, Start: began, Span: 1_000_000 * time.Second / time.Duration(perSecond)})
	for {
		record, _ := generator.Next()
		if !record.Control {
			events += len(record.Events)
		}
		// A record is put when its last event has happened.
		happened := began.Add(time.Duration(float64(events) / float64(perSecond) * float64(time.Second)))
		select {
		case <-time.After(time.Until(happened)):
		case <-ctx.Done():
			return nil
		}
		if err := Put(ctx, client, stream, []loggen.Record{record}); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end was requested
			}
			return err
		}
		if done != nil {
			done(events)
		}
	}
}
