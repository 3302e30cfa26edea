package fakeaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// clock is a clock set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// service is a fake under a clock set by hand, reached by the SDK without a socket.
type service struct {
	*kinesis.Client
	fake  *Kinesis
	clock *clock
}

func newService(t *testing.T, options KinesisOptions, shards int32) *service {
	t.Helper()
	c := &clock{now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
	options.Clock = c.Now
	fake := NewKinesis(options)
	s := &service{fake: fake, clock: c, Client: client("http://kinesis.local", &http.Client{Transport: RoundTripper(fake)})}
	if _, err := s.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(shards)}); err != nil {
		t.Fatal(err)
	}
	return s
}

func client(url string, h aws.HTTPClient) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1", HTTPClient: h, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
	})
}

func (s *service) put(t *testing.T, key, data string) (shardID, number string) {
	t.Helper()
	out, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(key), Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ShardId, *out.SequenceNumber
}

func (s *service) iterator(t *testing.T, in kinesis.GetShardIteratorInput) *string {
	t.Helper()
	in.StreamName = aws.String("s")
	out, err := s.GetShardIterator(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ShardIterator
}

func (s *service) get(t *testing.T, iterator *string) *kinesis.GetRecordsOutput {
	t.Helper()
	out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *service) list(t *testing.T) []types.Shard {
	t.Helper()
	out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		t.Fatal(err)
	}
	return out.Shards
}

func texts(out *kinesis.GetRecordsOutput) string {
	var list []string
	for _, r := range out.Records {
		list = append(list, string(r.Data))
	}
	return strings.Join(list, " ")
}

// code expects an error of the service.
func code(t *testing.T, err error, want string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != want {
		t.Errorf("want %s, got %v", want, err)
	}
}

const first = "shardId-000000000000"

func TestIteratorTypes(t *testing.T) {
	s := newService(t, KinesisOptions{NoReadLimits: true}, 1)
	var numbers []string
	var times []time.Time
	for i := range 4 {
		times = append(times, s.clock.Now())
		_, number := s.put(t, "k", fmt.Sprint(i))
		numbers = append(numbers, number)
		s.clock.advance(time.Minute)
	}
	if !slices.IsSorted(numbers) {
		t.Errorf("sequence numbers %v", numbers)
	}
	f := func(in kinesis.GetShardIteratorInput, want string) {
		t.Helper()
		in.ShardId = aws.String(first)
		if got := texts(s.get(t, s.iterator(t, in))); got != want {
			t.Errorf("%s: got %q, want %q", in.ShardIteratorType, got, want)
		}
	}
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}, "0 1 2 3")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}, "")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &numbers[1]}, "1 2 3")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &numbers[1]}, "2 3")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &numbers[3]}, "")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &times[2]}, "2 3")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(times[2].Add(time.Millisecond))}, "3")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(times[0].Add(-time.Hour))}, "0 1 2 3")
	out := s.get(t, s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}))
	if r := out.Records[1]; *r.SequenceNumber != numbers[1] || !r.ApproximateArrivalTimestamp.Equal(times[1]) || *r.PartitionKey != "k" {
		t.Errorf("record %v", r)
	}
}

