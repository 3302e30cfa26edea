package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// Requests with a spelling that the SDK does not use are accepted.
func TestRequestSpelling_Success(t *testing.T) {
	f := func(op, body, want string) {
		t.Helper()
		x := newFixture(t, KinesisOptions{}, 1)
		if status, answer := post(t, x.k, op, body); status != http.StatusOK {
			t.Errorf("%s\n%d %s", body, status, answer)
			return
		}
		if got := text(x.get(x.oldest(0)).Records); got != want {
			t.Errorf("%s\ngot %q, want %q", body, got, want)
		}
	}
	f("PutRecord", `{"Data":"aGk=","StreamName":"logs","PartitionKey":"k"}`, "hi ")
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs", "Data" : "aGk=" }`, "hi ")
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"aG\u006b="}`, "hi ")
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","\u0044ata":"aGk="}`, "hi ")
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"Pz8\/"}`, "??? ")
	f("PutRecord", `{"Other":{"Data":"0"},"PartitionKey":"k","StreamName":"logs","Data":"aGk="}`, "hi ")
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"aGk=","Other":{"Data":"0"}}`, "hi ")
	f("PutRecord", `{"Other":"\"Data\":\"","PartitionKey":"\"Data\":\"","StreamName":"logs","Data":"aGk="}`, "hi ")
	f("PutRecord", `{"Oth\"Data":"aGk=","PartitionKey":"k","StreamName":"logs","Data":"aGk="}`, "hi ")
	f("PutRecords", `{"Records":[{"Data":"MQ==","PartitionKey":"k"},{"PartitionKey":"k","Data":"Mg=="}],"StreamName":"logs"}`, "1 2 ")
	f("PutRecords", `{"Records":[{"Data" :"MQ==","PartitionKey":"k"},{"PartitionKey":"k","Data":"Mg=="}],"StreamName":"logs"}`, "1 2 ")
}

func TestRequestSpelling_Failure(t *testing.T) {
	f := func(op, body, want string) {
		t.Helper()
		x := newFixture(t, KinesisOptions{}, 1)
		status, answer := post(t, x.k, op, body)
		if status != http.StatusBadRequest || !strings.Contains(answer, `"__type":"`+want+`"`) {
			t.Errorf("%s\n%d %s, want %s", body, status, answer, want)
		}
		if got := x.get(x.oldest(0)).Records; len(got) != 0 {
			t.Errorf("%s\nput %q", body, text(got))
		}
	}
	f("Nothing", `{}`, codeUnknown)
	f("PutRecord", ``, codeSerialization)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs"}`, codeValidation)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":null}`, codeValidation)
	f("PutRecord", `{"Data":"aGk=","StreamName":"logs"}`, codeValidation)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"aGk"}`, codeSerialization)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"a*k="}`, codeSerialization)
	f("PutRecord", "{\"PartitionKey\":\"k\",\"StreamName\":\"logs\",\"Data\":\"aG\nk=\"}", codeSerialization)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"aGk=\n"}`, codeSerialization)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":0}`, codeSerialization)
	f("PutRecord", `{"PartitionKey":"k","StreamName":"logs","Data":"aGk=`, codeSerialization)
	// A number is not valid data, even if a text was lifted out.
	f("PutRecord", `{"Other":{"Data":"aGk="},"PartitionKey":"k","StreamName":"logs","Data":0}`, codeSerialization)
	f("PutRecords", `{"Records":[{"Data":"MQ==","PartitionKey":"k"},{"PartitionKey":"k","Data":0}],"StreamName":"logs"}`, codeSerialization)
	f("PutRecords", `{"Records":[{"data":1,"PartitionKey":"k"},{"PartitionKey":"k","Data":"MQ=="}],"Other":{"Data":"Mg=="},"StreamName":"logs"}`, codeSerialization)
	f("GetRecords", `{}`, codeValidation)
	f("GetShardIterator", `{"StreamName":"logs"}`, codeValidation)
	f("GetShardIterator", `{"StreamName":"logs","ShardId":"shardId-000000000000"}`, codeValidation)
	f("SplitShard", `{"StreamName":"logs"}`, codeValidation)
	f("SplitShard", `{"StreamName":"logs","NewStartingHashKey":"5"}`, codeValidation)
	f("MergeShards", `{"StreamName":"logs"}`, codeValidation)
	f("UpdateShardCount", `{"StreamName":"logs","ScalingType":"UNIFORM_SCALING"}`, codeValidation)
	f("UpdateShardCount", `{"StreamName":"logs","TargetShardCount":2}`, codeValidation)
	f("CreateStream", `{}`, codeValidation)
}

// The SDK reads the service's time from the Date header.
func TestServerTime(t *testing.T) {
	c := newClock()
	onBoth(t, KinesisOptions{Clock: c.Now}, func(t *testing.T, _ *Kinesis, client *kinesis.Client) {
		out, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := awsmiddleware.GetServerTime(out.ResultMetadata); !ok || got.Unix() != c.Now().Unix() {
			t.Errorf("server time: %s, %t", got, ok)
		}
	})
}

