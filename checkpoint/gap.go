package checkpoint

import (
	"strconv"
	"time"
)

// Attributes of a row whose shard may have lost records. Times are milliseconds since the
// Unix epoch, by Kinesis' clock.
const (
	attrGaps    = "Gaps" // number of gaps
	attrGapFrom = "GapFrom"
	attrGapTo   = "GapTo" // of the last gap
)

// Gaps describes the intervals of a shard in which records may have expired unread.
type Gaps struct {
	// Count is the number of gaps, 0 if nothing was lost.
	Count int64
	// From and To bound the last gap, by Kinesis' clock: records that arrived between them
	// may be lost.
	From, To time.Time
}

func gapsOf(it item) Gaps {
	n, _ := strconv.ParseInt(text(it[attrGaps]), 10, 64)
	return Gaps{Count: n, From: readTime(it, attrGapFrom), To: readTime(it, attrGapTo)}
}

// write adds the gaps to an update of the row.
func (g Gaps) write(c *change) {
	if g.Count == 0 {
		return
	}
	c.set(attrGaps, num(g.Count))
	c.set(attrGapFrom, num(g.From.UnixMilli()))
	c.set(attrGapTo, num(g.To.UnixMilli()))
}

// AddGap adds a gap: records that arrived between two times, by Kinesis' clock, may have
// expired unread. The next heartbeat writes it to the row.
func (l *Lease) AddGap(from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = Gaps{Count: l.gaps.Count + 1, From: from, To: to}
}
