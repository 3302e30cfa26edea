package consumer

import (
	"context"
	"fmt"
	"time"
)

// A shard is parked when the documents that wait for their indices take too much memory: it
// is not read for a while, and then read again from its checkpoint.

// parkedFor is how long a shard is not read after its waiting documents were dropped from
// memory.
const parkedFor = time.Minute

// errParked ends a reading. The lease is then released, and the shard read again from its
// checkpoint.
var errParked = fmt.Errorf("the shard is paused: %w", errNotLeased)

// park ends the reading of a shard and prevents the next one for parkedFor.
func (s *stream) park(shard string) {
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	known := s.shards.ofLocked(shard)
	if known.reader != nil {
		known.reader.parked = true
	}
	known.parkedUntil = time.Now().Add(parkedFor)
}

func (s *stream) isParked(r *reader) bool {
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	return r.parked
}

// waitWhileParked waits until a shard is no longer parked.
func (s *stream) waitWhileParked(ctx context.Context, shard string) error {
	defer s.shards.enter(shard)()
	s.shards.mu.Lock()
	known := s.shards.ofLocked(shard)
	until := known.parkedUntil
	known.parkedUntil = time.Time{}
	s.shards.mu.Unlock()
	wait := time.NewTimer(time.Until(until))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
