package checkpoint

import (
	"strconv"
	"time"
)

// Attributes of a row whose shard has lost records. Times are milliseconds since the
// epoch, by Kinesis' clock.
const (
	attrGaps    = "Gaps" // how often records can have expired unread
	attrGapFrom = "GapFrom"
	attrGapTo   = "GapTo" // of the last gap
)

// Gaps are the intervals of a shard of which records can have expired unread.
type Gaps struct {
	// Count is their number, 0 if nothing was lost.
	Count int64
	// From and To are of the last one, by Kinesis' clock: records that came in it may be
	// lost.
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

// Lost notes that records which came between two times, by Kinesis' clock, can have
// expired unread. The next heartbeat writes it.
func (l *Lease) Lost(from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = Gaps{Count: l.gaps.Count + 1, From: from, To: to}
}
