package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/checkpoint"
)

// Lag returns how far a shard's checkpoint is behind the tip, as Kinesis reports it. It reads
// one record, which counts towards the limit of 5 reads per second and shard for all
// consumers. client was returned by NewKinesis for the stream.
func Lag(ctx context.Context, client *kinesis.Client, stream, shard, sequenceNumber string, start checkpoint.Position) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	input := &kinesis.GetShardIteratorInput{StreamName: aws.String(stream), ShardId: aws.String(shard)}
	if sequenceNumber == "" {
		startAt(input, start)
	} else {
		input.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
		input.StartingSequenceNumber = aws.String(sequenceNumber)
	}
	at, err := client.GetShardIterator(ctx, input)
	if err != nil {
		return 0, fmt.Errorf("get a shard iterator of %s: %w", shard, err)
	}
	read, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(1)})
	if err != nil {
		return 0, fmt.Errorf("read a record of %s: %w", shard, err)
	}
	return time.Duration(aws.ToInt64(read.MillisBehindLatest)) * time.Millisecond, nil
}
