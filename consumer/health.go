package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The checks for /healthz and /readyz: whether the worker makes progress, and whether it can
// read.

// stuckAfter is the minimum time without progress after which a loop counts as stuck. The
// KCL sleeps for at most a few seconds between two calls.
const stuckAfter = time.Minute

// Alive returns an error when the sync loop or the reader of a held lease makes no progress,
// which only a restart can fix. A failed call is progress, and so is waiting for OpenSearch.
// It also returns an error while Kinesis has refused every call of this worker since it
// started.
func (c *Consumer) Alive(context.Context) error {
	if c.stopping() {
		return nil // it ends within the drain timeout
	}
	// This makes ECS keep the tasks of the previous version until one of this version can read.
	if _, cause := c.table.Refused(); cause != nil {
		return fmt.Errorf("nothing could be read since the start: %w", cause)
	}
	// A Sync takes about a lease duration when DynamoDB does not respond.
	if err := c.syncing.check(max(10*c.cfg.SyncInterval, 4*c.table.LeaseDuration(), stuckAfter)); err != nil {
		return err
	}
	return c.shards.checkReaders()
}

// Ready returns an error when the worker is stopping, when the lease table could not be read
// recently, when checkpoint.Table.CanRead does, or when a shard that no other worker
// holds has not been read for checkpoint.UnreadAfter.
func (c *Consumer) Ready(context.Context) error {
	if c.stopping() {
		return errors.New("stopping")
	}
	last := c.table.LastScan()
	if last.IsZero() {
		return errors.New("the lease table in DynamoDB has not been read yet")
	}
	if age := time.Since(last); age > max(3*c.cfg.SyncInterval, c.table.LeaseDuration()) {
		return fmt.Errorf("the lease table in DynamoDB could not be read for %s", age.Round(time.Second))
	}
	if err := c.table.CanRead(); err != nil {
		return err
	}
	return c.checkUnread()
}

func (c *Consumer) stopping() bool { return c.reading.Err() != nil }

// syncLoop tracks the progress of the sync loop.
type syncLoop struct {
	mu    sync.Mutex
	begun time.Time // when the last iteration began, zero before the first
}

// begin records that an iteration begins.
func (l *syncLoop) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = time.Now()
}

// check returns an error when an iteration has taken longer than longest.
func (l *syncLoop) check(longest time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := time.Since(l.begun); !l.begun.IsZero() && age > longest {
		return fmt.Errorf("the sync of leases and shards has been stuck for %s", age.Round(time.Second))
	}
	return nil
}

// readerActivity tracks the progress of a reader.
type readerActivity struct {
	calls int       // calls in this package, where they are bounded or wait
	last  time.Time // when it last returned from this package
}

// expectReader starts to track the progress of a shard's reader, until expectNoReader.
func (s *shards) expectReader(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofLocked(id).activity = &readerActivity{last: time.Now()}
}

func (s *shards) expectNoReader(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofLocked(id).activity = nil
}

// enter records that a shard's reader is in this package until leave is called.
func (s *shards) enter(id string) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[id]
	if known == nil || known.activity == nil {
		return func() {}
	}
	reader := known.activity
	reader.calls++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		reader.calls--
		reader.last = time.Now()
	}
}

// checkReaders returns an error when the reader of a held lease has made no progress for
// stuckAfter.
func (s *shards) checkReaders() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stuck []string
	for id, known := range s.byID {
		if r := known.activity; r != nil && r.calls == 0 && time.Since(r.last) > stuckAfter {
			stuck = append(stuck, id)
		}
	}
	if len(stuck) > 0 {
		slices.Sort(stuck)
		return fmt.Errorf("the readers of %s have made no progress for %s", strings.Join(stuck, ", "), stuckAfter)
	}
	return nil
}