func TestAnswerHasItsLength(t *testing.T) {
	onBoth(t, KinesisOptions{}, func(t *testing.T, _ *Kinesis, client *kinesis.Client) {
		ctx, name := t.Context(), aws.String("a")
		_, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: entries(20, 17_000)}); err != nil {
			t.Fatal(err)
		}
		it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: id(0), ShardIteratorType: "TRIM_HORIZON"})
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
		if err != nil {
			t.Fatal(err)
		}
		raw, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
		if !ok || raw.ContentLength < 20*17_000*4/3 || len(raw.TransferEncoding) > 0 {
			t.Errorf("length %d, %v", raw.ContentLength, raw.TransferEncoding)
		}
	})
}

// A request does not need a Content-Length.
func TestUnknownLength(t *testing.T) {
	k := NewKinesis(KinesisOptions{})
	server := httptest.NewServer(k)
	defer server.Close()
	for name, transport := range map[string]http.RoundTripper{"socket": server.Client().Transport, "roundtripper": RoundTripper(k)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, readCloser(`{"StreamName":"`+name+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "Kinesis_20131202.CreateStream")
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || k.streams[name] == nil {
			t.Errorf("%s: %s, created: %t", name, resp.Status, k.streams[name] != nil)
		}
	}
}

func TestRoundTripper_Failure(t *testing.T) {
	k := NewKinesis(KinesisOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	client := newClient("http://kinesis.invalid", RoundTripper(Inject(k, func(Call) Fault { cancel(); return Fault{} })))
	if _, err := client.ListStreams(ctx, &kinesis.ListStreamsInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled call: %v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://kinesis.invalid", nil)
	if err != nil {
		t.Fatal(err)
	}
	unreachable := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a call that came too late reached the handler") })
	if _, err := RoundTripper(unreachable).RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that came too late: %v", err)
	}
}

func TestFailPut(t *testing.T) {
	onBoth(t, KinesisOptions{}, func(t *testing.T, k *Kinesis, client *kinesis.Client) {
		ctx, name := t.Context(), aws.String("a")
		if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)}); err != nil {
			t.Fatal(err)
		}
		var asked []string
		answer := error(nil)
		k.FailPut(func(shardID string) error {
			asked = append(asked, shardID)
			if shardID == *id(0) {
				return nil
			}
			return answer
		})
		put := func(explicit string) error {
			_, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: name, PartitionKey: name, Data: []byte("x"), ExplicitHashKey: &explicit})
			return err
		}
		high := maxHashKey.String()
		answer = &APIError{Code: codeThroughput, Message: "slow"}
		var typed *types.ProvisionedThroughputExceededException
		if err := put(high); !errors.As(err, &typed) || typed.ErrorMessage() != "slow" {
			t.Errorf("a fault: %v", err)
		}
		answer = &APIError{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable}
		var status *smithyhttp.ResponseError
		if err := put(high); code(err) != "ServiceUnavailable" || !errors.As(err, &status) || status.HTTPStatusCode() != http.StatusServiceUnavailable {
			t.Errorf("a fault with a status: %v", err)
		}
		answer = errors.New("anything")
		if err := put(high); code(err) != codeInternal || !errors.As(err, &status) || status.HTTPStatusCode() != http.StatusInternalServerError {
			t.Errorf("another error: %v", err)
		}
		if err := put("0"); err != nil {
			t.Errorf("the other shard: %v", err)
		}
		want := fmt.Sprint([]string{*id(1), *id(1), *id(1), *id(0)})
		if got := fmt.Sprint(asked); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		k.FailPut(nil)
		if err := put(high); err != nil {
			t.Errorf("after the faults: %v", err)
		}
	})
}

// One record of PutRecords can fail.
func TestFailOneRecord(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 2)
	f.k.FailPut(func(shardID string) error {
		if shardID == *id(1) {
			return &APIError{Code: codeThroughput, Message: "slow"}
		}
		return nil
	})
	list := entries(3, 4)
	for i, key := range []string{"0", maxHashKey.String(), "1"} {
		list[i].ExplicitHashKey = &key
	}
	out, err := f.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(testStream), Records: list})
	f.check(err)
	got := ""
	for _, r := range out.Records {
		got += aws.ToString(r.ShardId) + aws.ToString(r.ErrorCode) + aws.ToString(r.ErrorMessage) + " "
		if (r.SequenceNumber == nil) != (r.ErrorCode != nil) {
			t.Errorf("a number and an error: %+v", r)
		}
	}
	if want := *id(0) + " " + codeThroughput + "slow " + *id(0) + " "; got != want || *out.FailedRecordCount != 1 {
		t.Errorf("%d failed: %s, want %s", *out.FailedRecordCount, got, want)
	}
	if low, high := len(f.get(f.oldest(0)).Records), len(f.get(f.oldest(1)).Records); low != 2 || high != 0 {
		t.Errorf("%d and %d records in the shards", low, high)
	}
}

// A fault may change the stream: the record is put into the shard that is open after it.
func TestFailChangesStream(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 2)
	f.k.FailPut(func(shardID string) error {
		if shardID == *id(0) {
			f.merge(0, 1)
		}
		return nil
	})
	if out := f.put("a", []byte("x")); *out.ShardId != *id(2) {
		t.Errorf("put into %s", *out.ShardId)
	}
	if got := text(f.get(f.oldest(2)).Records); got != "x " {
		t.Errorf("got %q", got)
	}
}
