package checkpoint

import (
	"cmp"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// A stream that is deleted and created again has shards with the ids of the old one.
// A row is foreign if it belongs to another shard than the one that Kinesis lists under
// its id. Its checkpoint, SHARD_END above all, does not count: the worker that acquires
// the lease next renews the row, and reads the shard from its oldest record.

// reopenedFor is the time, and goneAfter the number of listings in a row, for which a
// shard has to be listed as open until a row with SHARD_END is foreign.
const reopenedFor = time.Minute

// foreign returns the reason why a row belongs to another shard than s, or "". anew is
// set while the table has the creation time of an earlier stream.
func (s listedShard) foreign(r row, anew bool, now time.Time) string {
	switch {
	case r.first != "" && s.First != "" && r.first != s.First:
		return "its shard began at " + r.first + ", this one at " + s.First
	case r.checkpoint == "":
	case r.first == "" && anew:
		return "the stream was created again since"
	case r.first == "" && s.isOutside(r.checkpoint):
		return "its checkpoint " + r.checkpoint + " is not within the shard"
	case r.checkpoint == s.refused:
		return "Kinesis refuses its checkpoint " + r.checkpoint
	case r.finished() && s.reopened >= goneAfter && now.Sub(s.reopenedAt) >= reopenedFor:
		return "it says that the shard is finished, which is open"
	}
	return ""
}

// compare takes in a listing that shows the shard, and its row.
func (s *listedShard) compare(r row) {
	if s.Closed || !r.finished() {
		s.reopened = 0
		return
	}
	if s.reopened++; s.reopened == 1 {
		s.reopenedAt = time.Now()
	}
}

// isOutside reports whether a checkpoint is a sequence number that no record of the
// shard can have.
func (s listedShard) isOutside(checkpoint string) bool {
	return isNumber(checkpoint) && (CompareNumbers(checkpoint, s.First) < 0 || isNumber(s.Last) && CompareNumbers(checkpoint, s.Last) > 0)
}

// isNumber reports whether a text is a sequence number, which has up to 128 digits.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// CompareNumbers compares two sequence numbers, which are decimal: it returns a number
// below 0 if a comes before b, 0 if they are equal, and one above 0 otherwise.
func CompareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// disown ends the reading of the shards that this worker holds by foreign rows.
// t.mu must be held.
func (t *Table) disown() {
	snap := t.snapshotLocked()
	for id, s := range t.shards {
		if s.lease == nil {
			continue
		}
		why := snap.foreign(s)
		if why == "" || s.lease.reading.Err() != nil {
			continue
		}
		t.cfg.Log.Error().Str("shard", id).Str("reason", why).Msg("the row of the shard is of another stream: reading stops, to begin anew")
		s.lease.stopReading()
	}
}

// Refused notes that Kinesis refuses the lease's checkpoint, as it is not of the shard:
// the row is foreign.
func (l *Lease) Refused() {
	t := l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shards.state(l.shard).listed.refused = l.acquired.checkpoint
}

// warnOfOthers logs, once each, that the worker that started last writes to another
// domain or prefix: then the events are split among two destinations.
func (t *Table) warnOfOthers(first item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range []struct{ attribute, mine, what string }{
		{attrDomain, t.cfg.Domain, "OPENSEARCH_URL"},
		{attrPrefix, t.cfg.IndexPrefix, "INDEX_PREFIX"},
	} {
		if other := text(first[s.attribute]); other != "" && other != s.mine {
			t.warnOnce(s.what).Str("table", t.cfg.Table).Str("ours", s.mine).Str("theirs", other).
				Msg("another worker of this lease table has another " + s.what + ": they split the events; give two services two values of APPLICATION_NAME")
		}
	}
}

// warnOnce returns a warning that is logged the first time only. t.mu must be held.
func (t *Table) warnOnce(what string) *zerolog.Event {
	if t.warned[what] {
		return nil
	}
	t.warned[what] = true
	return t.cfg.Log.Warn()
}
