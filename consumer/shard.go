package consumer

import (
	"sync"
	"time"

	"logsluice/checkpoint"
)

// shards is the state of the stream's shards in this worker. The zero value is empty.
type shards struct {
	mu   sync.Mutex
	byID map[string]*shard
}

// shard is the state of one shard. It is guarded by shards.mu.
type shard struct {
	// activity is the progress of its reader, from the acquisition of the lease until its
	// release begins; nil otherwise.
	activity *readerActivity
	// reader reads the shard, from its first iterator until its release begins; nil
	// otherwise.
	reader *reader
	// lag is how far the last answer was behind the tip, until the lease is released.
	lag lag
	// parkedUntil is when the shard may be read again, zero if it is not parked.
	parkedUntil time.Time
	// unreadLogged is when it was last logged that the shard is not read.
	unreadLogged time.Time
}

// lag is the lag of a shard under one lease, from the answers to its reads.
type lag struct {
	lease  *checkpoint.Lease // nil if unknown
	marks  *watermark        // nil until the shard has a processor
	behind time.Duration
	at     time.Time // when the last answer arrived, zero before the first
}

// ofLocked returns the state of a shard, and adds it if necessary. s.mu must be held.
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

// pruneLocked deletes shards without relevant state. s.mu must be held.
func (s *shards) pruneLocked() {
	for id, known := range s.byID {
		if known.activity == nil && known.reader == nil && known.lag.lease == nil &&
			time.Until(known.parkedUntil) <= 0 && time.Since(known.unreadLogged) >= checkpoint.UnreadAfter {
			delete(s.byID, id)
		}
	}
}
