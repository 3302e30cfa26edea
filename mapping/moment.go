package mapping

import (
	"time"

	"logsluice/mapping/schema"
)

// Formatting of event times, in the names of indices and in documents.

const (
	msPerSecond = 1000
	msPerMinute = 60 * msPerSecond
	msPerHour   = 60 * msPerMinute
)

// hour is the formatted date and time of an hour. Consecutive events of a log stream
// usually have the same hour.
type hour struct {
	from, to int64  // the range of times in milliseconds since the epoch, excluding to
	begin    int64  // start of the hour in milliseconds since the epoch
	date     []byte // date in the index name
	head     []byte // of a timestamp as a JSON string, before the minutes
	tail     []byte // of the timestamp, from the offset on
}

// hourOf returns the hour of a time, or a range of only that millisecond if the offset
// changes within the hour.
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
			// The instant of the change is not computed.
			h.from, h.to = milliseconds, milliseconds+1
		}
	}
	return h
}

func (h *hour) contains(milliseconds int64) bool {
	return h.from <= milliseconds && milliseconds < h.to
}

// clockSize is how many bytes appendClock appends.
const clockSize = len("04:05.000")

// appendClock appends the minutes, seconds and milliseconds of a time in the hour, which
// go between head and tail.
func (h *hour) appendClock(dst []byte, milliseconds int64) []byte {
	rest := int(milliseconds - h.begin)
	minute, second, ms := rest/msPerMinute, rest/msPerSecond%60, rest%msPerSecond
	return append(dst, digit(minute/10), digit(minute), ':', digit(second/10), digit(second), '.', digit(ms/100), digit(ms/10), digit(ms))
}

func digit(n int) byte { return byte('0' + n%10) }
