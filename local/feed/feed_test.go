package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/goleak"

	"logsluice/internal/fakeaws"
	"logsluice/internal/loggen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(decide func(fakeaws.Call) fakeaws.Fault) *kinesis.Client {
	service := http.Handler(fakeaws.NewKinesis(fakeaws.KinesisOptions{}))
	if decide != nil {
		service = fakeaws.Inject(service, decide)
	}
	return kinesis.New(kinesis.Options{
		HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(service)}, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
	})
}

// all returns the records of a stream with one shard.
func all(t *testing.T, client *kinesis.Client) []types.Record {
	t.Helper()
	shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("logs")})
	if err != nil || len(shards.Shards) != 1 {
		t.Fatal(shards, err)
	}
	at, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("logs"), ShardId: shards.Shards[0].ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
	if err != nil {
		t.Fatal(err)
	}
	return out.Records
}

func TestEnsureStream(t *testing.T) {
	client := newClient(nil)
	for range 2 { // the second time it exists
		if err := EnsureStream(t.Context(), client, "logs", 3); err != nil {
			t.Fatal(err)
		}
	}
	out, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("logs")})
	if err != nil || len(out.Shards) != 3 {
		t.Errorf("%d shards, %v", len(out.Shards), err)
	}
}

func TestEnsureStream_Failure(t *testing.T) {
	err := EnsureStream(t.Context(), newClient(nil), "no name", 1)
	if err == nil || !strings.HasPrefix(err.Error(), "create the stream no name: ") {
		t.Errorf("%v", err)
	}
}

// Only refused records are sent again.
func TestPut(t *testing.T) {
	calls := 0
	client := newClient(func(call fakeaws.Call) fakeaws.Fault {
		if call.Operation != "PutRecords" {
			return fakeaws.Fault{}
		}
		if calls++; calls > 1 {
			return fakeaws.Fault{}
		}
		return fakeaws.Fault{Edit: func([]byte) []byte {
			return []byte(`{"FailedRecordCount":1,"Records":[{"SequenceNumber":"1","ShardId":"s"},{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"m"},{"SequenceNumber":"2","ShardId":"s"}]}`)
		}}
	})
	if err := EnsureStream(t.Context(), client, "logs", 1); err != nil {
		t.Fatal(err)
	}
	records := []loggen.Record{{Data: []byte("a"), PartitionKey: "k"}, {Data: []byte("b"), PartitionKey: "k"}, {Data: []byte("c"), PartitionKey: "k"}}
	if err := Put(t.Context(), client, "logs", records); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, r := range all(t, client) {
		got += string(r.Data)
	}
	if got != "abcb" { // b is there twice, because only the response reported a failure
		t.Errorf("put %q", got)
	}
}

func TestPut_Failure(t *testing.T) {
	err := Put(t.Context(), newClient(nil), "none", []loggen.Record{{Data: []byte("a"), PartitionKey: "k"}})
	if missing := (*types.ResourceNotFoundException)(nil); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
}

// Events happen at the rate, and a record is put when its last event has happened.
func TestTrickle(t *testing.T) {
	client := newClient(nil)
	if err := EnsureStream(t.Context(), client, "logs", 1); err != nil {
		t.Fatal(err)
	}
	const perSecond, lasts = 5_000, 2 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	began := time.Now()
	if err := Trickle(ctx, client, "logs", 1, perSecond, nil); err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, r := range all(t, client) {
		// Timestamps have a resolution of milliseconds.
		put := r.ApproximateArrivalTimestamp.Add(time.Millisecond)
		plain, err := gzip.NewReader(bytes.NewReader(r.Data))
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct{ LogEvents []struct{ Timestamp int64 } }
		if err := json.NewDecoder(plain).Decode(&envelope); err != nil {
			t.Fatal(err)
		}
		for _, e := range envelope.LogEvents {
			events++
			if at := time.UnixMilli(e.Timestamp); at.Before(began.Truncate(time.Millisecond)) || at.After(put) {
				t.Fatalf("an event of %s was put at %s, after the start at %s", at, put, began)
			}
		}
	}
	// The last record can still be in flight, and the machine can be busy.
	if limit := int(perSecond * lasts.Seconds()); events > limit+1 || events < limit/2 {
		t.Errorf("%d events in %s", events, lasts)
	}
}

func TestTrickle_Failure(t *testing.T) {
	err := Trickle(t.Context(), newClient(nil), "none", 1, 1_000, nil)
	if missing := (*types.ResourceNotFoundException)(nil); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
}
