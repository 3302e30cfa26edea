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

// newClient returns the client that the library makes its calls with. They are answered by
// the Reader, and nothing is sent. What that cures:
//   - the library takes one lease at each look at the shards: its listing waits for the next
//     assignment, so it looks as often as there are leases to take;
//   - it knows one initial position for all shards without a checkpoint, children included:
//     the Reader places each;
//   - it makes five reads at once, and sleeps for the rest of the second then;
//   - its calls have no deadline, and end neither with the worker nor with the lease;
//   - it gives a lease back when an iterator has expired: the iterators it gets are the
//     shards' ids, and the Reader has those of Kinesis;
//   - it panics if an answer does not say how far it is behind.
func newClient(region string, reader Reader) *kinesis.Client {
	return kinesis.New(kinesis.Options{Region: region, APIOptions: []func(*middleware.Stack) error{
		func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("logsluice", calls{reader}.answer), middleware.After)
		},
	}})
}

// calls answers the library's calls of Kinesis.
type calls struct{ reader Reader }

// loggedError is an error of the Reader, which has it logged.
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

// listing returns the shards of the assignment. It has no parents: the lease table alone
// decides when a child may start, and the library, if it knew a parent, would wait for it
// in a loop of its own that heeds no stop and renews nothing. It would also start a child
// whose parent has no row yet, and look at no second parent.
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
