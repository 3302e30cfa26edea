package mapping

import (
	"math"
	"time"

	"logsluice/subscription"
)

// window is the range of times, in milliseconds since the epoch, within which an
// event has an index by its date. The events of one record can otherwise name an
// index for each day of 10,000 years, and a cluster has room for a few thousand.
type window struct {
	earliest, latest int64 // both within it
}

var unlimited = window{math.MinInt64, math.MaxInt64}

// windowAt returns the window of a record that arrived at a time; a limit of 0
// means unlimited.
// It is the time of arrival and not of reading, so that an event that is read again
// meets its document. Where no arrival is known, all times are within.
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

func (w *window) holds(event *subscription.Event) bool {
	return w.earliest <= event.Timestamp && event.Timestamp <= w.latest
}
