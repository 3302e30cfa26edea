package consumer

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/internal/statelog"
)

// watched returns a consumer that has acquired a lease as the KCL's worker does.
func watched(t *testing.T) *Consumer {
	t.Helper()
	table, _ := leased(t)
	c := newConsumer(t, 1, away{})
	c.cfg.SyncInterval, c.cfg.PollInterval, c.cfg.DrainTimeout = time.Second, time.Hour, time.Hour
	c.table, c.reading, c.draining = table, t.Context(), t.Context()
	c.stream = newStream(c.reading, c.cfg, table, c.metrics, c.shards)
	if err := table.Release(heldShard); err != nil {
		t.Fatal(err)
	}
	if err := table.Sync(t.Context(), listHeld); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Acquire(t.Context(), heldShard); err != nil {
		t.Fatal(err)
	}
	c.stream.Acquired(heldShard)
	return c
}

// release ends the reading of the held shard as the KCL's worker does.
func (c *Consumer) release() error {
	c.stream.Ended(heldShard)
	return c.table.Release(heldShard)
}

// The shard of a held lease is reported if its reader makes no progress for a minute, but not
// while the lease is being released.
func TestStuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watched(t)
		after := func(d time.Duration, stuck bool) {
			t.Helper()
			time.Sleep(d)
			if err := c.Alive(t.Context()); (err != nil) != stuck || stuck && !strings.Contains(err.Error(), heldShard) {
				t.Errorf("after %s: %v", d, err)
			}
		}
		after(stuckAfter, false)
		after(time.Second, true) // it never started
		leave := c.shards.enter(heldShard)
		after(time.Hour, false)
		leave()
		after(stuckAfter, false)
		after(time.Second, true)
		c.shards.enter(heldShard)()
		after(0, false)
		after(2*stuckAfter, true)
		c.table.Lease(heldShard).BeforeRelease(func() { time.Sleep(time.Hour) }) // the drain
		released := make(chan error)
		go func() { released <- c.release() }()
		synctest.Wait()
		after(2*stuckAfter, false)
		if err := <-released; err != nil {
			t.Error(err)
		}
		after(2*stuckAfter, false)
	})
}

// blockingLog is a log that blocks one reader of the KCL while it is set.
type blockingLog struct {
	set     atomic.Bool
	blocked sync.Mutex
	release chan struct{}
}

func (l *blockingLog) Write(line []byte) (int, error) {
	if l.set.Load() && bytes.Contains(line, []byte("kcl: Trying to read")) && l.blocked.TryLock() {
		<-l.release
		l.blocked.Unlock()
	}
	return len(line), nil
}

// A complete worker is alive and ready until one of its readers hangs in the KCL.
func TestRunStuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fakeAWS(noFaults)
		createStream(t, cfg)
		log := &blockingLog{release: make(chan struct{})}
		table := newTable(t, cfg, 15*time.Second)
		c := newWorker(t, cfg, table, zerolog.New(log))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		f := func(when string, wait time.Duration, alive bool) {
			t.Helper()
			time.Sleep(wait)
			err := c.Alive(t.Context())
			if (err == nil) != alive || err != nil && strings.Count(err.Error(), "shardId-") != 1 {
				t.Errorf("%s: %v", when, err)
			}
			if err := c.Ready(t.Context()); err != nil || table.Held() != 2 {
				t.Errorf("%s: %d leases, %v", when, table.Held(), err)
			}
		}
		f("reading", 10*time.Minute, true)
		log.set.Store(true)
		f("stuck", 2*stuckAfter, false)
		log.set.Store(false)
		close(log.release)
		f("going on", 2*time.Second, true)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if c.Ready(t.Context()) == nil {
			t.Error("ready when it has stopped")
		}
	})
}

// A worker that starts while AWS is unavailable waits, alive and not ready. A missing
// permission or stream ends it with an error.
func TestStartWithoutAWS(t *testing.T) {
	f := func(name string, fault fakeaws.Fault, ends string) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var away atomic.Bool
				var calls atomic.Int64
				cfg := fakeAWS(func(fakeaws.Call) fakeaws.Fault {
					if away.Load() {
						calls.Add(1)
						return fault
					}
					return fakeaws.Fault{}
				})
				createStream(t, cfg)
				away.Store(true)
				log := &testLog{}
				c := newWorker(t, cfg, newTable(t, cfg, 15*time.Second), zerolog.New(log))
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- c.Run(ctx) }()
				time.Sleep(time.Hour)
				// Its pauses grow, and it logs the state occasionally.
				const attempts = 3 // of the SDK
				most := attempts * (int64(time.Hour/longestPause) + 10)
				if n := calls.Load(); n > most {
					t.Errorf("%d calls in an hour, want at most %d", n, most)
				}
				logged := log.containing("cannot open the lease table or list the shards")
				if n, repeats := len(logged), int(time.Hour/statelog.RepeatAfter); ends == "" && (n < repeats/2 || n > repeats+1 || !strings.Contains(logged[0], `"longest_pause":"`)) {
					t.Errorf("%d lines: %q", n, logged)
				}
				if alive, ready := c.Alive(t.Context()), c.Ready(t.Context()); alive != nil || ready == nil {
					t.Errorf("away: alive %v, ready %v", alive, ready)
				}
				if ends == "" {
					away.Store(false)
					time.Sleep(time.Minute)
					if alive, ready := c.Alive(t.Context()), c.Ready(t.Context()); alive != nil || ready != nil {
						t.Errorf("back: alive %v, ready %v", alive, ready)
					}
				}
				stop()
				if err := <-ended; (err != nil) != (ends != "") || err != nil && !strings.Contains(err.Error(), ends) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
	f("no connection", fakeaws.Fault{Lose: true}, "")
	f("throttled", fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "ThrottlingException"}}, "")
	f("broken", fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "InternalServerError", Status: http.StatusInternalServerError}}, "")
	f("silent", fakeaws.Fault{Delay: 2 * fakeaws.Hang}, "")
	f("not allowed", fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "AccessDeniedException"}}, "AccessDenied")
}

