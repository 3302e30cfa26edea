package consumer

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/internal/statelog"
	"logsluice/local/localtest"
)

var address = regexp.MustCompile(`0x[0-9a-fA-F]{4,}`)

// testLog is a log for tests.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// containing returns the lines that contain a text.
func (l *testLog) containing(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// testWorker is a complete worker with a fake AWS that refuses calls as refuse decides. Kinesis
// reports that shards are an hour behind.
type testWorker struct {
	*Consumer
	log    testLog
	refuse atomic.Pointer[func(fakeaws.Call) string]
	faults atomic.Pointer[func(fakeaws.Call) fakeaws.Fault]
	aws    aws.Config
	stop   func()
}

func run(t *testing.T, prepare func(r *testWorker)) *testWorker {
	t.Helper()
	return runAt(t, zerolog.InfoLevel, prepare)
}

// runAt is like run with a log level.
func runAt(t *testing.T, level zerolog.Level, prepare func(r *testWorker)) *testWorker {
	t.Helper()
	r := preparedAt(t, level)
	prepare(r)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// prepared returns a complete worker that does not run yet.
func prepared(t *testing.T) *testWorker { return preparedAt(t, zerolog.InfoLevel) }

func preparedAt(t *testing.T, level zerolog.Level) *testWorker {
	t.Helper()
	r := &testWorker{}
	r.aws = fakeAWS(func(call fakeaws.Call) fakeaws.Fault {
		if refuse := r.refuse.Load(); refuse != nil {
			if code := (*refuse)(call); code != "" {
				return fakeaws.Fault{Refuse: &fakeaws.APIError{Code: code, Message: "you may not."}}
			}
		}
		if faults := r.faults.Load(); faults != nil {
			if fault := (*faults)(call); fault.Refuse != nil || fault.Delay > 0 {
				return fault
			}
		}
		return fakeaws.Fault{Edit: func(answer []byte) []byte {
			return bytes.Replace(answer, []byte(`"MillisBehindLatest":0`), []byte(`"MillisBehindLatest":3600000`), 1)
		}}
	})
	createStream(t, r.aws)
	log := zerolog.New(&r.log).Level(level)
	table := newTableThatLogs(t, r.aws, 15*time.Second, log)
	r.Consumer = newWorker(t, r.aws, table, log)
	return r
}

// A shard that fails permanently is reported by one line per minute with cause and remedy, and
// by its lag. When no shard can be read, the worker is not ready.
func TestReadsRefused(t *testing.T) {
	localtest.Volume(t)
	f := func(code, remedy string) {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, func(*testWorker) {})
				time.Sleep(10 * time.Second)
				if err := r.Ready(t.Context()); err != nil {
					t.Errorf("before: %v", err)
				}
				refuse := func(call fakeaws.Call) string {
					if call.Operation == "GetRecords" {
						return code
					}
					return ""
				}
				r.refuse.Store(&refuse)
				time.Sleep(40 * time.Second)
				for _, line := range r.log.containing("shard cannot be read") {
					if !strings.Contains(line, code+": you may not: "+remedy) {
						t.Error(line)
					}
				}
				time.Sleep(20 * time.Second)
				if warned := r.log.containing(`"level":"warn"`); len(warned) != 2 {
					t.Errorf("%d lines for two shards in a minute: %s", len(warned), warned)
				}
				time.Sleep(4 * time.Minute)
				if err := r.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no shard can be read: "+code) {
					t.Errorf("ready: %v", err)
				}
				if err := r.Alive(t.Context()); err != nil {
					t.Errorf("alive: %v", err)
				}
				if lag := lagOf(t, r.lag, heldShard); lag < 3895 || lag > 3901 {
					t.Errorf("the lag is %v", lag)
				}
				r.refuse.Store(nil)
				time.Sleep(maxPause)
				if err := r.Ready(t.Context()); err != nil || r.table.Held() != 2 {
					t.Errorf("after: %d leases, %v", r.table.Held(), err)
				}
				if lag := lagOf(t, r.lag, heldShard); lag != 3600 {
					t.Errorf("the lag is %v", lag)
				}
			})
		})
	}
	f("KMSAccessDeniedException", "grant kms:Decrypt")
	f("AccessDeniedException", "grant kinesis:GetShardIterator and kinesis:GetRecords")
	f("KMSDisabledException", "enable the KMS key")
}

