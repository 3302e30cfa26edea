package checkpoint

import (
	"cmp"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// A stream that is deleted and created again has shards with the same ids as the old one.
// A row is foreign if it belongs to a different shard than the one that Kinesis lists under
// its id. Its checkpoint is ignored, in particular SHARD_END: the next worker that acquires
// the lease resets the row and reads the shard from its oldest record.

// A row with SHARD_END is foreign when its shard has been listed as open for reopenedFor and
// in goneAfter consecutive listings.
const reopenedFor = time.Minute

// foreign returns the reason why a row belongs to a different shard than s, or "" if it does
// not. streamRecreated is set while the table has the creation time of an earlier stream.
func (s listedShard) foreign(r row, streamRecreated bool, now time.Time) string {
	switch {
	case r.first != "" && s.First != "" && r.first != s.First:
		return "its shard began at " + r.first + ", this one at " + s.First
	case r.checkpoint == "":
	case r.first == "" && streamRecreated:
		return "the stream was created again since"
	case r.first == "" && s.isOutside(r.checkpoint):
		return "its checkpoint " + r.checkpoint + " is not within the shard"
	case r.checkpoint == s.refused:
		return "Kinesis refuses its checkpoint " + r.checkpoint
	case r.finished() && s.reopened >= goneAfter && now.Sub(s.reopenedAt) >= reopenedFor:
		return "it is finished, but the shard is open"
	}
	return ""
}

// compare updates the count of listings that show the shard as open although its row is
// finished.
func (s *listedShard) compare(r row) {
	if s.Closed || !r.finished() {
		s.reopened = 0
		return
	}
	if s.reopened++; s.reopened == 1 {
		s.reopenedAt = time.Now()
	}
}

// isOutside reports whether a checkpoint is a sequence number that no record of the shard
// can have.
func (s listedShard) isOutside(checkpoint string) bool {
	return isNumber(checkpoint) && (CompareNumbers(checkpoint, s.First) < 0 || isNumber(s.Last) && CompareNumbers(checkpoint, s.Last) > 0)
}

// isNumber reports whether text is a sequence number: decimal digits, up to 128 in Kinesis.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// CompareNumbers compares two decimal sequence numbers. It returns a negative number if a
// comes before b, 0 if they are equal, and a positive number otherwise.
func CompareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// stopForeign ends the reading of shards that this worker holds by foreign rows. t.mu must
// be held.
func (t *Table) stopForeign() {
	snap := t.snapshotLocked()
	for id, s := range t.shards {
		if s.lease == nil {
			continue
		}
		why := snap.foreign(s)
		if why == "" || s.lease.reading.Err() != nil {
			continue
		}
		t.cfg.Log.Error().Str("shard", id).Str("reason", why).Msg("the row of the shard belongs to another stream: reading stops and starts again")
		s.lease.stopReading()
	}
}

// CheckpointRefused records that Kinesis rejected the lease's checkpoint because it does not
// belong to the shard: the row is foreign.
func (l *Lease) CheckpointRefused() {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards.state(l.shard).listed.refused = l.acquired.checkpoint
}

// warnOfOtherDestination logs, once each, that the worker that started last writes to a
// different domain or index prefix: the events are then split between two destinations.
func (t *Table) warnOfOtherDestination(first item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range []struct{ attribute, mine, what string }{
		{attrDomain, t.cfg.Domain, "OPENSEARCH_URL"},
		{attrPrefix, t.cfg.IndexPrefix, "INDEX_PREFIX"},
	} {
		if other := text(first[s.attribute]); other != "" && other != s.mine {
			t.warnOnce(s.what).Str("table", t.cfg.Table).Str("ours", s.mine).Str("theirs", other).
				Str("remedy", "give each service its own APPLICATION_NAME: the events are split between these workers").
				Msg("another worker of this lease table has a different " + s.what)
		}
	}
}

// warnOnce returns a warning event the first time it is called for what, and nil after that.
// t.mu must be held.
func (t *Table) warnOnce(what string) *zerolog.Event {
	if t.warned[what] {
		return nil
	}
	t.warned[what] = true
	return t.cfg.Log.Warn()
}
