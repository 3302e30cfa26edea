package consumer

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"

	"logsluice/internal/fakeaws"
)

// No call begins without the right to read, and one under way ends with it.
func TestReadWhileLeased(t *testing.T) {
	table, _ := leased(t)
	r := &reader{lease: table.Lease(heldShard)}
	if err := r.while(t.Context(), func(context.Context) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error of the call became %v", err)
	}
	err := r.while(t.Context(), func(ctx context.Context) error {
		if err := table.RemoveLeaseOwner(heldShard); err != nil {
			t.Error(err)
		}
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
	}}, nil, newMetrics(), new(progress))
	for range 100 {
		if _, err := s.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")}); !errors.Is(err, context.Canceled) {
			t.Fatalf("want a cancelled call, got %v", err)
		}
	}
}

// A call that hangs ends.
func TestCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t.Context(), Config{Stream: "s", AWS: aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"),
			Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
			HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(fakeaws.Inject(http.NotFoundHandler(), func(fakeaws.Call) fakeaws.Fault {
				return fakeaws.Fault{Delay: fakeaws.Hang}
			}))},
		}}, nil, newMetrics(), new(progress))
		begun := time.Now()
		_, err := s.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		if took := time.Since(begun); err == nil || took > callTimeout {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// A worker that has claimed a lease does not wait for ever for what OpenSearch
// does not take.
func TestHandoverDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, db := leased(t)
		c := &Consumer{cfg: Config{DrainTimeout: 10 * time.Second}, table: table, metrics: newMetrics(), reading: t.Context(), draining: t.Context(),
			indexer: newIndexer(t, 1, prometheus.NewRegistry(), away{})}
		c.stream = newStream(t.Context(), Config{Stream: "s"}, table, c.metrics, &c.progress)
		p := &processor{consumer: c}
		p.Initialize(&kcl.InitializationInput{ShardId: heldShard})
		p.marks.add("1", 1) // of which no verdict comes
		if _, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("leases"), Key: map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: heldShard}},
			UpdateExpression:          aws.String("SET ClaimRequest = :other"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":other": &types.AttributeValueMemberS{Value: "other"}},
		}); err != nil {
			t.Fatal(err)
		}
		<-table.Lease(heldShard).Reading().Done()
		begun := time.Now()
		// The reader may be at the end of the shard, and wait there first.
		p.Shutdown(&kcl.ShutdownInput{ShutdownReason: kcl.TERMINATE})
		if err := table.RemoveLeaseOwner(heldShard); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < c.cfg.DrainTimeout || took > c.cfg.DrainTimeout+time.Second {
			t.Errorf("handed over after %s", took)
		}
	})
}
