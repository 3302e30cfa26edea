package fakeaws

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestStreams_Success(t *testing.T) {
	onBoth(t, KinesisOptions{Clock: newClock().Now}, func(t *testing.T, _ *Kinesis, client *kinesis.Client) {
		ctx, name := t.Context(), aws.String("a")
		if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(4)}); err != nil {
			t.Fatal(err)
		}
		summary, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
		if err != nil {
			t.Fatal(err)
		}
		d := summary.StreamDescriptionSummary
		if d.StreamStatus != "ACTIVE" || *d.OpenShardCount != 4 || !d.StreamCreationTimestamp.Equal(time.UnixMilli(1544414264183)) {
			t.Errorf("summary: %s, %d shards, created %s", d.StreamStatus, *d.OpenShardCount, d.StreamCreationTimestamp)
		}
		page, err := client.DescribeStream(ctx, &kinesis.DescribeStreamInput{StreamARN: d.StreamARN, Limit: aws.Int32(3)})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := client.DescribeStream(ctx, &kinesis.DescribeStreamInput{StreamName: name, ExclusiveStartShardId: page.StreamDescription.Shards[2].ShardId})
		if err != nil {
			t.Fatal(err)
		}
		if !*page.StreamDescription.HasMoreShards || *rest.StreamDescription.HasMoreShards || len(rest.StreamDescription.Shards) != 1 {
			t.Errorf("pages: more %t, then %t with %d shards", *page.StreamDescription.HasMoreShards, *rest.StreamDescription.HasMoreShards, len(rest.StreamDescription.Shards))
		}
		last := rest.StreamDescription.Shards[0]
		if got := *last.ShardId + " " + *last.HashKeyRange.StartingHashKey + " " + *last.HashKeyRange.EndingHashKey; got != "shardId-000000000003 255211775190703847597530955573826158592 340282366920938463463374607431768211455" {
			t.Errorf("last shard: %s", got)
		}
		if _, err := client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: name}); err != nil {
			t.Fatal(err)
		}
		_, err = client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
		if code(err) != codeNotFound {
			t.Errorf("describe a deleted stream: %v", err)
		}
	})
}

func TestListStreams_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 1)
	for _, name := range []string{"b", "d", "c", "a"} {
		f.create(name, 1)
	}
	var pages []string
	p := kinesis.NewListStreamsPaginator(f.client, &kinesis.ListStreamsInput{Limit: aws.Int32(2)})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		f.check(err)
		pages = append(pages, strings.Join(page.StreamNames, ","))
	}
	if got := strings.Join(pages, " "); got != "a,b c,d logs" {
		t.Errorf("pages: %s", got)
	}
	out, err := f.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{ExclusiveStartStreamName: aws.String("c")})
	f.check(err)
	if got := strings.Join(out.StreamNames, ","); got != "d,logs" {
		t.Errorf("behind c: %s", got)
	}
}

func TestCreateStream_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 1)
	f := func(name string, shards int32, want string) {
		t.Helper()
		_, err := x.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
		if code(err) != want {
			t.Errorf("create %q with %d shards: %v, want %s", name, shards, err, want)
		}
	}
	f(testStream, 1, codeInUse)
	f("", 1, codeValidation)
	f("a/b", 1, codeValidation)
	f(strings.Repeat("a", 129), 1, codeValidation)
	f("new", 0, codeValidation)
	f("new", 10_001, codeLimit)
}

func TestStreamReference_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 1)
	f := func(name, arn *string, want string) {
		t.Helper()
		_, err := x.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: name, StreamARN: arn})
		if code(err) != want {
			t.Errorf("%s, %s: %v, want %s", aws.ToString(name), aws.ToString(arn), err, want)
		}
	}
	ours := aws.String(x.k.arn(testStream))
	f(aws.String(testStream), ours, "<nil>")
	f(nil, ours, "<nil>")
	f(nil, nil, codeInvalidArgument)
	f(aws.String("other"), nil, codeNotFound)
	f(nil, aws.String(x.k.arn("other")), codeNotFound)
	f(nil, aws.String("arn:aws:kinesis:us-east-1:111111111111:stream/"+testStream), codeNotFound)
	f(nil, aws.String("arn:aws:kinesis:eu-west-1:000000000000:stream/"+testStream), codeValidation)
	f(nil, aws.String("arn:aws:kinesis:us-east-1:000000000000:consumer/logs"), codeValidation)
	f(aws.String("other"), ours, codeInvalidArgument)
}

// A stream of another account can only be used by its ARN, except for further pages of a
// listing, whose token identifies the stream.
func TestStreamOfAnotherAccount(t *testing.T) {
	x := newFixture(t, KinesisOptions{Account: "111111111111"}, 2)
	name, arn := aws.String(testStream), aws.String("arn:aws:kinesis:us-east-1:111111111111:stream/"+testStream)
	f := func(what string, err error, want string) {
		t.Helper()
		if code(err) != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	_, err := x.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: name})
	f("summary by name", err, codeNotFound)
	summary, err := x.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamARN: arn})
	f("summary by ARN", err, "<nil>")
	if got := *summary.StreamDescriptionSummary.StreamARN; got != *arn {
		t.Errorf("it is %s", got)
	}
	first := &kinesis.GetShardIteratorInput{StreamName: name, ShardId: id(0), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	_, err = x.client.GetShardIterator(t.Context(), first)
	f("iterator by name", err, codeNotFound)
	first.StreamARN = arn
	iterator, err := x.client.GetShardIterator(t.Context(), first)
	f("iterator by ARN", err, "<nil>")
	_, err = x.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	f("records by iterator alone", err, codeNotFound)
	_, err = x.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator, StreamARN: arn})
	f("records by ARN", err, "<nil>")
	page, err := x.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamARN: arn, MaxResults: aws.Int32(1)})
	f("shards by ARN", err, "<nil>")
	_, err = x.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamARN: arn, NextToken: page.NextToken})
	f("shards by ARN and token", err, codeInvalidArgument)
	_, err = x.client.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: page.NextToken})
	f("shards by token", err, "<nil>")
}

