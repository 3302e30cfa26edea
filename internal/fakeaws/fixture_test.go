package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"logsluice/internal/ownbody"
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1544414264183)} }

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

// fixture is a service with a clock, one stream, and an SDK client.
type fixture struct {
	*testing.T
	clock  *clock
	k      *Kinesis
	client *kinesis.Client
}

const testStream = "logs"

func newFixture(t *testing.T, opts KinesisOptions, shards int) *fixture {
	t.Helper()
	f := &fixture{T: t, clock: newClock()}
	opts.Clock = f.clock.Now
	f.k = NewKinesis(opts)
	f.client = newClient("http://kinesis.invalid", RoundTripper(f.k))
	f.create(testStream, shards)
	return f
}

func newClient(url string, transport http.RoundTripper) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:   ownbody.Client(&http.Client{Transport: transport}),
		Retryer:      aws.NopRetryer{},
	})
}

// onBoth runs a test over a socket and without one.
func onBoth(t *testing.T, opts KinesisOptions, test func(t *testing.T, k *Kinesis, client *kinesis.Client)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) {
		k := NewKinesis(opts)
		server := httptest.NewServer(k)
		defer server.Close()
		test(t, k, newClient(server.URL, server.Client().Transport))
	})
	t.Run("roundtripper", func(t *testing.T) {
		k := NewKinesis(opts)
		test(t, k, newClient("http://kinesis.invalid", RoundTripper(k)))
	})
}

func (f *fixture) check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) create(name string, shards int) {
	f.Helper()
	_, err := f.client.CreateStream(f.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(int32(shards))})
	f.check(err)
}

func (f *fixture) put(key string, data []byte) *kinesis.PutRecordOutput {
	f.Helper()
	out, err := f.client.PutRecord(f.Context(), &kinesis.PutRecordInput{StreamName: aws.String(testStream), PartitionKey: &key, Data: data})
	f.check(err)
	return out
}

func (f *fixture) iterator(in kinesis.GetShardIteratorInput) *string {
	f.Helper()
	in.StreamName = aws.String(testStream)
	out, err := f.client.GetShardIterator(f.Context(), &in)
	f.check(err)
	return out.ShardIterator
}

// oldest returns an iterator from the first record of a shard.
func (f *fixture) oldest(shard int) *string {
	f.Helper()
	return f.iterator(kinesis.GetShardIteratorInput{ShardId: id(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
}

func (f *fixture) get(iterator *string) *kinesis.GetRecordsOutput {
	f.Helper()
	out, err := f.client.GetRecords(f.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
	f.check(err)
	return out
}

func (f *fixture) shards() []types.Shard {
	f.Helper()
	out, err := f.client.ListShards(f.Context(), &kinesis.ListShardsInput{StreamName: aws.String(testStream)})
	f.check(err)
	return out.Shards
}

func (f *fixture) split(shard int, at string) {
	f.Helper()
	_, err := f.client.SplitShard(f.Context(), &kinesis.SplitShardInput{StreamName: aws.String(testStream), ShardToSplit: id(shard), NewStartingHashKey: &at})
	f.check(err)
}

func (f *fixture) merge(a, b int) {
	f.Helper()
	_, err := f.client.MergeShards(f.Context(), &kinesis.MergeShardsInput{StreamName: aws.String(testStream), ShardToMerge: id(a), AdjacentShardToMerge: id(b)})
	f.check(err)
}

func id(shard int) *string { return aws.String(fmt.Sprintf("shardId-%012d", shard)) }

// text returns the data of records as a list.
func text(records []types.Record) string {
	s := ""
	for _, r := range records {
		s += string(r.Data) + " "
	}
	return s
}

// code returns the exception of an error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// post sends a request with a literal body.
func post(t *testing.T, k *Kinesis, op, body string) (status int, answer string) {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", nil)
	r.Body, r.ContentLength = readCloser(body), int64(len(body))
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
