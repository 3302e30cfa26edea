package mapping

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// unit is a unit of time in nanoseconds, or how to find it out.
type unit int64

const (
	none unit = 0
	// auto reads a text with its own unit (1.5s, 10ms), a whole number as
	// nanoseconds, as Go's libraries write a time.Duration, and one with a fraction
	// or an exponent as milliseconds if the line has its message under the key
	// "message", as zerolog does, and else as seconds, as zap does.
	auto         unit = -1
	nanoseconds       = unit(time.Nanosecond)
	microseconds      = unit(time.Microsecond)
	milliseconds      = unit(time.Millisecond)
	seconds           = unit(time.Second)
)

var units = map[string]unit{"ns": nanoseconds, "us": microseconds, "ms": milliseconds, "s": seconds}

// appendDuration appends a duration in the unit of the field, to the nanosecond.
func (f *Field) appendDuration(dst []byte, v value, source unit) ([]byte, fit) {
	if source == auto {
		source = nanoseconds
	}
	n, ok := count(v.text, source)
	if !ok && v.quoted {
		n, ok = spelled(dst, v.text)
	}
	if !ok {
		return dst, misfit
	}
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = strconv.AppendInt(dst, n/int64(f.unit), 10)
	rest := n % int64(f.unit)
	if rest == 0 || f.whole {
		return dst, fits
	}
	dst = append(dst, '.')
	for scale := int64(f.unit) / 10; rest > 0; scale /= 10 {
		dst = append(dst, digit(int(rest/scale)))
		rest %= scale
	}
	return dst, fits
}

// isOpen tells whether the unit of a duration depends on the rest of the line.
func isOpen(v value, source unit) bool {
	return source == auto && bytes.ContainsAny(v.text, ".eE") && isNumber(v.text)
}

// spelled reads a duration that says its unit, as time.Duration's String writes
// it, maybe with a space before the unit. It works behind the scratch's bytes.
func spelled(scratch, text []byte) (int64, bool) {
	const longest = 40
	first, last := text[0], text[len(text)-1]
	if len(text) > longest || first > '9' || last != 's' && last != 'm' && last != 'h' {
		return 0, false
	}
	number, rest, _ := bytes.Cut(text, []byte(" "))
	compact := append(append(scratch, number...), rest...)[len(scratch):]
	d, err := time.ParseDuration(view(compact))
	return int64(d), err == nil && d > math.MinInt64
}

// count reads a number of units as nanoseconds.
func count(text []byte, of unit) (int64, bool) {
	if n, ok := integer(text); ok {
		most := math.MaxInt64 / int64(of)
		return n * int64(of), -most <= n && n <= most
	}
	if !isNumber(text) || len(text) > maxNumber {
		return 0, false
	}
	x, err := strconv.ParseFloat(view(text), 64)
	x = math.Round(x * float64(of))
	return int64(x), err == nil && math.Abs(x) < math.MaxInt64
}
