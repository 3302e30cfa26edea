// Package timetext formats durations for people.
package timetext

import (
	"strconv"
	"strings"
	"time"
)

// Format returns a duration without trailing zeros: 36h and not 36h0m0s. Whole days are
// written as days from 2d on.
func Format(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 && d.Abs() >= 2*day {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	for _, zero := range []struct{ after, unit string }{{"m", "0s"}, {"h", "0m"}} {
		if strings.HasSuffix(text, zero.after+zero.unit) {
			text = strings.TrimSuffix(text, zero.unit)
		}
	}
	return text
}
