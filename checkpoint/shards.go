package checkpoint

import (
	"slices"
	"time"
)

// Shard is a shard as Kinesis lists it.
type Shard struct {
	ID string
	// Parents are the shards that it was made from: none, one (split) or two (merge).
	Parents []string
	// Closed is set when no more records are written to it.
	Closed bool
	// First and Last bound the sequence numbers of its records: its StartingSequenceNumber
	// and, once it is closed, its EndingSequenceNumber.
	First, Last string
}

// shardState is what a worker knows about one shard. Unknown fields are zero.
type shardState struct {
	listed listedShard // as Kinesis lists it
	seen   observation // its row as last read
	lease  *Lease      // this worker's lease until Release, lost or not
	// epoch is the highest one observed, including deleted rows.
	epoch int64
	// deleted is set when the row was deleted by hand, to the time since which records may be
	// unread. It is zero again when the row exists.
	deleted time.Time
	tried   time.Time // when the worker tried to acquire its lease, zero if not since the last scan
	report  report    // of failed reads
}

// shardStates maps ids to shards: those that Kinesis lists, and those that have or had a row
// or a lease.
type shardStates map[string]*shardState

// get returns the state of a shard, for reading only.
func (m shardStates) get(id string) *shardState {
	if s, ok := m[id]; ok {
		return s
	}
	return &shardState{}
}

// state returns the state of a shard for changes, and adds it if necessary.
func (m shardStates) state(id string) *shardState {
	s, ok := m[id]
	if !ok {
		s = &shardState{}
		m[id] = s
	}
	return s
}

// leases counts the leases that this worker holds, including lost ones.
func (m shardStates) leases() (n int) {
	for _, s := range m {
		if s.lease != nil {
			n++
		}
	}
	return n
}

// goneAfter is the number of consecutive listings without a shard after which it counts as
// gone. One answer that lacks a page must not start a child before its parent.
const goneAfter = 3

// listedShard is the state of a shard according to Kinesis' recent listings.
type listedShard struct {
	Shard
	known   bool      // Kinesis lists it, or it has a row or a child
	missing int       // consecutive listings without it
	since   time.Time // monotonic: when it was first listed
	listed  time.Time // by Kinesis' clock: when it was first listed
	// created is a time, by Kinesis' clock, before which the shard did not exist. It is zero
	// if unknown.
	created time.Time
	// reopened counts the consecutive listings that show the shard as open although its row is
	// finished. reopenedAt is when the first of them arrived.
	reopened   int
	reopenedAt time.Time
	refused    string // a checkpoint that Kinesis rejected for this shard
}

// update applies a complete listing. now is its time and before that of the previous one,
// both by Kinesis' clock. Shards that it lacks are known from their children and their rows.
// update reports whether the stream was created again since the previous listing.
func (m shardStates) update(shards []Shard, rows map[string]row, before, now time.Time) (replaced bool) {
	if !m.isReplaced(shards) {
		before = time.Time{}
	}
	replaced = !before.IsZero() && len(shards) > 0
	for _, s := range m {
		if s.listed.known {
			s.listed.missing++
		}
	}
	for _, s := range shards {
		listed := &m.state(s.ID).listed
		if listed.First != s.First {
			*listed = listedShard{} // another shard with the same id
		}
		listed.Shard, listed.known, listed.missing = s, true, 0
		if listed.since.IsZero() {
			listed.since, listed.listed, listed.created = time.Now(), now, before
		}
		listed.compare(rows[s.ID])
	}
	mentioned := make(map[string]bool)
	for id := range rows {
		mentioned[id] = true
	}
	for _, s := range shards {
		for _, parent := range s.Parents {
			mentioned[parent] = true
		}
	}
	for id := range mentioned {
		if s := m.state(id); !s.listed.known {
			s.listed = listedShard{Shard: Shard{ID: id}, known: true, missing: 1}
		}
	}
	for id, s := range m {
		if s.isGone() && !mentioned[id] {
			s.listed = listedShard{}
		}
	}
	return replaced
}

// isReplaced reports whether the stream was created again: the listing has neither a shard
// that was listed before nor a child of one that has expired since.
func (m shardStates) isReplaced(shards []Shard) bool {
	listed := make(map[string]bool)
	for _, s := range shards {
		if known := m.get(s.ID).listed; !known.since.IsZero() && known.First == s.First {
			return false
		}
		listed[s.ID] = true
	}
	return !slices.ContainsFunc(shards, func(s Shard) bool {
		return slices.ContainsFunc(s.Parents, func(parent string) bool { return !m.get(parent).listed.since.IsZero() && !listed[parent] })
	})
}

// isListed reports whether the last listing has the shard.
func (s *shardState) isListed() bool { return s.listed.known && s.listed.missing == 0 }

// isGone reports whether Kinesis no longer has the shard. It is false if the shards were not
// listed.
func (s *shardState) isGone() bool { return s.listed.missing >= goneAfter }
