package consumer

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// fakeAWS returns a configuration for a fake Kinesis and DynamoDB with the faults of decide.
func fakeAWS(decide func(fakeaws.Call) fakeaws.Fault) aws.Config {
	return fakeAWSWith(fakeaws.KinesisOptions{}, decide)
}

func fakeAWSWith(options fakeaws.KinesisOptions, decide func(fakeaws.Call) fakeaws.Fault) aws.Config {
	streams, db := fakeaws.NewKinesis(options), fakedynamodb.New(fakedynamodb.Options{})
	both := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_") {
			streams.ServeHTTP(w, r)
			return
		}
		db.ServeHTTP(w, r)
	})
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://aws.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient:  &http.Client{Transport: fakeaws.RoundTripper(fakeaws.Inject(both, decide))},
	}
}

// createStream creates the stream s with two shards.
func createStream(t *testing.T, cfg aws.Config) {
	t.Helper()
	if _, err := kinesis.NewFromConfig(cfg).CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
}

func noFaults(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} }

func newTable(t *testing.T, cfg aws.Config, leaseDuration time.Duration) *checkpoint.Table {
	t.Helper()
	return newTableThatLogs(t, cfg, leaseDuration, zerolog.Nop())
}

func newTableThatLogs(t *testing.T, cfg aws.Config, leaseDuration time.Duration, log zerolog.Logger) *checkpoint.Table {
	t.Helper()
	position, err := checkpoint.ParsePosition("TRIM_HORIZON")
	if err != nil {
		t.Fatal(err)
	}
	table, err := checkpoint.New(checkpoint.Config{
		Table: "leases", Worker: "w", LeaseDuration: leaseDuration, InitialPosition: position, Log: log,
	}, dynamodb.NewFromConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

const heldShard = "shardId-000000000000"

func listHeld(context.Context) ([]checkpoint.Shard, time.Time, error) {
	return []checkpoint.Shard{{ID: heldShard}}, time.Now(), nil
}

// leased returns a table with one held lease, and a client of its DynamoDB.
func leased(t *testing.T) (*checkpoint.Table, *dynamodb.Client) {
	t.Helper()
	cfg := fakeAWS(noFaults)
	table := newTable(t, cfg, time.Minute)
	if err := table.Open(t.Context(), checkpoint.Stream{Name: "logs"}, listHeld); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Acquire(t.Context(), heldShard); err != nil {
		t.Fatal(err)
	}
	return table, dynamodb.NewFromConfig(cfg)
}

func newMapper(t *testing.T) *mapping.Mapper {
	t.Helper()
	mapper, err := mapping.New(mapping.Config{Naming: schema.Naming{Prefix: "app", Zone: time.UTC}})
	if err != nil {
		t.Fatal(err)
	}
	return mapper
}

// newWorker returns a complete consumer without an OpenSearch.
func newWorker(t *testing.T, cfg aws.Config, table *checkpoint.Table, log zerolog.Logger) *Consumer {
	t.Helper()
	return newWorkerAt(t, cfg, table, away{}, log)
}

func newWorkerAt(t *testing.T, cfg aws.Config, table *checkpoint.Table, search opensearch.Client, log zerolog.Logger) *Consumer {
	t.Helper()
	c, err := New(Config{
		Stream: "s", Application: "leases", Worker: "w", AWS: cfg, PollInterval: time.Second, SyncInterval: time.Second,
		MaxInflated: 1, DrainTimeout: time.Minute, Registry: prometheus.NewRegistry(), Log: log,
	}, table, newMapper(t), newIndexer(t, 1, prometheus.NewRegistry(), search))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
