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

// Checks before anything is created: whether the stream can be read, and whether the table
// is its lease table.

// ErrDeleting is returned when the stream is being deleted.
var ErrDeleting = errors.New("the stream is being deleted")

// errCreating is returned while the stream is being created.
var errCreating = errors.New("the stream is being created")

// Description describes a stream.
type Description struct {
	ARN       string
	Created   time.Time
	Retention time.Duration // how long records are kept
}

// Summary returns Kinesis' description of a stream. If the stream does not exist, the error
// is a types.ResourceNotFoundException. client was returned by NewKinesis for the stream.
func Summary(ctx context.Context, client *kinesis.Client, stream string) (*types.StreamDescriptionSummary, error) {
	answer, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	switch {
	case err != nil:
		return nil, fmt.Errorf("describe stream %s: %w", stream, err)
	case answer.StreamDescriptionSummary == nil:
		return nil, fmt.Errorf("describe stream %s: the response is not from Kinesis", stream)
	}
	return answer.StreamDescriptionSummary, nil
}

// Describe returns what a worker needs to know about a stream. It returns an error if the
// stream's status does not allow reading.
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

// Check checks the stream and then the lease table. It creates nothing. It retries while
// either is temporarily not ready or AWS cannot be reached. Run uses its description of the
// stream. It returns ErrDeleting, the errors of checkpoint.Table.Check, and errors of AWS.
func (c *Consumer) Check(ctx context.Context) (d Description, err error) {
	lines := statelog.NewSampler()
	err = c.retryAtStart(ctx, "cannot use the stream yet; trying again: run logsluice doctor", func(ctx context.Context) (err error) {
		d, err = c.describe(ctx, lines)
		return err
	})
	if err != nil {
		return d, err
	}
	if d.ARN != "" {
		c.identity.ARN, c.identity.Created = d.ARN, d.Created
		c.stream.retention.set(d.Retention)
	}
	return d, c.retryAtStart(ctx, "cannot use the lease table yet; trying again: run logsluice doctor", func(ctx context.Context) error {
		return c.table.Check(ctx, c.identity)
	})
}

const describeRemedy = "grant kinesis:DescribeStreamSummary on the stream to the task role"

// describe describes the stream and lists its shards. It fails if the shards cannot be listed,
// but not if the permission to describe the stream is missing.
func (c *Consumer) describe(ctx context.Context, lines *statelog.Sampler) (Description, error) {
	d, err := Describe(ctx, c.stream.kinesis, c.cfg.Stream)
	switch {
	case IsDenied(err):
		lines.Warn(c.cfg.Log, apiCode(err)).Err(err).Str("remedy", describeRemedy).Msg("the stream cannot be described")
	case err != nil:
		return d, err
	}
	_, _, err = c.stream.list(ctx)
	return d, err
}
