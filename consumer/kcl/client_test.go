package kcl

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
)

// scripted is a Reader with the answers of a test.
type scripted struct {
	Reader
	assignment []string
	answer     Answer
	err        error
	begun      []string
	read       []string
}

func (s *scripted) Assignment(context.Context) ([]string, error) { return s.assignment, s.err }

func (s *scripted) Begin(_ context.Context, shard string) error {
	s.begun = append(s.begun, shard)
	return s.err
}

func (s *scripted) Read(_ context.Context, shard string) (Answer, error) {
	s.read = append(s.read, shard)
	return s.answer, s.err
}

// The Reader answers the library's calls. Any other call fails and is not sent.
func TestClient(t *testing.T) {
	t.Parallel()
	reader := &scripted{assignment: []string{shard0, shard1}}
	client := newClient("us-east-1", reader)
	listed, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil || len(listed.Shards) != 2 || listed.NextToken != nil {
		t.Fatalf("%+v, %v", listed, err)
	}
	for i, shard := range listed.Shards {
		if *shard.ShardId != reader.assignment[i] || shard.ParentShardId != nil || shard.AdjacentParentShardId != nil || shard.SequenceNumberRange == nil {
			t.Errorf("shard %d is listed as %+v", i, shard)
		}
	}
	at, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("s"), ShardId: aws.String(shard1), ShardIteratorType: types.ShardIteratorTypeLatest,
	})
	if err != nil || !slices.Equal(reader.begun, []string{shard1}) {
		t.Fatalf("begun %q, %v", reader.begun, err)
	}
	reader.answer = Answer{Records: []types.Record{{SequenceNumber: aws.String("1")}}}
	get := func() (*kinesis.GetRecordsOutput, error) {
		return client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(1)})
	}
	got, err := get()
	if err != nil || len(got.Records) != 1 || got.MillisBehindLatest == nil || got.NextShardIterator == nil || *got.NextShardIterator != *at.ShardIterator {
		t.Fatalf("%+v, %v", got, err)
	}
	reader.answer = Answer{MillisBehindLatest: 7, IsLast: true}
	if got, err = get(); err != nil || *got.MillisBehindLatest != 7 || got.NextShardIterator != nil {
		t.Fatalf("the last answer: %+v, %v", got, err)
	}
	if !slices.Equal(reader.read, []string{shard1, shard1}) {
		t.Errorf("read %q", reader.read)
	}
	if _, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another call: %v", err)
	}

	// The library decides by the type of an error whether to retry. The logger drops errors
	// that the Reader has logged.
	reader.err = &types.ProvisionedThroughputExceededException{}
	_, err = get()
	if !errors.As(err, new(*types.ProvisionedThroughputExceededException)) || !isLogged(err) {
		t.Errorf("a read fails with %v, logged %t", err, isLogged(err))
	}
	_, err = client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("s"), ShardId: aws.String(shard1), ShardIteratorType: types.ShardIteratorTypeLatest,
	})
	if !errors.As(err, new(*types.ProvisionedThroughputExceededException)) || !isLogged(err) {
		t.Errorf("a reading begins with %v, logged %t", err, isLogged(err))
	}
	if _, err = client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")}); err == nil || isLogged(err) {
		t.Errorf("a listing fails with %v", err)
	}
}

// shard is a Processor that records its calls.
type shard struct {
	id       string
	records  int
	shutdown []string
}

func (s *shard) ProcessRecords(records []types.Record) { s.records += len(records) }

func (s *shard) Shutdown(finish func() error) {
	what := "stopped"
	if finish != nil {
		what = "finished"
		if err := finish(); err != nil {
			what = err.Error()
		}
	}
	s.shutdown = append(s.shutdown, what)
}

// checkpointed is a checkpointer that records its calls.
type checkpointed struct {
	interfaces.IRecordProcessorCheckpointer
	numbers []*string
}

func (c *checkpointed) Checkpoint(number *string) error {
	c.numbers = append(c.numbers, number)
	return errors.ErrUnsupported
}

// A processor is for one shard. It writes the shard's end with the library's checkpointer and
// gets its error. When the worker stops it writes nothing.
func TestProcessor(t *testing.T) {
	t.Parallel()
	var created []*shard
	factory := processors(func(id string) Processor {
		s := &shard{id: id}
		created = append(created, s)
		return s
	})
	p := factory.CreateProcessor()
	p.Initialize(&interfaces.InitializationInput{ShardId: shard0})
	p.ProcessRecords(&interfaces.ProcessRecordsInput{Records: make([]types.Record, 3)})
	c := &checkpointed{}
	p.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.REQUESTED, Checkpointer: c})
	if len(c.numbers) > 0 {
		t.Errorf("a stopping worker writes %v", c.numbers)
	}
	p.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.TERMINATE, Checkpointer: c})
	if len(created) != 1 || created[0].id != shard0 || created[0].records != 3 || !slices.Equal(created[0].shutdown, []string{"stopped", "unsupported operation"}) {
		t.Errorf("%+v", created)
	}
	if len(c.numbers) != 1 || c.numbers[0] != nil {
		t.Errorf("the end is written as %v", c.numbers)
	}
}
