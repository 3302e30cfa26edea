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

// goneAfter is how many listings in a row must lack a shard until it counts as
// gone: one answer without a page must not start a child before its parent.
const goneAfter = 3

// listing is what Kinesis' listings of the shards say, the last ones together.
type listing map[string]listedShard

type listedShard struct {
	Shard
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
func (l listing) update(shards []Shard, rows map[string]row, before, now time.Time) (replaced bool) {
	if !l.isReplaced(shards) {
		before = time.Time{}
	}
	replaced = !before.IsZero() && len(shards) > 0
	for id, s := range l {
		s.missing++
		l[id] = s
	}
	for _, s := range shards {
		listed := l[s.ID]
		if listed.First != s.First {
			listed = listedShard{} // another shard with its id
		}
		listed.Shard, listed.missing = s, 0
		if listed.since.IsZero() {
			listed.since, listed.listed, listed.created = time.Now(), now, before
		}
		listed.compare(rows[s.ID])
		l[s.ID] = listed
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
		if _, known := l[id]; !known {
			l[id] = listedShard{Shard: Shard{ID: id}, missing: 1}
		}
	}
	for id := range l {
		if l.gone(id) && !spoken[id] {
			delete(l, id)
		}
	}
	return replaced
}

// isReplaced reports whether a listing shows neither a shard that was listed before nor a
// child of one that has expired since: the stream was created again.
func (l listing) isReplaced(shards []Shard) bool {
	listed := make(map[string]bool)
	for _, s := range shards {
		if known := l[s.ID]; !known.since.IsZero() && known.First == s.First {
			return false
		}
		listed[s.ID] = true
	}
	return !slices.ContainsFunc(shards, func(s Shard) bool {
		return slices.ContainsFunc(s.Parents, func(parent string) bool { return !l[parent].since.IsZero() && !listed[parent] })
	})
}

// has reports whether the last listing shows a shard.
func (l listing) has(id string) bool {
	s, known := l[id]
	return known && s.missing == 0
}

// gone reports whether Kinesis no longer has a shard. What was not looked for may
// be there.
func (l listing) gone(id string) bool {
	return l[id].missing >= goneAfter
}