// For every error of a read and every log level, the KCL's lines are well-formed, and errors
// that package checkpoint logs are not logged twice.
func TestReadsRefusedAtEveryLevel(t *testing.T) {
	f := func(operation, code string) {
		t.Run(operation+" "+code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := runAt(t, zerolog.TraceLevel, func(*testWorker) {})
				refuse := func(call fakeaws.Call) string {
					if call.Operation == operation {
						return code
					}
					return ""
				}
				r.refuse.Store(&refuse)
				time.Sleep(30 * time.Second)
				r.stop()
				for _, line := range r.log.containing("") {
					if strings.Contains(line, "%!") || address.MatchString(line) || strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"kcl: `) {
						t.Error(line)
					}
				}
				ours := 0
				for _, line := range r.log.containing(code) {
					switch {
					case strings.Contains(line, `"shard cannot be read"`):
						ours++
					case !strings.Contains(line, `"level":"trace","shard":"shardId-`) || !strings.Contains(line, `"kcl: read throttled by KMS, trying again"`):
						t.Errorf("logged twice: %s", line)
					}
				}
				if ours != 2 {
					t.Errorf("%d lines for two shards", ours)
				}
			})
		})
	}
	f("GetRecords", "AccessDeniedException")
	f("GetRecords", "ProvisionedThroughputExceededException")
	f("GetRecords", "KMSThrottlingException")
	f("GetShardIterator", "AccessDeniedException")
}

// maxPause is longer than the time between two tries of a shard.
const maxPause = 3 * time.Minute

func registered(b *lagCollector) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	return registry
}

// lagOf returns a shard's lag metric, in seconds.
func lagOf(t *testing.T, b *lagCollector, shard string) float64 {
	t.Helper()
	families, err := registered(b).Gather()
	if err != nil || len(families) == 0 {
		t.Fatal(families, err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == shard {
			return m.GetGauge().GetValue()
		}
	}
	t.Errorf("no lag of %s", shard)
	return 0
}

// A checkpoint of another stream is reported, and the shard is read from its oldest record: at
// once if the checkpoint is outside the shard, or after Kinesis has rejected it.
func TestCheckpointOfAnotherStream(t *testing.T) {
	f := func(name, checkpointed string, refused int) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, func(r *testWorker) {
					if err := r.table.Open(t.Context(), checkpoint.Stream{Name: "s"}, r.stream.list); err != nil {
						t.Fatal(err)
					}
					_, err := dynamodb.NewFromConfig(r.aws).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("leases"), Item: map[string]types.AttributeValue{
						"ShardID":    &types.AttributeValueMemberS{Value: heldShard},
						"Checkpoint": &types.AttributeValueMemberS{Value: checkpointed},
					}})
					if err != nil {
						t.Fatal(err)
					}
				})
				time.Sleep(time.Minute - time.Second)
				if err := r.Ready(t.Context()); err != nil || r.table.Held() != 2 || len(r.table.Failing()) != 0 {
					t.Errorf("%d leases, %v, failing %v", r.table.Held(), err, r.table.Failing())
				}
				if lines := r.log.containing("InvalidArgumentException"); len(lines) != refused {
					t.Errorf("refused: %s", lines)
				}
				renewed := r.log.containing("belonged to another stream: it is reset")
				if len(renewed) != 1 || !strings.Contains(renewed[0], heldShard) || !strings.Contains(renewed[0], checkpointed) {
					t.Errorf("it is reported as %s", renewed)
				}
				if _, start := r.table.Lease(heldShard).Checkpoint(), r.table.Lease(heldShard).Start().String(); start != "TRIM_HORIZON" {
					t.Errorf("it is read from %s", start)
				}
			})
		})
	}
	f("before the shard", "49590338271490256608559692538361571095921575989136588898", 0)
	f("unknown to Kinesis", "49600000000000000000000000000000000000000000000000999999", 1)
}

