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

	"logsluice/internal/fakeaws"
)

// No call begins without a lease, and a call under way ends with the lease.
func TestReadWhileLeased(t *testing.T) {
	table, _ := leased(t)
	r := &reader{lease: table.Lease(heldShard)}
	if err := r.whileLeased(t.Context(), func(context.Context) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error of the call became %v", err)
	}
	err := r.whileLeased(t.Context(), func(ctx context.Context) error {
		if err := table.Release(heldShard); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, errNotLeased) {
		t.Errorf("a call under way ends with %v", err)
	}
	for _, r := range []*reader{r, {}, nil} {
		if err := r.whileLeased(t.Context(), func(context.Context) error { t.Error("a call is made"); return nil }); !errors.Is(err, errNotLeased) {
			t.Errorf("without a lease: %v", err)
		}
	}
}

// No call is sent when the worker has stopped.
func TestNoCallAfterStop(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	table, _ := leased(t)
	s := newStream(stopped, Config{Stream: "s", AWS: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s is sent", r.Header.Get("X-Amz-Target"))
		}))},
	}}, table, newMetrics(), new(shards))
	s.setReader(&reader{shard: heldShard, lease: table.Lease(heldShard), iterator: aws.String("iterator"), limit: 1})
	for range 100 {
		if _, err := s.Read(t.Context(), heldShard); !errors.Is(err, context.Canceled) {
			t.Fatalf("want a cancelled call, got %v", err)
		}
		if err := s.Begin(t.Context(), heldShard); !errors.Is(err, context.Canceled) {
			t.Fatalf("want a cancelled call, got %v", err)
		}
		if _, err := s.Assignment(t.Context()); !errors.Is(err, context.Canceled) {
			t.Fatalf("want a cancelled call, got %v", err)
		}
	}
	if err := table.Release(heldShard); err != nil {
		t.Error(err)
	}
}

// A call that hangs ends.
func TestCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, _ := leased(t)
		s := newStream(t.Context(), Config{Stream: "s", AWS: aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"),
			Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
			HTTPClient: &http.Client{Transport: fakeaws.RoundTripper(fakeaws.Inject(http.NotFoundHandler(), func(fakeaws.Call) fakeaws.Fault {
				return fakeaws.Fault{Delay: fakeaws.Hang}
			}))},
		}}, table, newMetrics(), new(shards))
		f := func(name string, call func() error) {
			begun := time.Now()
			if err, took := call(), time.Since(begun); err == nil || took > callTimeout {
				t.Errorf("%s: after %s: %v", name, took, err)
			}
		}
		f("Begin", func() error { return s.Begin(t.Context(), heldShard) })
		s.setReader(&reader{shard: heldShard, lease: table.Lease(heldShard), iterator: aws.String("iterator"), limit: 1})
		f("Read", func() error { _, err := s.Read(t.Context(), heldShard); return err })
		if err := table.Release(heldShard); err != nil {
			t.Error(err)
		}
	})
}