func TestRequests_Failure(t *testing.T) {
	s := newService(t, KinesisOptions{}, 2)
	ctx := t.Context()
	name := aws.String("s")
	_, err := s.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("other")})
	code(t, err, codeNotFound)
	_, err = s.ListShards(ctx, &kinesis.ListShardsInput{StreamName: name, NextToken: aws.String("x")})
	code(t, err, codeInvalidArgument)
	_, err = s.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)})
	code(t, err, codeInUse)
	_, err = s.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String("shardId-9"), ShardIteratorType: types.ShardIteratorTypeLatest})
	code(t, err, codeNotFound)
	_, err = s.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: aws.String("TRIM_HORIZON")})
	code(t, err, codeInvalidArgument)
	_, err = s.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(s.clock.Now().Add(time.Second))})
	code(t, err, codeInvalidArgument)
	_, err = s.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("garbage")})
	code(t, err, codeInvalidArgument)
	_, err = s.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: name, PartitionKey: aws.String("k"), Data: make([]byte, maxRecordBytes)})
	code(t, err, codeValidation)
	_, err = s.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: make([]types.PutRecordsRequestEntry, 0)})
	code(t, err, codeValidation)
	_, err = s.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: name, ShardToMerge: aws.String(first), AdjacentShardToMerge: aws.String(first)})
	code(t, err, codeInvalidArgument)
	_, err = s.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: name, ShardToSplit: aws.String(first), NewStartingHashKey: aws.String("0")})
	code(t, err, codeInvalidArgument)
	_, err = s.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(5), ScalingType: types.ScalingTypeUniformScaling})
	code(t, err, codeInvalidArgument)
	_, err = s.ListStreamConsumers(ctx, &kinesis.ListStreamConsumersInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")})
	code(t, err, "UnknownOperationException")
	s.fake.Fail(func(operation, shard string) *APIError {
		if operation == "GetShardIterator" && shard == first {
			return &APIError{Code: "InternalFailure", Status: http.StatusInternalServerError}
		}
		return nil
	})
	_, err = s.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeLatest})
	code(t, err, "InternalFailure")
	if _, err := s.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = s.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
	code(t, err, codeNotFound)
}

func TestIteratorExpires(t *testing.T) {
	s := newService(t, KinesisOptions{}, 1)
	it := s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	s.clock.advance(5 * time.Minute)
	s.get(t, it)
	s.clock.advance(time.Millisecond)
	_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
	code(t, err, codeExpiredIterator)
}

// Five calls a second, 2 MB a second, 10 MB a call and then silence.
func TestReadLimits(t *testing.T) {
	s := newService(t, KinesisOptions{}, 1)
	it := s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	for range 5 {
		it = s.get(t, it).NextShardIterator
		s.clock.advance(100 * time.Millisecond)
	}
	_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
	code(t, err, codeThroughput)
	s.clock.advance(500 * time.Millisecond)
	for range 25 {
		s.put(t, "k", strings.Repeat("x", 900_000))
	}
	out := s.get(t, it)
	if n := len(out.Records); n != 11 { // 11 × 900,000 ≤ 10,000,000
		t.Errorf("%d records in an answer", n)
	}
	s.clock.advance(4900 * time.Millisecond)
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: out.NextShardIterator})
	code(t, err, codeThroughput)
	s.clock.advance(100 * time.Millisecond)
	if n := len(s.get(t, out.NextShardIterator).Records); n != 11 {
		t.Errorf("%d records in the next answer", n)
	}
}

func TestMillisBehindLatest(t *testing.T) {
	s := newService(t, KinesisOptions{NoReadLimits: true}, 1)
	for range 3 {
		s.put(t, "k", "x")
		s.clock.advance(time.Second)
	}
	it := s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	for _, want := range []int64{2000, 1000, 0, 0} {
		out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		if *out.MillisBehindLatest != want {
			t.Errorf("behind %d ms, want %d", *out.MillisBehindLatest, want)
		}
		it = out.NextShardIterator
	}
}

// covered checks that the open shards have each hash key once.
func covered(t *testing.T, shards []types.Shard) {
	t.Helper()
	var open []types.Shard
	for _, sh := range shards {
		if sh.SequenceNumberRange.EndingSequenceNumber == nil {
			open = append(open, sh)
		}
	}
	number := func(s *string) *big.Int { n, _ := new(big.Int).SetString(*s, 10); return n }
	slices.SortFunc(open, func(a, b types.Shard) int {
		return number(a.HashKeyRange.StartingHashKey).Cmp(number(b.HashKeyRange.StartingHashKey))
	})
	next := big.NewInt(0)
	for _, sh := range open {
		if number(sh.HashKeyRange.StartingHashKey).Cmp(next) != 0 {
			t.Errorf("%s begins at %s, want %s", *sh.ShardId, *sh.HashKeyRange.StartingHashKey, next)
		}
		next = new(big.Int).Add(number(sh.HashKeyRange.EndingHashKey), big.NewInt(1))
	}
	if last := new(big.Int).Sub(next, big.NewInt(1)); last.Cmp(maxHashKey) != 0 {
		t.Errorf("the last hash key is %s", last)
	}
}

