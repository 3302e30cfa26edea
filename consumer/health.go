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

// The checks behind /healthz and /readyz: whether the worker makes progress, and whether
// it can read.

// stuckAfter is how long a loop may go without progress, at least. The KCL
// sleeps for a few seconds at most between two calls.
const stuckAfter = time.Minute

// Alive returns an error when a loop makes no progress, which only a restart
// cures: the look at leases and shards, or the reader of a held lease. A call
// that failed is progress, and so is waiting for OpenSearch. It also returns an error
// while Kinesis has refused all that this worker tried to read since it started.
func (c *Consumer) Alive(context.Context) error {
	if c.stopping() {
		return nil // it ends within the drain timeout
	}
	// Tasks of an earlier version that can read are kept until one of this can.
	if _, cause := c.table.Refused(); cause != nil {
		return fmt.Errorf("nothing could be read since the start: %w", cause)
	}
	// A look that DynamoDB does not answer takes about a lease duration.
	if err := c.syncing.check(max(10*c.cfg.SyncInterval, 4*c.table.LeaseDuration(), stuckAfter)); err != nil {
		return err
	}
	return c.shards.checkReaders()
}

// Ready returns an error when the worker is stopping, when the lease table could
// not be read of late, when no shard can be read, when Kinesis has refused to be read or
// listed and this worker has read nothing since, or when a shard that this worker holds,
// or nobody, has not been read for checkpoint.UnreadAfter.
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

// syncLoop is the sign of life of the loop that looks at leases and shards.
type syncLoop struct {
	mu     sync.Mutex
	turned time.Time // when its last turn began, zero before the first
}

// turn notes that a turn begins.
func (l *syncLoop) turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turned = time.Now()
}

// check returns an error when a turn takes longer than it may.
func (l *syncLoop) check(longest time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := time.Since(l.turned); !l.turned.IsZero() && age > longest {
		return fmt.Errorf("the look at leases and shards has been stuck for %s", age.Round(time.Second))
	}
	return nil
}

// pulse is the sign of life of a reader.
type readerActivity struct {
	inside int       // its calls that are in our code, and bounded or waiting there
	last   time.Time // when it came into our code or left it
}

// expectReader expects signs of life of a shard's reader, until expectNoReader.
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

// inside notes that a shard's reader is in our code until leave is called.
func (s *shards) inside(id string) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[id]
	if known == nil || known.activity == nil {
		return func() {}
	}
	reader := known.activity
	reader.inside++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		reader.inside--
		reader.last = time.Now()
	}
}

// checkReaders returns an error when the reader of a held lease gave no sign of life for
// stuckAfter.
func (s *shards) checkReaders() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stuck []string
	for id, known := range s.byID {
		if r := known.activity; r != nil && r.inside == 0 && time.Since(r.last) > stuckAfter {
			stuck = append(stuck, id)
		}
	}
	if len(stuck) > 0 {
		slices.Sort(stuck)
		return fmt.Errorf("nothing was heard for %s of the readers of %s", stuckAfter, strings.Join(stuck, ", "))
	}
	return nil
}