func TestListShards_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 5)
	f.merge(1, 2) // closed shards remain listed; the sixth is the child
	list := func(in *kinesis.ListShardsInput) (ids string, token *string) {
		t.Helper()
		out, err := f.client.ListShards(t.Context(), in)
		f.check(err)
		for _, sh := range out.Shards {
			ids += (*sh.ShardId)[len(*sh.ShardId)-1:]
		}
		return ids, out.NextToken
	}
	name := aws.String(testStream)
	pages, token := list(&kinesis.ListShardsInput{StreamName: name, MaxResults: aws.Int32(2)})
	for token != nil {
		var page string
		page, token = list(&kinesis.ListShardsInput{NextToken: token, MaxResults: aws.Int32(2)})
		pages += " " + page
	}
	if pages != "01 23 45" {
		t.Errorf("pages: %s", pages)
	}
	if got, token := list(&kinesis.ListShardsInput{StreamName: name, ExclusiveStartShardId: id(3)}); got != "45" || token != nil {
		t.Errorf("behind the fourth: %s, more: %t", got, token != nil)
	}
	if got, _ := list(&kinesis.ListShardsInput{StreamName: name, ExclusiveStartShardId: id(9)}); got != "" {
		t.Errorf("behind the last: %s", got)
	}
	f.create("wide", 1001)
	out, err := f.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("wide"), MaxResults: aws.Int32(5000)})
	f.check(err)
	if len(out.Shards) != 1000 || out.NextToken == nil {
		t.Errorf("%d shards in one answer, more: %t", len(out.Shards), out.NextToken != nil)
	}
}

func TestListShards_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 3)
	name := aws.String(testStream)
	out, err := x.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: name, MaxResults: aws.Int32(1)})
	x.check(err)
	f := func(in *kinesis.ListShardsInput, want string) {
		t.Helper()
		_, err := x.client.ListShards(t.Context(), in)
		if code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(&kinesis.ListShardsInput{StreamName: aws.String("other")}, codeNotFound)
	f(&kinesis.ListShardsInput{StreamName: name, MaxResults: aws.Int32(0)}, codeValidation)
	f(&kinesis.ListShardsInput{StreamName: name, NextToken: out.NextToken}, codeInvalidArgument)
	f(&kinesis.ListShardsInput{NextToken: aws.String("garbage")}, codeInvalidArgument)
	x.clock.advance(300 * time.Second)
	f(&kinesis.ListShardsInput{NextToken: out.NextToken}, "<nil>")
	x.clock.advance(time.Millisecond)
	f(&kinesis.ListShardsInput{NextToken: out.NextToken}, codeExpiredToken)
}

func TestRetention(t *testing.T) {
	f := newFixture(t, KinesisOptions{Retention: time.Hour, NoReadLimits: true}, 1)
	start := f.oldest(0)
	first := f.put("k", []byte("1"))
	f.clock.advance(time.Millisecond)
	f.put("k", []byte("2"))
	f.put("k", []byte("3"))
	f.clock.advance(time.Hour - time.Millisecond)
	f.put("k", []byte("4"))
	for _, want := range []string{"1 2 3 4 ", "2 3 4 ", "4 "} {
		if got := text(f.get(f.oldest(0)).Records); got != want {
			t.Errorf("at %s: %s, want %s", f.clock.Now(), got, want)
		}
		f.clock.advance(time.Millisecond)
	}
	// An iterator of expired records returns empty answers first.
	late := f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: first.SequenceNumber})
	for n := 0; ; n++ {
		out := f.get(late)
		if n == expiredAnswers {
			if got := text(out.Records); got != "4 " {
				t.Errorf("at last: %s", got)
			}
			break
		}
		if len(out.Records) > 0 || *out.MillisBehindLatest != time.Hour.Milliseconds() {
			t.Errorf("answer %d: %s, %d behind", n, text(out.Records), *out.MillisBehindLatest)
		}
		late = out.NextShardIterator
	}
	sh := f.k.streams[testStream].shards[0]
	if len(sh.records) != 1 {
		t.Errorf("%d records are kept", len(sh.records))
	}
	if code := codeOfGet(f, start); code != codeExpiredIterator {
		t.Errorf("the first iterator: %s", code)
	}
	f.split(0, "1000")
	f.clock.advance(time.Hour)
	if got := len(f.shards()); got != 3 {
		t.Errorf("%d shards an hour after the split", got)
	}
	f.clock.advance(time.Millisecond)
	if got := f.shards(); len(got) != 2 || *got[0].ShardId != *id(1) || *got[0].ParentShardId != *id(0) {
		t.Errorf("shards later: %d", len(got))
	}
	_, err := f.client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String(testStream), ShardId: id(0), ShardIteratorType: "TRIM_HORIZON"})
	if code(err) != codeNotFound {
		t.Errorf("an iterator of an expired shard: %v", err)
	}
	// Shard numbers are not reused.
	f.split(2, "170141183460469231731687303715884105728")
	got := f.shards()
	if last := *got[len(got)-1].ShardId; last != *id(4) {
		t.Errorf("newest shard: %s", last)
	}
}

func codeOfGet(f *fixture, iterator *string) string {
	f.Helper()
	_, err := f.client.GetRecords(f.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
	return code(err)
}
