package mapping

import "time"

// moment is an event's time in the index timezone.
type moment struct{ time.Time }

// momentOf places a time, in milliseconds since the epoch, in a timezone. Two
// kinds of local time cannot be written as RFC 3339 (section 5.6): offsets
// with seconds, which zones had before they were standardized, and years
// beyond 9999. Such a moment is given in UTC, so that the instant stays right.
func momentOf(milliseconds int64, zone *time.Location) moment {
	t := time.UnixMilli(milliseconds).In(zone)
	_, offset := t.Zone()
	if year := t.Year(); offset%60 != 0 || year < 0 || year > 9999 {
		t = t.UTC()
	}
	return moment{t}
}

func (m moment) appendTimestamp(dst []byte) []byte {
	return m.AppendFormat(dst, `"2006-01-02T15:04:05.000Z07:00"`)
}

func (m moment) appendDay(dst []byte) []byte {
	return m.AppendFormat(dst, time.DateOnly)
}
