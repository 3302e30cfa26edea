package consumer

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/rs/zerolog"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
)

// held is a lease that its holder may read under, and how it is given back.
func held(t *testing.T) (lease *checkpoint.Lease, release func()) {
	t.Helper()
	const shard = "shardId-000000000000"
	position, err := checkpoint.ParsePosition("TRIM_HORIZON")
	if err != nil {
		t.Fatal(err)
	}
	table, err := checkpoint.New(checkpoint.Config{Table: "leases", Worker: "w", LeaseDuration: time.Minute, InitialPosition: position, Log: zerolog.Nop()},
		dynamodb.New(dynamodb.Options{
			Region: "us-east-1", BaseEndpoint: aws.String("http://dynamodb.invalid"),
			Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
			HTTPClient:  &http.Client{Transport: fakeaws.RoundTripper(fakedynamodb.New(fakedynamodb.Options{}))},
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	list := func(context.Context) ([]checkpoint.Shard, time.Time, error) {
		return []checkpoint.Shard{{ID: shard}}, time.Now(), nil
	}
	if err := table.Open(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if err := table.GetLease(&partition.ShardStatus{ID: shard, Mux: &sync.RWMutex{}}, "w"); err != nil {
		t.Fatal(err)
	}
	return table.Lease(shard), func() {
		if err := table.RemoveLeaseOwner(shard); err != nil {
			t.Fatal(err)
		}
	}
}

// No call begins without the right to read, and one under way ends with it.
func TestReadWhileLeased(t *testing.T) {
	lease, release := held(t)
	r := &reader{lease: lease}
	if err := r.while(t.Context(), func(context.Context) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error of the call became %v", err)
	}
	err := r.while(t.Context(), func(ctx context.Context) error {
		release()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, errUnled) {
		t.Errorf("a call under way ends with %v", err)
	}
	for _, r := range []*reader{r, {}, nil} {
		if err := r.while(t.Context(), func(context.Context) error { t.Error("a call is made"); return nil }); !errors.Is(err, errUnled) {
			t.Errorf("without a lease: %v", err)
		}
	}
}

// No call is sent when the worker has stopped.
func TestNoCallAfterStop(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	s := newStream(stopped, Config{Stream: "s", AWS: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s is sent", r.Header.Get("X-Amz-Target"))
		}))},
	}}, nil, newMetrics())
	for range 100 {
		if _, err := s.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")}); !errors.Is(err, context.Canceled) {
			t.Fatalf("want a cancelled call, got %v", err)
		}
	}
}
