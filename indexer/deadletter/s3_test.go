package deadletter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"logsluice/local/localtest"
)

const bucket = "archive"

// at is in hour 23 of 2026-01-15 in UTC.
var at = time.Date(2026, 1, 16, 8, 59, 59, 0, time.FixedZone("JST", 9*60*60))

const lines = `{"stage":"index","payload":"a"}` + "\n" + `{"stage":"blocked","payload":"b"}` + "\n"

// service is an in-process S3. The test provides its first responses.
type service struct {
	t       *testing.T
	backend gofakes3.Backend
	faults  []func(w http.ResponseWriter, r *http.Request, real http.Handler)
	asked   atomic.Int64
	cfg     aws.Config
}

func newService(t *testing.T, faults ...func(http.ResponseWriter, *http.Request, http.Handler)) *service {
	t.Helper()
	s := &service{t: t, backend: s3mem.New(), faults: faults}
	if err := s.backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	real := gofakes3.New(s.backend, gofakes3.WithTimeSkewLimit(0)).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(s.asked.Add(1)); n <= len(s.faults) {
			s.faults[n-1](w, r, real)
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.cfg = config()
	s.cfg.BaseEndpoint = &server.URL
	return s
}

// config returns the configuration of a client that does not retry.
func config() aws.Config {
	return aws.Config{
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // as in a loaded configuration
		Region:                     "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// retrying makes the client retry as it does by default, but without pauses.
func (s *service) retrying() *service {
	s.cfg.Retryer = retrier
	return s
}

func retrier() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

func (s *service) store(prefix string) *S3 { return NewS3(s.cfg, URL{bucket, prefix}) }

// objects returns the contents by key.
func (s *service) objects() map[string]string {
	s.t.Helper()
	list, err := s.backend.ListBucket(bucket, nil, gofakes3.ListBucketPage{})
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]string{}
	for _, o := range list.Contents {
		object, err := s.backend.GetObject(bucket, o.Key, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		content, err := io.ReadAll(object.Contents)
		if err != nil {
			s.t.Fatal(err)
		}
		found[o.Key] = string(content)
	}
	return found
}

// one checks that there is one object, and returns it.
func (s *service) one(key string) string {
	s.t.Helper()
	objects := s.objects()
	if keys := slices.Collect(maps.Keys(objects)); len(keys) != 1 || keys[0] != key {
		s.t.Errorf("objects %q, want %s", keys, key)
	}
	return objects[key]
}

func unzip(t *testing.T, content string) string {
	t.Helper()
	zip, err := gzip.NewReader(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An object has JSON lines in gzip, in the folder of its hour in UTC.
func TestPut(t *testing.T) {
	t.Parallel()
	f := func(prefix string) {
		t.Helper()
		s := newService(t)
		if err := s.store(prefix).Put(t.Context(), at, "abc", []byte(lines)); err != nil {
			t.Fatal(err)
		}
		key := prefix + "2026/01/15/23/abc.jsonl.gz"
		if got := unzip(t, s.one(key)); got != lines {
			t.Errorf("%s has %q", key, got)
		}
		object, err := s.backend.HeadObject(bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		if object.Metadata["Content-Type"] != "application/gzip" || object.Metadata["Content-Encoding"] != "" {
			t.Errorf("metadata %v", object.Metadata)
		}
	}
	f("dead-letters/")
	f("_/dead/ecs=a/")
	f("")
}

// If a response is lost or the service is briefly unavailable, the same object is written
// again.
func TestPut_Repeated(t *testing.T) {
	t.Parallel()
	lost := func(_ http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	away := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		answer(w, http.StatusServiceUnavailable, "SlowDown")
	}
	const key = "p/2026/01/15/23/abc.jsonl.gz"
	f := func(name string, s *service, attempts int64) {
		t.Helper()
		if err := s.retrying().store("p/").Put(t.Context(), at, "abc", []byte(lines)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		first := s.one(key)
		if got := unzip(t, first); got != lines || s.asked.Load() != attempts {
			t.Errorf("%s: %q after %d attempts", name, got, s.asked.Load())
		}
		if err := s.store("p/").Put(t.Context(), at, "abc", []byte(lines)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.one(key) != first {
			t.Errorf("%s: the same lines made another object", name)
		}
	}
	f("in order", newService(t), 1)
	f("response lost", newService(t, lost), 2)
	f("unavailable", newService(t, away, away), 3)
}

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>it is so</Message></Error>`, code)
}

// An error contains what was being done, why it failed and what to do.
func TestPut_Failure(t *testing.T) {
	t.Parallel()
	f := func(s *S3, wants ...string) {
		t.Helper()
		for name, err := range map[string]error{"Put": s.Put(t.Context(), at, "abc", []byte(lines)), "Check": s.Check(t.Context())} {
			if err == nil {
				t.Errorf("%s: no error", name)
				continue
			}
			for _, want := range append(wants, "write dead letters to s3://") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v\nwant %s", name, err, want)
				}
			}
		}
	}
	refused := func(status int, code string) *S3 {
		fault := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { answer(w, status, code) }
		return newService(t, fault, fault).store("dead-letters/")
	}
	f(refused(http.StatusForbidden, "AccessDenied"), "AccessDenied: it is so", "grant s3:PutObject on s3://archive/dead-letters/* to the task role, and kms:GenerateDataKey")
	f(refused(http.StatusMovedPermanently, "PermanentRedirect"), "PermanentRedirect", "use a bucket in the region us-east-1 for DEAD_LETTER_URL (--dead-letter-url)")
	f(refused(http.StatusBadRequest, "AuthorizationHeaderMalformed"), "use a bucket in the region us-east-1")
	f(refused(http.StatusForbidden, "InvalidAccessKeyId"), "check the AWS credentials")
	f(refused(http.StatusServiceUnavailable, "SlowDown"), "SlowDown: it is so")

	s := newService(t)
	f(NewS3(s.cfg, URL{"nobody", "p/"}), "s3://nobody/p/", "NoSuchBucket", "create the bucket (deploy/logsluice.yaml has one), or correct DEAD_LETTER_URL (--dead-letter-url)")
	if objects := s.objects(); len(objects) > 0 {
		t.Errorf("objects %q", objects)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	s.cfg.BaseEndpoint = &closed.URL
	f(s.store("p/"), "connection refused", "check the route to S3")
}

// An S3 that does not respond delays Put by at most a minute, or until its context ends.
func TestPut_Hangs(t *testing.T) {
	t.Parallel()
	f := func(caller, want time.Duration, remedy bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			cfg := config()
			cfg.HTTPClient = hanging{}
			ctx, cancel := context.WithTimeout(t.Context(), caller)
			defer cancel()
			began := time.Now()
			err := NewS3(cfg, URL{bucket, "p/"}).Put(ctx, at, "abc", []byte(lines))
			if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(fmt.Sprint(err), "check the route") != remedy {
				t.Error(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("it takes %s", took)
			}
		})
	}
	f(time.Hour, putTimeout, true)
	f(time.Second, time.Second, false)
}

type hanging struct{}

func (hanging) Do(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A check writes one object once and does not overwrite it.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range 3 {
		if err := s.store("p/").Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if content := s.one("p/_check"); content == "" || s.asked.Load() != 3 {
		t.Errorf("%q after %d requests", content, s.asked.Load())
	}
	if _, err := s.backend.PutObject(bucket, "p/_check", map[string]string{}, strings.NewReader("first"), 5, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.store("p/").Check(t.Context()); err != nil || s.one("p/_check") != "first" {
		t.Errorf("%q, %v", s.one("p/_check"), err)
	}
	f := func(status int, code string) {
		t.Helper()
		s := newService(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { answer(w, status, code) })
		if err := s.store("p/").Check(t.Context()); err != nil {
			t.Error(err)
		}
		if objects := s.objects(); len(objects) > 0 {
			t.Errorf("objects %q", objects)
		}
	}
	f(http.StatusPreconditionFailed, "PreconditionFailed")
	f(http.StatusConflict, "ConditionalRequestConflict")
}

// Objects are sent from bodies that the SDK does not close.
func TestOwnBodies(t *testing.T) {
	t.Parallel()
	e := new(localtest.EarlyResponder)
	cfg := config()
	cfg.HTTPClient = e
	_ = NewS3(cfg, URL{bucket, "p/"}).Put(t.Context(), at, "abc", []byte(lines))
	if body, err := io.ReadAll(e.Body); err != nil || len(body) == 0 {
		t.Errorf("the body is gone: %q, %v", body, err)
	}
}

// hosts records where requests go.
type hosts struct{ host, path string }

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	h.host, h.path = r.URL.Host, r.URL.Path
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}

// The endpoint is AWS's, or the one in the SDK's variables.
func TestEndpoint(t *testing.T) {
	f := func(host, path string) {
		t.Helper()
		h := new(hosts)
		cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithRegion("eu-west-1"), awsconfig.WithCredentialsProvider(config().Credentials))
		if err != nil {
			t.Fatal(err)
		}
		cfg.HTTPClient = h
		if err := NewS3(cfg, URL{bucket, "p/"}).Put(t.Context(), at, "abc", nil); err != nil {
			t.Fatal(err)
		}
		if h.host != host || h.path != path {
			t.Errorf("it goes to %s%s, want %s%s", h.host, h.path, host, path)
		}
	}
	for _, variable := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(variable, "")
	}
	f("archive.s3.eu-west-1.amazonaws.com", "/p/2026/01/15/23/abc.jsonl.gz")
	t.Setenv("AWS_ENDPOINT_URL", "http://all:1")
	f("all:1", "/archive/p/2026/01/15/23/abc.jsonl.gz")
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://s3:1")
	f("s3:1", "/archive/p/2026/01/15/23/abc.jsonl.gz")
}

// Over TLS the SDK appends a checksum to the body. The object is complete, also after a
// second attempt.
func TestPut_TLS(t *testing.T) {
	t.Parallel()
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	w.Write([]byte(lines))
	w.Close()
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(body, zip.Bytes()) || r.ContentLength != int64(len(body)) || r.Header.Get("X-Amz-Decoded-Content-Length") != fmt.Sprint(zip.Len()) {
			t.Errorf("%d bytes, %v, %v", len(body), err, r.Header)
		}
		if asked.Add(1) == 1 {
			answer(w, http.StatusInternalServerError, "InternalError")
		}
	}))
	t.Cleanup(server.Close)
	cfg := config()
	cfg.BaseEndpoint, cfg.HTTPClient, cfg.Retryer = &server.URL, server.Client(), retrier
	if err := NewS3(cfg, URL{bucket, "p/"}).Put(t.Context(), at, "abc", []byte(lines)); err != nil || asked.Load() != 2 {
		t.Errorf("%d attempts, %v", asked.Load(), err)
	}
}
