package consumer

import (
	"sync"
	"time"

	"logsluice/checkpoint"
)

// shards is what this worker knows of the shards of its stream. The zero value knows
// nothing.
type shards struct {
	mu   sync.Mutex
	byID map[string]*shard
}

// shard is what this worker knows of one shard. shards.mu must be held.
type shard struct {
	// pulse is the sign of life of its reader, from the acquisition of the lease until its
	// release begins; nil otherwise.
	activity *readerActivity
	// reader reads the shard, from its first iterator until its release begins; nil
	// otherwise.
	reader *reader
	// lag is how far the answers are behind the tip, from the first one until the lease is
	// released.
	lag lag
	// parkedUntil is when the shard may be read again, zero if it may be read at once.
	parkedUntil time.Time
	// unreadLogged is when it was last logged that nobody reads the shard.
	unreadLogged time.Time
}

// lag is what the answers to the reads of a shard said under one lease.
type lag struct {
	lease  *checkpoint.Lease // nil if nothing is known
	marks  *watermark        // nil until the shard has a processor
	behind time.Duration
	at     time.Time // when the last answer came, zero before the first
}

// ofLocked returns what is known of a shard. s.mu must be held.
func (s *shards) ofLocked(id string) *shard {
	known := s.byID[id]
	if known == nil {
		known = &shard{}
		if s.byID == nil {
			s.byID = make(map[string]*shard)
		}
		s.byID[id] = known
	}
	return known
}

// forgetLocked forgets the shards of which nothing is known that counts. s.mu must be held.
func (s *shards) forgetLocked() {
	for id, known := range s.byID {
		if known.activity == nil && known.reader == nil && known.lag.lease == nil &&
			time.Until(known.parkedUntil) <= 0 && time.Since(known.unreadLogged) >= checkpoint.UnreadAfter {
			delete(s.byID, id)
		}
	}
}
