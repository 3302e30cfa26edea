package consumer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rs/zerolog"

	"logsluice/internal/fakeaws"
)

func TestCheck(t *testing.T) {
	denied := fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "AccessDeniedException"}}
	empty := fakeaws.Fault{Refuse: &fakeaws.APIError{Status: http.StatusOK}} // JSON without the fields of AWS
	const notKinesis = "the response is not from Kinesis"
	f := func(name string, want Description, wantErr string, faults map[string]fakeaws.Fault) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &strings.Builder{}
				cfg := fakeAWS(func(call fakeaws.Call) fakeaws.Fault { return faults[call.Operation] })
				cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
				createStream(t, cfg)
				want := want
				if want.ARN != "" {
					want.Created = time.Now()
				}
				time.Sleep(time.Hour)
				c := newWorker(t, cfg, newTable(t, cfg, time.Minute), zerolog.New(log))
				got, err := c.Check(t.Context())
				if err != nil != (wantErr != "") || wantErr != "" && !strings.Contains(err.Error(), wantErr) {
					t.Fatalf("%v, want %q", err, wantErr)
				}
				if wantErr == "" && (got.ARN != want.ARN || !got.Created.Equal(want.Created) || got.Retention != want.Retention) {
					t.Errorf("%+v, want %+v", got, want)
				}
				_, refused := faults["DescribeStreamSummary"]
				if n := strings.Count(log.String(), "grant kinesis:DescribeStreamSummary"); (n == 1) != (refused && wantErr != notKinesis) {
					t.Errorf("%d warnings: %s", n, log)
				}
			})
		})
	}
	f("no faults", Description{ARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s", Retention: 24 * time.Hour}, "", nil)
	f("summary denied", Description{}, "", map[string]fakeaws.Fault{"DescribeStreamSummary": denied})
	f("shards denied", Description{}, "grant kinesis:ListShards", map[string]fakeaws.Fault{"ListShards": denied})
	f("both denied", Description{}, "grant kinesis:ListShards", map[string]fakeaws.Fault{"DescribeStreamSummary": denied, "ListShards": denied})
	f("not Kinesis", Description{}, notKinesis, map[string]fakeaws.Fault{"DescribeStreamSummary": empty})
	f("table denied", Description{}, "AccessDenied", map[string]fakeaws.Fault{"DescribeTable": denied})
	f("not DynamoDB", Description{}, "the response is not from DynamoDB", map[string]fakeaws.Fault{"DescribeTable": empty})
}

// The retention is known from the start, so a reading that ends early does not need to request
// it to detect expired records.
func TestCheckKnowsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fakeAWS(noFaults)
		createStream(t, cfg)
		c := newWorker(t, cfg, newTable(t, cfg, time.Minute), zerolog.Nop())
		if _, err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * retentionTTL)
		ended, end := context.WithCancel(t.Context())
		end()
		now := time.Now()
		if got, want := c.stream.horizon(ended, now, now.Add(-48*time.Hour)), now.Add(dateUnit-24*time.Hour); !got.Equal(want) {
			t.Errorf("all records before %s have expired, want %s", got, want)
		}
	})
}

// While the start is retried, a missing permission is not logged each time.
func TestDeniedIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &strings.Builder{}
		begun := time.Now()
		cfg := fakeAWS(func(call fakeaws.Call) (fault fakeaws.Fault) {
			switch {
			case call.Operation == "DescribeStreamSummary":
				fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException"}
			case call.Operation == "ListShards" && time.Since(begun) < 3*time.Minute:
				fault.Refuse = &fakeaws.APIError{Code: "LimitExceededException"}
			}
			return fault
		})
		createStream(t, cfg)
		if _, err := newWorker(t, cfg, newTable(t, cfg, time.Minute), zerolog.New(log).Level(zerolog.InfoLevel)).Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "grant kinesis:DescribeStreamSummary"); n == 0 || n > 4 {
			t.Errorf("%d warnings", n)
		}
	})
}

// New rejects a stream that is neither a name nor an ARN of a stream.
func TestNewChecksStream(t *testing.T) {
	cfg := fakeAWS(noFaults)
	_, err := New(Config{Stream: "a b", Application: "leases", Worker: "w", AWS: cfg, PollInterval: time.Second, SyncInterval: time.Second, MaxInflated: 1, DrainTimeout: time.Minute}, nil, nil, nil)
	if err == nil || errors.Is(err, ErrDeleting) || !strings.Contains(err.Error(), "use the name or the ARN") {
		t.Error(err)
	}
}
