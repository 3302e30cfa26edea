package mapping

import (
	"time"

	"logsluice/mapping/schema"
)

// Times of events as text, in the names of indices and in documents.

const (
	msPerSecond = 1000
	msPerMinute = 60 * msPerSecond
	msPerHour   = 60 * msPerMinute
)

// hour is how the times of an hour are written: neighbours in a log stream
// mostly share theirs.
type hour struct {
	from, to int64  // milliseconds since the epoch for which it holds, to excluded
	begin    int64  // when it began, in the same
	date     []byte // of the index name
	head     []byte // of a timestamp as a JSON string, up to the minutes
	tail     []byte // of it, from the offset on
}

// hourOf is the hour of a time, or that time alone where the offset changes.
func hourOf(milliseconds int64, n schema.Naming) hour {
	t, isLocal := n.Local(milliseconds)
	h := hour{
		date: n.AppendDate(nil, t),
		head: t.AppendFormat(nil, `"2006-01-02T15:`),
		tail: t.AppendFormat(nil, `Z07:00"`),
	}
	h.begin = milliseconds - int64(t.Minute()*msPerMinute+t.Second()*msPerSecond+t.Nanosecond()/int(time.Millisecond))
	h.from, h.to = h.begin, h.begin+msPerHour
	_, offset := t.Zone()
	for _, edge := range []int64{h.from, h.to - 1} {
		if _, other := time.UnixMilli(edge).In(n.Zone).Zone(); !isLocal || other != offset {
			// When the clocks are set, or local times can be written, is not looked for.
			h.from, h.to = milliseconds, milliseconds+1
		}
	}
	return h
}

func (h *hour) holds(milliseconds int64) bool { return h.from <= milliseconds && milliseconds < h.to }

// clockSize is how many bytes appendClock appends.
const clockSize = len("04:05.000")

// appendClock appends what stands between head and tail of a time that the hour
// holds: minutes, seconds and milliseconds.
func (h *hour) appendClock(dst []byte, milliseconds int64) []byte {
	rest := int(milliseconds - h.begin)
	minute, second, ms := rest/msPerMinute, rest/msPerSecond%60, rest%msPerSecond
	return append(dst, digit(minute/10), digit(minute), ':', digit(second/10), digit(second), '.', digit(ms/100), digit(ms/10), digit(ms))
}

func digit(n int) byte { return byte('0' + n%10) }