// A read that is canceled when the worker stops does not count as a failure.
func TestStopIsNotAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(*testWorker) {})
		time.Sleep(10*time.Second + 500*time.Millisecond)
		r.stop()
		rows, err := dynamodb.NewFromConfig(r.aws).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows.Items {
			if row["ReadFailures"] != nil || row["AssignedTo"] != nil {
				t.Errorf("%v", row)
			}
		}
	})
}

// A refused listing is logged once, again when its cause changes or the state lasts, and when
// it is over.
func TestListingRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(*testWorker) {})
		time.Sleep(10 * time.Second)
		for _, code := range []string{"AccessDeniedException", "ResourceNotFoundException"} {
			refuse := func(call fakeaws.Call) string {
				if call.Operation == "ListShards" {
					return code
				}
				return ""
			}
			r.refuse.Store(&refuse)
			time.Sleep(time.Minute - 2*time.Second)
			if warned := r.log.containing(code); len(warned) != 1 {
				t.Errorf("%d lines of %s", len(warned), code)
			}
		}
		time.Sleep(statelog.RepeatAfter - time.Minute)
		if warned := r.log.containing("ResourceNotFoundException"); len(warned) != 1 {
			t.Errorf("%d lines before the state is repeated", len(warned))
		}
		time.Sleep(2 * time.Minute)
		if warned := r.log.containing("ResourceNotFoundException"); len(warned) != 2 {
			t.Errorf("%d lines with the state repeated", len(warned))
		}
		r.refuse.Store(nil)
		time.Sleep(time.Minute)
		if over := r.log.containing("shards and leases are synced again"); len(over) != 1 {
			t.Errorf("%d lines about the end", len(over))
		}
	})
}

func TestReadError(t *testing.T) {
	f := func(cause error, resumes bool, want string) {
		t.Helper()
		err := &readError{cause: cause, resumes: resumes}
		if got := err.Error(); !strings.HasPrefix(got, want) || want == cause.Error() && got != want || !errors.Is(err, cause) {
			t.Errorf("%v becomes %q, want %q", cause, got, want)
		}
	}
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "No."} }
	f(context.DeadlineExceeded, false, "context deadline exceeded")
	f(&smithy.GenericAPIError{Code: "InternalFailure"}, false, "InternalFailure")
	f(api("ResourceNotFoundException"), false, "ResourceNotFoundException: No: the stream does not exist")
	f(api("ExpiredTokenException"), false, "ExpiredTokenException: No: check the worker's AWS credentials")
	f(api("InvalidArgumentException"), true, "InvalidArgumentException: No: the checkpoint in the lease table does not belong to this shard")
	f(api("InvalidArgumentException"), false, "InvalidArgumentException: No.")

	// The worker drops a checkpoint of another shard by itself, so this is not ErrRefused.
	for err, want := range map[error]bool{
		&readError{cause: api("AccessDeniedException")}:                   true,
		&readError{cause: api("InvalidArgumentException"), resumes: true}: false,
		&readError{cause: api("InternalFailure")}:                         false,
	} {
		if got := errors.Is(err, checkpoint.ErrRefused); got != want {
			t.Errorf("%v: refused %t", err, got)
		}
	}
}

// A read that was ended on purpose is not a failure of the shard.
func TestEndedReadIsNotAFailure(t *testing.T) {
	fake := fakeAWS(func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
	s := newStream(t.Context(), Config{Stream: "s", AWS: fake}, nil, newMetrics(), new(shards))
	for _, ended := range []error{nil, errNotLeased} {
		if err := s.noteFailure(&reader{lease: &checkpoint.Lease{}}, ended); !errors.Is(err, ended) || errors.As(err, new(*readError)) {
			t.Errorf("%v becomes %v", ended, err)
		}
	}
}
