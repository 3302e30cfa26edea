package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/internal/statelog"
)

// What is asked of Kinesis and DynamoDB before anything is created: whether the stream can
// be read, and whether the table is its lease table.

// ErrDeleting is returned when the stream is being deleted.
var ErrDeleting = errors.New("the stream is being deleted")

// errCreating passes by itself.
var errCreating = errors.New("the stream is being created")

// Description is what Kinesis says of a stream.
type Description struct {
	ARN       string
	Created   time.Time
	Retention time.Duration // how long records are kept
}

// Summary asks for all that Kinesis says of a stream. One that does not exist is a
// types.ResourceNotFoundException. client is one of NewKinesis for the stream.
func Summary(ctx context.Context, client *kinesis.Client, stream string) (*types.StreamDescriptionSummary, error) {
	answer, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	switch {
	case err != nil:
		return nil, fmt.Errorf("describe stream %s: %w", stream, err)
	case answer.StreamDescriptionSummary == nil:
		return nil, fmt.Errorf("describe stream %s: the answer is not one of Kinesis", stream)
	}
	return answer.StreamDescriptionSummary, nil
}

// Describe asks for what a worker needs to know of a stream, whose status has to allow
// reading.
func Describe(ctx context.Context, client *kinesis.Client, stream string) (Description, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := Summary(ctx, client, stream)
	if err != nil {
		return Description{}, err
	}
	d := Description{
		ARN: aws.ToString(s.StreamARN), Created: aws.ToTime(s.StreamCreationTimestamp),
		Retention: time.Duration(aws.ToInt32(s.RetentionPeriodHours)) * time.Hour,
	}
	switch s.StreamStatus {
	case types.StreamStatusCreating:
		err = fmt.Errorf("%s: %w", stream, errCreating)
	case types.StreamStatusDeleting:
		err = fmt.Errorf("%s: %w", stream, ErrDeleting)
	}
	return d, err
}

// Check asks for the stream and then for the lease table, and creates nothing. While
// either is not ready for a reason that passes, or AWS cannot be reached, it tries
// again. Run goes by what it finds of the stream. Besides what AWS answers it returns
// ErrDeleting and checkpoint.ErrOtherTable.
func (c *Consumer) Check(ctx context.Context) (d Description, err error) {
	lines := statelog.NewSampler()
	err = c.retryAtStart(ctx, "cannot begin with the stream; trying again: run logsluice doctor", func(ctx context.Context) (err error) {
		d, err = c.find(ctx, lines)
		return err
	})
	if err != nil {
		return d, err
	}
	if d.ARN != "" {
		c.identity.ARN, c.identity.Created = d.ARN, d.Created
		c.stream.retention.set(d.Retention)
	}
	return d, c.retryAtStart(ctx, "cannot begin with the lease table; trying again: run logsluice doctor", func(ctx context.Context) error {
		return c.table.Check(ctx, c.identity)
	})
}

// find describes the stream, and lists its shards, without which no worker can run. It
// can do without the right to describe the stream.
func (c *Consumer) find(ctx context.Context, lines *statelog.Sampler) (Description, error) {
	d, err := Describe(ctx, c.stream.kinesis, c.cfg.Stream)
	switch {
	case IsDenied(err):
		lines.Warn(c.cfg.Log, apiCode(err)).Err(err).Msg("the stream cannot be described: allow kinesis:DescribeStreamSummary on it to the task role")
	case err != nil:
		return d, err
	}
	_, _, err = c.stream.list(ctx)
	return d, err
}
