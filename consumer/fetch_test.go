package consumer

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/fakeaws"
	"logsluice/local/localtest"
)

// fetching returns a stream with n records of the given size in the held shard.
func fetching(t *testing.T, n, size int, decide func(fakeaws.Call) fakeaws.Fault) *stream {
	t.Helper()
	table, _ := leased(t)
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://kinesis.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient:  &http.Client{Transport: fakeaws.RoundTripper(fakeaws.Inject(fakeaws.NewKinesis(fakeaws.KinesisOptions{Retention: 24 * time.Hour}), decide))},
	}
	s := newStream(t.Context(), Config{Stream: "s", AWS: config, PollInterval: time.Millisecond}, table, newMetrics(), new(shards))
	if _, err := s.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := s.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: fmt.Appendf(make([]byte, 0, size), "%0*d", size, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Begin(t.Context(), heldShard); err != nil {
		t.Fatal(err)
	}
	return s
}

// An iterator that expired while its reader waited is renewed at the same position, and the
// lease is kept.
func TestExpiredIteratorIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 250, 10, func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		seen := make(map[string]bool)
		for len(seen) < 250 {
			out, err := s.Read(t.Context(), heldShard)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				if seen[string(r.Data)] {
					t.Fatalf("%s is read again", r.Data)
				}
				seen[string(r.Data)] = true
			}
			time.Sleep(6 * time.Minute) // iterators live 5
		}
	})
}

// The limit of a call follows from the size of the previous records, so that answers remain
// below fetchBytes.
func TestFetchesAreSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 300, 100_000, func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		for call, want := range []int{firstRecords * 100_000, fetchBytes, fetchBytes} {
			out, err := s.Read(t.Context(), heldShard)
			if err != nil {
				t.Fatal(err)
			}
			if size := len(out.Records) * 100_000; size > want || size < want-100_000 {
				t.Errorf("call %d returns %d bytes", call, size)
			}
			time.Sleep(10 * time.Second) // a shard allows 2 MiB per second
		}
	})
}

// A backlog is read as fast as the shard allows, and no call is throttled, whatever happened
// to an earlier call.
func TestBacklogIsReadAtFullSpeed(t *testing.T) {
	localtest.Volume(t)
	f := func(name string, fault fakeaws.Fault, more int, most time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				s := fetching(t, 600, 100_000, func(call fakeaws.Call) fakeaws.Fault {
					if call.Operation == "GetRecords" {
						if calls++; calls == 10 {
							return fault
						}
					}
					return fakeaws.Fault{}
				})
				s.interval = 250 * time.Millisecond
				time.Sleep(time.Minute)
				began, reads, records := time.Now(), 0, 0
				for ; records < 600; reads++ {
					out, err := s.Read(t.Context(), heldShard)
					if err != nil {
						t.Fatal(err)
					}
					records += len(out.Records)
				}
				// A shard allows 60 MB in 30 s.
				if took := time.Since(began); took > most {
					t.Errorf("%d records of 100 kB took %s", records, took)
				}
				if calls-reads > more {
					t.Errorf("%d calls for %d answers: some were throttled", calls, reads)
				}
			})
		})
	}
	f("calm", fakeaws.Fault{}, 0, 30*time.Second)
	f("a slow answer", fakeaws.Fault{Delay: 900 * time.Millisecond}, 0, 31*time.Second)
	f("a lost answer", fakeaws.Fault{Lose: true}, 2, 33*time.Second)
}

// The number of answers in memory is bounded for all shards. The next call waits until the
// records of an answer are accepted, an answer has no records, a call fails, or a lease is
// released.
func TestFetchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		s := fetching(t, 1000, 10, func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "GetRecords" && failing.Load() {
				fault.Refuse = &fakeaws.APIError{Code: "InvalidArgumentException", Message: "injected"}
			}
			return fault
		})
		read := func() (ok bool) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Read(ctx, heldShard)
			return err == nil
		}
		others := func(n int) {
			for range n {
				s.fetchTokens <- struct{}{}
			}
		}
		others(maxFetches)
		if read() {
			t.Fatal("more answers than maxFetches are in memory")
		}
		<-s.fetchTokens
		for range 3 { // the next call releases the previous answer
			if !read() {
				t.Fatal("an accepted answer still counts")
			}
		}
		failing.Store(true)
		read()
		if len(s.fetchTokens) != maxFetches-1 {
			t.Error("a failed call counts as an answer")
		}
		failing.Store(false)
		read()
		s.endReading(heldShard)
		if len(s.fetchTokens) != maxFetches-1 {
			t.Error("an answer of a released lease still counts")
		}
	})
}

// The last answer of a closed shard has records and no next iterator.
func TestFetchesEndWithShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 3, 10, func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		if _, err := s.kinesis.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(heldShard), NewStartingHashKey: aws.String("170141183460469231731687303715884105728")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		out, err := s.Read(t.Context(), heldShard)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Records) != 3 || !out.IsLast {
			t.Fatalf("%d records, the last ones: %t", len(out.Records), out.IsLast)
		}
		s.endReading(heldShard)
		if n := len(s.fetchTokens); n != 0 {
			t.Errorf("%d tokens are held after the lease was released", n)
		}
	})
}

// A reader may wait for its first read longer than its iterator is valid.
func TestFirstIteratorIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 3, 10, func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		for range maxFetches {
			s.fetchTokens <- struct{}{}
		}
		go func() {
			time.Sleep(6 * time.Minute) // OpenSearch is away
			<-s.fetchTokens
		}()
		out, err := s.Read(t.Context(), heldShard)
		if err != nil || len(out.Records) != 3 {
			t.Fatalf("the reading ends with %v", err)
		}
	})
}
