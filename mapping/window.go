package mapping

import (
	"math"
	"time"

	"logsluice/subscription"
)

// window is the range of times, in milliseconds since the epoch, in which events go to an
// index by date. Without it, the events of one record could create an index for each day
// of 10,000 years, while a cluster has room for a few thousand.
type window struct {
	earliest, latest int64 // both inclusive
}

var unlimited = window{math.MinInt64, math.MaxInt64}

// windowAt returns the window of a record that arrived at a time. A limit of 0 means
// unlimited. If the arrival is unknown, the window has no limits. It does not depend on the
// time of reading, so that an event that is read again goes to the same index.
func windowAt(arrived time.Time, maxAge, maxAhead time.Duration) window {
	w := unlimited
	if arrived.IsZero() {
		return w
	}
	if maxAge > 0 {
		w.earliest = arrived.Add(-maxAge).UnixMilli()
	}
	if maxAhead > 0 {
		w.latest = arrived.Add(maxAhead).UnixMilli()
	}
	return w
}

func (w *window) contains(event *subscription.Event) bool {
	return w.earliest <= event.Timestamp && event.Timestamp <= w.latest
}
