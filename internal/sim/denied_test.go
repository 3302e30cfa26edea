package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Shards and streams that workers are not allowed to read.

// logLines returns the number of lines that the workers have logged at info level or above.
func (c *cluster) logLines() (n int) {
	c.history.mu.Lock()
	defer c.history.mu.Unlock()
	for _, l := range c.lines {
		if strings.HasPrefix(l.format, "%s logs ") {
			n++
		}
	}
	return n
}

// denied runs a cluster in which the reads of some shards are denied. test runs while they are
// denied. In the end all promises must hold.
func denied(t *testing.T, shards, bad, workers int, test func(c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(1, logsluice, scaleTiming, false)
		c.create(shards)
		c.join(workers)
		for i := range bad {
			c.apply(event{what: denyReads, shard: i, lasting: time.Hour, percent: 100}, nil)
		}
		p := newProducer(c, 1)
		producing, stopProducing := context.WithCancel(context.Background())
		var producers sync.WaitGroup
		producers.Go(func() { p.run(producing) })
		test(c)
		stopProducing()
		producers.Wait()
		c.mu.Lock()
		c.trouble = nil
		c.mu.Unlock()
		begun := time.Now()
		c.awaitOutcomes()
		t.Logf("all is read %s after the denial ended", time.Since(begun))
		for _, w := range c.workers {
			c.stop(w.process)
		}
		for _, v := range c.violations {
			t.Error(v)
		}
		time.Sleep(time.Minute)
	})
}

func (c *cluster) join(workers int) {
	for range workers {
		w := &worker{number: len(c.workers)}
		c.mu.Lock()
		c.workers = append(c.workers, w)
		c.mu.Unlock()
		c.start(w, fmt.Sprintf("w%d", w.number))
	}
}

// A shard that no worker can read causes few log lines and writes, however many workers try. It
// is read again a few minutes after it can be read.
func TestReadsDenied(t *testing.T) {
	f := func(workers, mostWrites, mostLines, laterWrites, laterLines int) {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			denied(t, 20, 20, workers, func(c *cluster) {
				writes, lines := 0, 0
				minute := func(n, mostWrites, mostLines int) {
					time.Sleep(time.Minute)
					usage := int(c.dynamodb.Usage().WriteUnits)
					t.Logf("minute %d: %d writes, %d log lines", n, usage-writes, c.logLines()-lines)
					if usage-writes > mostWrites || c.logLines()-lines > mostLines {
						t.Errorf("minute %d: %d writes, want at most %d; %d log lines, want at most %d\n%s",
							n, usage-writes, mostWrites, c.logLines()-lines, mostLines, c.last(100))
					}
					writes, lines = usage, c.logLines()
				}
				minute(1, mostWrites, mostLines)
				for n := range 9 {
					minute(n+2, laterWrites, laterLines)
				}
			})
		})
	}
	f(1, 240, 60, 60, 30)
	f(5, 400, 150, 60, 40)
}

// One shard that no worker can read does not keep a worker from its share of the other shards.
func TestOneShardDenied(t *testing.T) {
	f := func(name string, first, then int) {
		t.Run(name, func(t *testing.T) {
			denied(t, 6, 1, first, func(c *cluster) {
				time.Sleep(time.Minute)
				c.join(then)
				time.Sleep(2 * time.Minute)
				for begun := time.Now(); time.Since(begun) < 5*time.Minute; time.Sleep(time.Second) {
					loads := make(map[string]int)
					c.mu.Lock()
					bad := c.trouble[0].only
					for shard, row := range c.rows {
						if shard != bad {
							loads[row.owner]++
						}
					}
					c.mu.Unlock()
					if got := slices.Sorted(maps.Values(loads)); !slices.Equal(got, []int{2, 3}) || loads[""] > 0 {
						t.Errorf("the shares of the readable shards are %v\n%s", loads, c.last(100))
						return
					}
				}
			})
		})
	}
	f("one joins", 1, 1)
	f("both start", 2, 0)
}

// A worker that is not allowed to read anything leaves the others their shards and ends: a
// deployment without the required permissions does not stop the others.
func TestRefusedWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(1, logsluice, storyTiming, false)
		c.create(4)
		c.join(1)
		p := newProducer(c, 1)
		producing, stopProducing := context.WithCancel(context.Background())
		var producers sync.WaitGroup
		producers.Go(func() { p.run(producing) })
		time.Sleep(warmUp)
		c.mu.Lock()
		c.trouble = append(c.trouble, trouble{event: event{what: denyWorker, worker: 1, percent: 100, forever: true}})
		c.mu.Unlock()
		c.join(1)
		refused := c.workers[1].process
		begun := time.Now()
		unread := 0
		for ; time.Since(begun) < 4*time.Minute; time.Sleep(time.Second) {
			c.mu.Lock()
			for _, row := range c.rows {
				if row.owner != "w0" {
					unread++
				}
			}
			c.mu.Unlock()
		}
		// Each try takes a shard away for a moment.
		if unread > 4*60/4 {
			t.Errorf("%d shard seconds without the worker that can read", unread)
		}
		t.Logf("%d shard seconds without the worker that can read", unread)
		time.Sleep(2 * time.Minute)
		select {
		case <-refused.ended:
		default:
			t.Error("it continues")
		}
		stopProducing()
		producers.Wait()
		c.mu.Lock()
		c.trouble = nil
		c.mu.Unlock()
		c.awaitOutcomes()
		for _, w := range c.workers {
			c.stop(w.process)
		}
		for _, v := range c.violations {
			t.Error(v)
		}
		time.Sleep(time.Minute)
	})
}
