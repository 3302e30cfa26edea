package fakeaws

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestPutRecord_Success(t *testing.T) {
	onBoth(t, KinesisOptions{}, func(t *testing.T, _ *Kinesis, client *kinesis.Client) {
		ctx, name := t.Context(), aws.String("a")
		if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(4)}); err != nil {
			t.Fatal(err)
		}
		previous := ""
		f := func(key, explicit string, data []byte, shard int) {
			t.Helper()
			in := &kinesis.PutRecordInput{StreamName: name, PartitionKey: &key, Data: data}
			if explicit != "" {
				in.ExplicitHashKey = &explicit
			}
			out, err := client.PutRecord(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			if *out.ShardId != *id(shard) || len(*out.SequenceNumber) != 56 || *out.SequenceNumber <= previous {
				t.Errorf("%q: %s %s", key, *out.ShardId, *out.SequenceNumber)
			}
			previous = *out.SequenceNumber
			it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: id(shard), ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: out.SequenceNumber})
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Records) != 1 {
				t.Fatalf("%q: %d records", key, len(got.Records))
			}
			if r := got.Records[0]; *r.PartitionKey != key || !bytes.Equal(r.Data, data) || *r.SequenceNumber != *out.SequenceNumber {
				t.Errorf("%q: %+v", key, r)
			}
		}
		// The first digits of the MD5 of a is 0c, b 92, c 4a, d 82, e e1.
		f("a", "", []byte("x"), 0)
		f("b", "", []byte{0, 255, '"', '\\'}, 2)
		f("c", "", []byte{}, 1)
		f("e", "", bytes.Repeat([]byte{0xfb, 0xff, 0xbf}, 1000), 3)
		f("a", "255211775190703847597530955573826158591", []byte("xy"), 2)
		f("a", "255211775190703847597530955573826158592", []byte("xyz"), 3)
		f("a", "0", []byte("x"), 0)
		f("e", "340282366920938463463374607431768211455", []byte("x"), 3)
		// Text like that of a request within a key does not confuse the parser.
		f(`",{"Data":"eA==",\`+"\u2028日本", "0", []byte("x"), 0)
		f(strings.Repeat("é", 256), "0", []byte("x"), 0)
	})
}

func TestPutRecord_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{MaxRecordBytes: 100}, 2)
	f := func(in kinesis.PutRecordInput, want string) {
		t.Helper()
		if in.StreamName == nil {
			in.StreamName = aws.String(testStream)
		}
		if _, err := x.client.PutRecord(t.Context(), &in); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	key := aws.String("k")
	f(kinesis.PutRecordInput{StreamName: aws.String("other"), PartitionKey: key, Data: []byte("x")}, codeNotFound)
	f(kinesis.PutRecordInput{PartitionKey: aws.String(""), Data: []byte("x")}, codeValidation)
	f(kinesis.PutRecordInput{PartitionKey: key, Data: make([]byte, 99)}, "<nil>")
	f(kinesis.PutRecordInput{PartitionKey: key, Data: make([]byte, 100)}, codeValidation)
	f(kinesis.PutRecordInput{PartitionKey: key, Data: []byte("x"), ExplicitHashKey: aws.String("-1")}, codeInvalidArgument)
	f(kinesis.PutRecordInput{PartitionKey: key, Data: []byte("x"), ExplicitHashKey: aws.String("340282366920938463463374607431768211456")}, codeInvalidArgument)
	f(kinesis.PutRecordInput{PartitionKey: key, Data: []byte("x"), SequenceNumberForOrdering: aws.String("0")}, codeInvalidArgument)
	_, err := newFixture(t, KinesisOptions{}, 1).client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String(testStream), PartitionKey: aws.String(strings.Repeat("e", 257)), Data: []byte("x")})
	if code(err) != codeValidation {
		t.Errorf("a key of 257 characters: %v", err)
	}
	if got := len(x.get(x.oldest(0)).Records) + len(x.get(x.oldest(1)).Records); got != 1 {
		t.Errorf("%d records were put, want the valid one", got)
	}
}

func entries(n, size int) []types.PutRecordsRequestEntry {
	list := make([]types.PutRecordsRequestEntry, n)
	for i := range list {
		list[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprintf("key%05d", i)), Data: bytes.Repeat([]byte{byte(i)}, size)}
	}
	return list
}

func TestPutRecords_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 3)
	list := entries(500, 50)
	list[7].ExplicitHashKey = aws.String("0")
	out, err := f.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(testStream), Records: list})
	f.check(err)
	if *out.FailedRecordCount != 0 || len(out.Records) != 500 || *out.Records[7].ShardId != *id(0) {
		t.Fatalf("%d failed, %d results, the eighth in %s", *out.FailedRecordCount, len(out.Records), *out.Records[7].ShardId)
	}
	bySequence := make(map[string]types.Record)
	for i := range 3 {
		previous := ""
		for _, r := range f.get(f.oldest(i)).Records {
			if *r.SequenceNumber <= previous {
				t.Errorf("shard %d: %s comes after %s", i, *r.SequenceNumber, previous)
			}
			previous = *r.SequenceNumber
			bySequence[*id(i)+previous] = r
		}
	}
	for i, result := range out.Records {
		r, ok := bySequence[*result.ShardId+*result.SequenceNumber]
		if !ok || *r.PartitionKey != *list[i].PartitionKey || !bytes.Equal(r.Data, list[i].Data) {
			t.Errorf("record %d is not at the position in its result", i)
		}
	}
}

func TestPutRecords_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 1)
	f := func(list []types.PutRecordsRequestEntry, want string) {
		t.Helper()
		_, err := x.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(testStream), Records: list})
		if code(err) != want {
			t.Errorf("%d records: %v, want %s", len(list), err, want)
		}
	}
	f(entries(0, 1), codeValidation)
	f(entries(501, 1), codeValidation)
	f(entries(2, 1<<20), codeValidation) // more than 1 MiB including the keys
	f(entries(10, 1<<20-8), "<nil>")     // exactly 10 MiB
	f(entries(11, 1<<20-8), codeInvalidArgument)
	if got := x.k.streams[testStream].shards[0].records; len(got) != 10 {
		t.Errorf("%d records were put, want those of the valid request", len(got))
	}
}
