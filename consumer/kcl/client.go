package kcl

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
)

// newClient returns the Kinesis client for the library. The Reader answers its calls, and
// nothing is sent. This works around the following defects of the library:
//   - It acquires one lease per listing of the shards. Here a listing waits for the next
//     assignment, so the library lists as often as there are leases to acquire.
//   - It has one initial position for all shards without a checkpoint, including children.
//     The Reader sets the position of each shard.
//   - It makes five reads at once and then sleeps for the rest of the second.
//   - Its calls have no deadline, and end neither with the worker nor with the lease.
//   - It releases the lease when an iterator has expired. Here its iterators are shard ids,
//     and the Reader keeps the iterators of Kinesis.
//   - It panics if an answer has no MillisBehindLatest.
func newClient(region string, reader Reader) *kinesis.Client {
	return kinesis.New(kinesis.Options{Region: region, APIOptions: []func(*middleware.Stack) error{
		func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("logsluice", calls{reader}.answer), middleware.After)
		},
	}})
}

// calls answers the library's calls to Kinesis.
type calls struct{ reader Reader }

// loggedError is an error of the Reader that is already logged.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

func (c calls) answer(ctx context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler) (
	out middleware.InitializeOutput, metadata middleware.Metadata, err error,
) {
	switch input := in.Parameters.(type) {
	case *kinesis.ListShardsInput:
		out.Result, err = c.listing(ctx)
	case *kinesis.GetShardIteratorInput:
		if err := c.reader.Begin(ctx, aws.ToString(input.ShardId)); err != nil {
			return out, metadata, loggedError{err}
		}
		out.Result = &kinesis.GetShardIteratorOutput{ShardIterator: input.ShardId}
	case *kinesis.GetRecordsInput:
		answer, err := c.reader.Read(ctx, aws.ToString(input.ShardIterator))
		if err != nil {
			return out, metadata, loggedError{err}
		}
		records := &kinesis.GetRecordsOutput{
			Records: answer.Records, MillisBehindLatest: &answer.MillisBehindLatest, NextShardIterator: input.ShardIterator,
		}
		if answer.IsLast {
			records.NextShardIterator = nil
		}
		out.Result = records
	default:
		err = fmt.Errorf("%T: %w", input, errors.ErrUnsupported)
	}
	return out, metadata, err
}

// listing returns the shards of the assignment, without their parents: only the lease table
// decides when a child may start. If the library knew the parent, it would wait for it in a
// loop that cannot be stopped and does not renew the lease. It would also start a child whose
// parent has no row yet, and ignore second parents.
func (c calls) listing(ctx context.Context) (*kinesis.ListShardsOutput, error) {
	ids, err := c.reader.Assignment(ctx)
	if err != nil {
		return nil, err
	}
	answer := &kinesis.ListShardsOutput{Shards: make([]types.Shard, len(ids))}
	for i := range ids {
		answer.Shards[i] = types.Shard{ShardId: &ids[i], SequenceNumberRange: &types.SequenceNumberRange{}}
	}
	return answer, nil
}
