package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/local/localtest"
)

// A worker whose reads were all refused since its start is not alive, tries one shard at a
// time, and ends after 5 minutes.
func TestRefusedSinceTheStart(t *testing.T) {
	f := func(operation, code, remedy string) {
		t.Run(operation+" "+code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, ended := starting(t, func(call fakeaws.Call) string {
					if call.Operation == operation {
						return code
					}
					return ""
				})
				time.Sleep(20 * time.Second)
				for range 4 * 60 {
					time.Sleep(time.Second)
					ready, alive := r.Ready(t.Context()), r.Alive(t.Context())
					if ready == nil || alive == nil || !strings.Contains(ready.Error(), remedy) || !strings.Contains(alive.Error(), remedy) {
						t.Fatalf("ready: %v, alive: %v", ready, alive)
					}
					if n := r.table.Held(); n > 1 {
						t.Fatalf("%d leases are held", n)
					}
				}
				select {
				case err := <-ended:
					t.Fatalf("it ends: %v", err)
				default:
				}
				time.Sleep(time.Minute + time.Second)
				err := <-ended
				if !errors.Is(err, ErrRefused) || !errors.Is(err, checkpoint.ErrRefused) || !strings.Contains(err.Error(), remedy) || r.table.Held() > 0 {
					t.Errorf("ended with %v, %d leases", err, r.table.Held())
				}
			})
		})
	}
	f("GetShardIterator", "AccessDeniedException", "grant kinesis:GetShardIterator and kinesis:GetRecords")
	f("GetRecords", "KMSAccessDeniedException", "grant kms:Decrypt")
	f("GetRecords", "ResourceNotFoundException", "check STREAM_NAME")
}

// starting returns a complete worker whose calls are refused from its start, and a channel with
// the error of its end.
func starting(t *testing.T, refuse func(fakeaws.Call) string) (*testWorker, chan error) {
	t.Helper()
	ended := make(chan error, 1)
	r := prepared(t)
	r.refuse.Store(&refuse)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r, ended
}

// Transient errors, and errors after a successful read, do not end a worker.
func TestNotAlwaysRefused(t *testing.T) {
	localtest.Volume(t)
	f := func(name, operation, code string, readsFirst, ready bool) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				r, ended := starting(t, func(call fakeaws.Call) string {
					if call.Operation == operation && (!readsFirst || time.Since(begun) > 30*time.Second) {
						return code
					}
					return ""
				})
				time.Sleep(10 * time.Minute)
				if err := r.Alive(t.Context()); err != nil {
					t.Errorf("alive: %v", err)
				}
				if err := r.Ready(t.Context()); err == nil != ready {
					t.Errorf("ready: %v", err)
				}
				select {
				case err := <-ended:
					t.Errorf("it ended: %v", err)
				default:
				}
			})
		})
	}
	f("throttled", "GetRecords", "ProvisionedThroughputExceededException", false, false)
	f("it has read", "GetRecords", "AccessDeniedException", true, false)
	f("listings are refused", "ListShards", "AccessDeniedException", true, false)
	f("nothing is refused", "", "", false, true)
}

// Refused listings make a worker not ready, with the remedy.
func TestListingsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(*testWorker) {})
		time.Sleep(10 * time.Second)
		refuse := func(call fakeaws.Call) string {
			if call.Operation == "ListShards" {
				return "AccessDeniedException"
			}
			return ""
		}
		r.refuse.Store(&refuse)
		time.Sleep(15 * time.Second)
		// The shards that it holds are still read.
		if err := r.Ready(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "the shards cannot be listed: ") || !strings.Contains(err.Error(), "grant kinesis:ListShards on the stream") {
			t.Errorf("ready: %v", err)
		}
		r.refuse.Store(nil)
		time.Sleep(5 * time.Second)
		if err := r.Ready(t.Context()); err != nil {
			t.Errorf("after: %v", err)
		}
	})
}

// One refused shard does not affect a worker that reads another.
func TestOneRefusedShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := starting(t, func(call fakeaws.Call) string {
			if call.Operation == "GetRecords" && call.Shard() == heldShard {
				return "AccessDeniedException"
			}
			return ""
		})
		time.Sleep(20 * time.Second)
		for range 4 * 60 * 10 {
			time.Sleep(100 * time.Millisecond)
			if ready, alive := r.Ready(t.Context()), r.Alive(t.Context()); ready != nil || alive != nil {
				t.Fatalf("ready: %v, alive: %v", ready, alive)
			}
		}
	})
}

// A spare worker that tries the only shard that cannot be read is not refused: the shard is
// also refused to workers that read the others.
func TestSpareWorkerAtABadShard(t *testing.T) {
	runScenario(t, 24*time.Hour, 24*time.Hour, func(s *scenario) {
		deny := func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "GetRecords" && call.Shard() == heldShard {
				fault.Refuse = &fakeaws.APIError{Code: "KMSDisabledException", Message: "No."}
			}
			return fault
		}
		s.faults.Store(&deny)
		s.start() // holds both
		time.Sleep(2 * time.Minute)
		first := s.stop
		table := spareTable(s)
		spare := newWorkerAt(s.T, s.aws, table, away{}, zerolog.New(&s.log))
		ctx, cancel := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		go func() { ended <- spare.Run(ctx) }()
		bad := 0
		for range 10 * 60 {
			time.Sleep(time.Second)
			if spare.Alive(s.Context()) != nil {
				bad++
			}
		}
		select {
		case err := <-ended:
			s.Errorf("it ended: %v", err)
		default:
			cancel()
			<-ended
		}
		cancel()
		if bad > 15 {
			s.Errorf("it is not alive for %d s", bad)
		}
		first()
	})
}

func spareTable(s *scenario) *checkpoint.Table {
	position, _ := checkpoint.ParsePosition("TRIM_HORIZON")
	table, err := checkpoint.New(checkpoint.Config{
		Table: "leases", Worker: "spare", LeaseDuration: 15 * time.Second, InitialPosition: position, Log: zerolog.New(&s.log),
	}, dynamodb.NewFromConfig(s.aws))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(table.Close)
	return table
}