// A reader that waits in this package is alive, however long it waits.
func TestWaitingReader(t *testing.T) {
	f := func(name string, wait func(c *Consumer, p *processor)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := watched(t)
				p := c.newProcessor(heldShard)
				var waiting sync.WaitGroup
				waiting.Go(func() { wait(c, p) })
				time.Sleep(10 * stuckAfter)
				if err := c.Alive(t.Context()); err != nil {
					t.Error(err)
				}
				waiting.Wait()
				time.Sleep(2 * stuckAfter)
				if c.Alive(t.Context()) == nil {
					t.Error("alive a long time after the wait")
				}
				if err := c.release(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	f("for the time of the next call", func(c *Consumer, p *processor) {
		c.stream.setReader(&reader{shard: heldShard, lease: p.lease, next: time.Now().Add(time.Hour)})
		ctx, cancel := context.WithTimeout(c.reading, 20*stuckAfter)
		defer cancel()
		_, _ = c.stream.Read(ctx, heldShard)
	})
	f("for bytes in flight", func(c *Consumer, p *processor) {
		c.indexer.Reserve(c.reading, "other", 1)
		ctx, cancel := context.WithTimeout(p.ctx, 20*stuckAfter)
		defer cancel()
		p.ctx = ctx
		p.ProcessRecords([]types.Record{{SequenceNumber: aws.String("1"), Data: envelope(1)}})
	})
	f("for the last outcomes of a shard", func(_ *Consumer, p *processor) {
		m := p.marks.add("1", 1)
		time.AfterFunc(20*stuckAfter, func() { p.marks.abandon(m) })
		p.Shutdown(func() error { return nil })
	})
}

// silent is a DynamoDB that does not answer scans. If deaf is set, it also ignores deadlines.
type silent struct {
	checkpoint.DynamoDB
	deaf bool
}

func (s silent) Scan(ctx context.Context, _ *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	if s.deaf {
		time.Sleep(24 * time.Hour)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A sync that fails is progress; one that does not end is not.
func TestSyncProgress(t *testing.T) {
	f := func(name string, deaf bool, leaseDuration, interval time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				position, err := checkpoint.ParsePosition("TRIM_HORIZON")
				if err != nil {
					t.Fatal(err)
				}
				table, err := checkpoint.New(checkpoint.Config{
					Table: "leases", Worker: "w", LeaseDuration: leaseDuration, InitialPosition: position, Log: zerolog.Nop(),
				}, silent{deaf: deaf})
				if err != nil {
					t.Fatal(err)
				}
				reading, stop := context.WithCancel(t.Context())
				c := &Consumer{cfg: Config{SyncInterval: interval, Log: zerolog.Nop()}, metrics: newMetrics(), shards: new(shards), table: table, reading: reading}
				c.lag = newLagCollector(c.shards, table.ReadStatuses)
				if err := c.Alive(t.Context()); err != nil {
					t.Errorf("before the first sync: %v", err)
				}
				var syncing sync.WaitGroup
				syncing.Go(func() { c.sync(reading) })
				wasAlive := true
				for range 600 {
					time.Sleep(time.Second)
					if c.Alive(t.Context()) != nil {
						wasAlive = false
					}
				}
				if wasAlive == deaf {
					t.Errorf("alive all the time: %v", wasAlive)
				}
				stop()
				if err := c.Alive(t.Context()); err != nil {
					t.Errorf("stopping: %v", err)
				}
				syncing.Wait()
			})
		})
	}
	f("no answer", false, 15*time.Second, time.Second)
	f("no answer for the whole of a long lease", false, 2*time.Minute, time.Second)
	f("a long sync interval", false, 15*time.Second, 2*time.Minute)
	f("stuck", true, 15*time.Second, time.Second)
}

func TestConsumerReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watched(t)
		reading, stop := context.WithCancel(t.Context())
		c.reading = reading
		f := func(want string) {
			t.Helper()
			err := c.Ready(t.Context())
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		f("")
		time.Sleep(c.table.LeaseDuration())
		f("")
		time.Sleep(time.Second)
		f("could not be read for 1m1s")
		c.cfg.SyncInterval = time.Minute // three of them are longer than the lease
		f("")
		c.cfg.SyncInterval = time.Second
		if err := c.table.Sync(t.Context(), listHeld); err != nil {
			t.Error(err)
		}
		f("")
		stop()
		f("stopping")
		table := c.table
		c.table, c.reading = new(checkpoint.Table), t.Context()
		f("has not been read yet")
		c.table = table
		if err := c.release(); err != nil {
			t.Error(err)
		}
	})
}