func TestReshard(t *testing.T) {
	s := newService(t, KinesisOptions{NoReadLimits: true}, 2)
	ctx, name := t.Context(), aws.String("s")
	var before []string
	for i := range 100 {
		s.put(t, fmt.Sprint(i), fmt.Sprint(i))
		before = append(before, fmt.Sprint(i))
	}
	if _, err := s.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: name, ShardToSplit: aws.String(first), NewStartingHashKey: aws.String("12345678901234567890")}); err != nil {
		t.Fatal(err)
	}
	shards := s.list(t)
	covered(t, shards)
	if _, err := s.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: name, ShardToMerge: shards[1].ShardId, AdjacentShardToMerge: shards[3].ShardId}); err != nil {
		t.Fatal(err)
	}
	shards = s.list(t)
	covered(t, shards)
	merged := shards[4]
	if *merged.ParentShardId != *shards[1].ShardId || *merged.AdjacentParentShardId != *shards[3].ShardId || *shards[2].ParentShardId != first {
		t.Errorf("lineage: %v", shards)
	}
	_, err := s.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: name, ShardToSplit: aws.String(first), NewStartingHashKey: aws.String("1")})
	code(t, err, codeInvalidArgument) // it is closed
	for i := range 100 {
		s.put(t, fmt.Sprint(i), fmt.Sprint(i))
	}
	// Everything is found once by following the shards, and a closed one ends
	// with its children.
	var found []string
	for _, sh := range s.list(t) {
		it := s.iterator(t, kinesis.GetShardIteratorInput{ShardId: sh.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		for it != nil {
			out := s.get(t, it)
			for _, r := range out.Records {
				if *r.SequenceNumber <= *sh.SequenceNumberRange.StartingSequenceNumber {
					t.Errorf("record %s before the start of its shard", *r.SequenceNumber)
				}
				found = append(found, string(r.Data))
			}
			it = out.NextShardIterator
			if closed := sh.SequenceNumberRange.EndingSequenceNumber != nil; closed != (it == nil) {
				t.Errorf("%s: closed %v, next iterator %v", *sh.ShardId, closed, aws.ToString(it))
			}
			switch {
			case it != nil:
				it = nil
			case *sh.ShardId == *shards[1].ShardId:
				if c := out.ChildShards; len(c) != 1 || *c[0].ShardId != *merged.ShardId || len(c[0].ParentShards) != 2 {
					t.Errorf("children %v", c)
				}
			}
		}
	}
	want := slices.Concat(before, before)
	slices.Sort(want)
	slices.Sort(found)
	if !slices.Equal(found, want) {
		t.Errorf("%d records found, want %d", len(found), len(want))
	}
}

func TestUpdateShardCount(t *testing.T) {
	s := newService(t, KinesisOptions{}, 4)
	for _, n := range []int32{8, 5, 3, 6, 12, 6, 3, 2, 1, 2} {
		if _, err := s.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("s"), TargetShardCount: aws.Int32(n), ScalingType: types.ScalingTypeUniformScaling}); err != nil {
			t.Fatal(err)
		}
		covered(t, s.list(t))
		out, err := s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		if err != nil || *out.StreamDescriptionSummary.OpenShardCount != n {
			t.Errorf("%d open shards, want %d; %v", *out.StreamDescriptionSummary.OpenShardCount, n, err)
		}
	}
	known := map[string]bool{}
	for i, sh := range s.list(t) {
		for _, parent := range []*string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if parent != nil && !known[*parent] {
				t.Errorf("%s comes before its parent %s", *sh.ShardId, *parent)
			}
		}
		if i >= 4 && sh.ParentShardId == nil {
			t.Errorf("%s has no parent", *sh.ShardId)
		}
		known[*sh.ShardId] = true
	}
}

