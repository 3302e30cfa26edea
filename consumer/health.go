package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

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
	return c.progress.check(max(10*c.cfg.SyncInterval, 4*c.table.LeaseDuration(), stuckAfter))
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

// progress is when the loops of a consumer gave their last sign of life.
type progress struct {
	mu      sync.Mutex
	turned  time.Time         // when the last turn of the look at leases and shards began
	readers map[string]*pulse // by the shards of leases that are held and not being released
}

// pulse is the sign of life of a reader.
type pulse struct {
	inside int       // its calls that are in our code, and bounded or waiting there
	last   time.Time // when it came into our code or left it
}

// turn notes a turn of the look at leases and shards.
func (p *progress) turn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turned = time.Now()
}

// begin expects signs of life of a shard's reader, until end.
func (p *progress) begin(shard string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = make(map[string]*pulse)
	}
	p.readers[shard] = &pulse{last: time.Now()}
}

func (p *progress) end(shard string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, shard)
}

// inside notes that a shard's reader is in our code until leave is called.
func (p *progress) inside(shard string) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reader := p.readers[shard]
	if reader == nil {
		return func() {}
	}
	reader.inside++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		reader.inside--
		reader.last = time.Now()
	}
}

func (p *progress) check(longestTurn time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := time.Since(p.turned); !p.turned.IsZero() && age > longestTurn {
		return fmt.Errorf("the look at leases and shards has been stuck for %s", age.Round(time.Second))
	}
	var stuck []string
	for _, shard := range slices.Sorted(maps.Keys(p.readers)) {
		if r := p.readers[shard]; r.inside == 0 && time.Since(r.last) > stuckAfter {
			stuck = append(stuck, shard)
		}
	}
	if len(stuck) > 0 {
		return fmt.Errorf("nothing was heard for %s of the readers of %s", stuckAfter, strings.Join(stuck, ", "))
	}
	return nil
}
