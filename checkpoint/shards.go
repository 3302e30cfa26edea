package checkpoint

import (
	"slices"
	"time"
)

// Shard is a shard as Kinesis lists it.
type Shard struct {
	ID string
	// Parents are the shards it came from: none, one (split) or two (merge).
	Parents []string
	// Closed is set when nothing more is written to it.
	Closed bool
	// First and Last are the sequence numbers that all of its records lie between:
	// its StartingSequenceNumber and, once it is closed, its EndingSequenceNumber.
	First, Last string
}

// shardState is what a worker knows of one shard. What it does not know is zero.
type shardState struct {
	listed listedShard // as Kinesis lists it
	seen   observation // its row as it was read last
	lease  *Lease      // the one that this worker holds, until Release, lost or not
	// epoch is the highest one seen, deleted rows included.
	epoch int64
	// deleted is set when somebody deleted the row by hand, to the time since which records
	// may be unread, and zero again when the row is back.
	deleted time.Time
	tried   time.Time // when its lease was asked for, zero if not since the last scan
	report  report    // of the readings that failed
}

// shardStates are the shards that Kinesis lists or that have, or had, a row or a lease, by
// their ids.
type shardStates map[string]*shardState

// get returns the state of a shard to be read.
func (m shardStates) get(id string) *shardState {
	if s, ok := m[id]; ok {
		return s
	}
	return &shardState{}
}

// state returns the state of a shard to be changed.
func (m shardStates) state(id string) *shardState {
	s, ok := m[id]
	if !ok {
		s = &shardState{}
		m[id] = s
	}
	return s
}

// leases counts the leases that this worker holds, lost ones included.
func (m shardStates) leases() (n int) {
	for _, s := range m {
		if s.lease != nil {
			n++
		}
	}
	return n
}

// goneAfter is how many listings in a row must lack a shard until it counts as
// gone: one answer without a page must not start a child before its parent.
const goneAfter = 3

// listedShard is what Kinesis' listings say of a shard, the last ones together.
type listedShard struct {
	Shard
	known   bool      // Kinesis lists it, or its row or its child speaks of it
	missing int       // how many listings in a row lack it
	since   time.Time // monotonic: when it was listed first
	listed  time.Time // by Kinesis' clock: when it was listed first
	// created is a time, by Kinesis' clock, before which the shard did not exist; zero if
	// none is known.
	created time.Time
	// reopened counts the listings in a row that show it open although its row says
	// that it is finished, and reopenedAt is when the first of them came.
	reopened   int
	reopenedAt time.Time
	refused    string // a checkpoint that Kinesis says is not of this shard
}

// update takes in a complete listing of a time, and the time of the one before, both by
// Kinesis' clock. Shards that it lacks are known by their children and by their rows. It
// reports whether the stream was created again since.
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
			*listed = listedShard{} // another shard with its id
		}
		listed.Shard, listed.known, listed.missing = s, true, 0
		if listed.since.IsZero() {
			listed.since, listed.listed, listed.created = time.Now(), now, before
		}
		listed.compare(rows[s.ID])
	}
	spoken := make(map[string]bool)
	for id := range rows {
		spoken[id] = true
	}
	for _, s := range shards {
		for _, parent := range s.Parents {
			spoken[parent] = true
		}
	}
	for id := range spoken {
		if s := m.state(id); !s.listed.known {
			s.listed = listedShard{Shard: Shard{ID: id}, known: true, missing: 1}
		}
	}
	for id, s := range m {
		if s.isGone() && !spoken[id] {
			s.listed = listedShard{}
		}
	}
	return replaced
}

// isReplaced reports whether a listing shows neither a shard that was listed before nor a
// child of one that has expired since: the stream was created again.
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

// isListed reports whether the last listing shows the shard.
func (s *shardState) isListed() bool { return s.listed.known && s.listed.missing == 0 }

// isGone reports whether Kinesis no longer has the shard. What was not looked for may
// be there.
func (s *shardState) isGone() bool { return s.listed.missing >= goneAfter }