func TestListShardsPages(t *testing.T) {
	s := newService(t, KinesisOptions{}, 25)
	var all []string
	in := &kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(10)}
	pages := 0
	for in != nil {
		out, err := s.ListShards(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, sh := range out.Shards {
			all = append(all, *sh.ShardId)
		}
		pages++
		if in = nil; out.NextToken != nil {
			in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(10)}
		}
	}
	if pages != 3 || len(all) != 25 || !slices.IsSorted(all) {
		t.Errorf("%d pages: %v", pages, all)
	}
	out, err := s.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("s"), Limit: aws.Int32(20), ExclusiveStartShardId: aws.String("shardId-000000000009")})
	if err != nil || len(out.StreamDescription.Shards) != 15 || *out.StreamDescription.HasMoreShards {
		t.Errorf("%v, %v", out, err)
	}
}

func TestPutRecords(t *testing.T) {
	s := newService(t, KinesisOptions{NoReadLimits: true}, 2)
	last := maxHashKey.String()
	out, err := s.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamARN: aws.String(arnPrefix + "s"), Records: []types.PutRecordsRequestEntry{
		{Data: []byte("a"), PartitionKey: aws.String("é\"\\k"), ExplicitHashKey: aws.String("0")},
		{Data: []byte{0, 255, 31}, PartitionKey: aws.String("k"), ExplicitHashKey: &last},
	}})
	if err != nil || *out.FailedRecordCount != 0 || *out.Records[0].ShardId != first || *out.Records[1].ShardId != "shardId-000000000001" {
		t.Fatal(out, err)
	}
	records := s.get(t, s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String("shardId-000000000001"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})).Records
	if len(records) != 1 || !bytes.Equal(records[0].Data, []byte{0, 255, 31}) {
		t.Errorf("records %v", records)
	}
	records = s.get(t, s.iterator(t, kinesis.GetShardIteratorInput{ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})).Records
	if len(records) != 1 || *records[0].PartitionKey != "é\"\\k" {
		t.Errorf("records %v", records)
	}
}

// Over a socket, with many producers and a reader at once: nothing is lost and
// each producer's records stay in order.
func TestConcurrentPutsAndReads(t *testing.T) {
	fake := NewKinesis(KinesisOptions{NoReadLimits: true})
	server := httptest.NewServer(fake)
	defer server.Close()
	c := client(server.URL, server.Client())
	name := aws.String("s")
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	const producers, each = 4, 200
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if _, err := c.PutRecord(context.WithoutCancel(t.Context()), &kinesis.PutRecordInput{StreamName: name, PartitionKey: aws.String(fmt.Sprint(p)), Data: []byte(fmt.Sprint(i))}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	iterator := it.ShardIterator
	for n := 0; n < producers*each; {
		out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			if string(r.Data) != fmt.Sprint(next[*r.PartitionKey]) {
				t.Fatalf("producer %s: got %s, want %d", *r.PartitionKey, r.Data, next[*r.PartitionKey])
			}
			next[*r.PartitionKey]++
			n++
		}
		iterator = out.NextShardIterator
	}
	wg.Wait()
}

// BenchmarkGetRecords reads records of 17 KB over a socket, by a client that
// throws the answers away: it measures the service. The bytes are those of the
// records' data.
func BenchmarkGetRecords(b *testing.B) {
	fake := NewKinesis(KinesisOptions{NoReadLimits: true})
	server := httptest.NewServer(fake)
	defer server.Close()
	c := client(server.URL, server.Client())
	name := aws.String("s")
	if _, err := c.CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)}); err != nil {
		b.Fatal(err)
	}
	const records, size = 500, 17_000
	data := bytes.Repeat([]byte("0123456789"), size/10)
	for range records {
		if _, err := c.PutRecord(b.Context(), &kinesis.PutRecordInput{StreamName: name, PartitionKey: aws.String("k"), Data: data}); err != nil {
			b.Fatal(err)
		}
	}
	it, err := c.GetShardIterator(b.Context(), &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(first), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		b.Fatal(err)
	}
	body := `{"ShardIterator":"` + *it.ShardIterator + `"}`
	b.SetBytes(records * size)
	b.ResetTimer()
	for b.Loop() {
		req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, strings.NewReader(body))
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.GetRecords")
		resp, err := server.Client().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n < records*size {
			b.Fatalf("%d bytes, %v", n, err)
		}
	}
}
