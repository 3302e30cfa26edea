package schema

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"logsluice/internal/jsonscan"
)

// Unit is a unit of time in nanoseconds, or one of NoUnit and Auto.
type Unit int64

// Units.
const (
	// NoUnit is the unit of fields that are not durations.
	NoUnit Unit = 0
	// Auto reads text with its own unit (1.5s, 10ms). The unit of a number is that of the
	// line's dialect.
	Auto         Unit = -1
	Nanoseconds       = Unit(time.Nanosecond)
	Microseconds      = Unit(time.Microsecond)
	Milliseconds      = Unit(time.Millisecond)
	Seconds           = Unit(time.Second)
)

// String returns the name of a unit, or "" for NoUnit and Auto.
func (u Unit) String() string {
	for name, unit := range units {
		if unit == u {
			return name
		}
	}
	return ""
}

var units = map[string]Unit{"ns": Nanoseconds, "us": Microseconds, "ms": Milliseconds, "s": Seconds}

// appendDuration appends a duration in the unit of the field, with nanosecond precision.
// source is the unit of the value, or Auto if it is that of the dialect.
func (f *Field) appendDuration(dst []byte, v Value, source Unit, d *Dialect) ([]byte, Fit) {
	if source == Auto && v.IsNumber() {
		if source = d.unitOf(v.Text); source == NoUnit {
			return dst, UnknownUnit
		}
	}
	n, ok := toNanoseconds(v.Text, source)
	if !ok && v.Quoted {
		n, ok = parseDuration(dst, v.Text)
	}
	units, rest := n/int64(f.Unit), n%int64(f.Unit)
	if !ok || n < 0 || f.whole && (units < f.least || units > f.most) || !f.whole && math.Abs(float64(units)) > f.largest {
		return dst, Misfit
	}
	dst = strconv.AppendInt(dst, units, 10)
	if rest == 0 || f.whole {
		return dst, Fits
	}
	dst = append(dst, '.')
	for scale := int64(f.Unit) / 10; rest > 0; scale /= 10 {
		dst = append(dst, "0123456789"[rest/scale%10])
		rest %= scale
	}
	return dst, Fits
}

// parseDuration reads a duration with a unit in the format of time.Duration's String,
// optionally with a space before the unit. It overwrites scratch beyond its length.
func parseDuration(scratch, text []byte) (int64, bool) {
	const longest = 40
	first, last := text[0], text[len(text)-1]
	if len(text) > longest || first > '9' || last != 's' && last != 'm' && last != 'h' {
		return 0, false
	}
	number, rest, _ := bytes.Cut(text, []byte(" "))
	compact := append(append(scratch, number...), rest...)[len(scratch):]
	d, err := time.ParseDuration(unsafeString(compact))
	return int64(d), err == nil && d > math.MinInt64
}

// toNanoseconds reads a number of units and returns it in nanoseconds, rounded.
func toNanoseconds(text []byte, of Unit) (int64, bool) {
	if !jsonscan.IsNumber(text) || len(text) > MaxNumber {
		return 0, false
	}
	shift := 0
	for ; of > 1; of /= 10 {
		shift++
	}
	n, _, ok := decimal(text, shift)
	return n, ok
}

// decimal reads a JSON number, multiplies it by ten to the power of shift, and rounds it
// to an integer. whole reports whether it was exact, ok whether it is within an int64.
func decimal(number []byte, shift int) (n int64, whole, ok bool) {
	mantissa := number
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		const farthest = 1000
		exponent, err := strconv.Atoi(unsafeString(number[i+1:]))
		if err != nil || exponent < -farthest || exponent > farthest {
			return 0, false, false
		}
		mantissa, shift = number[:i], shift+exponent
	}
	negative := mantissa[0] == '-'
	if negative {
		mantissa = mantissa[1:]
	}
	point := bytes.IndexByte(mantissa, '.')
	if point < 0 {
		point = len(mantissa)
	}
	whole = true
	up, read, wanted := false, 0, point+shift // digits
	for _, c := range mantissa {
		if c == '.' {
			continue
		}
		digit := int64(c - '0')
		switch {
		case read >= wanted:
			up = up || read == wanted && digit >= 5
			whole = whole && digit == 0
		case n > (math.MaxInt64-digit)/10:
			return 0, false, false
		default:
			n = 10*n + digit
		}
		read++
	}
	for ; read < wanted && n > 0; read++ {
		if n > math.MaxInt64/10 {
			return 0, false, false
		}
		n *= 10
	}
	if up {
		if n == math.MaxInt64 {
			return 0, false, false
		}
		n++
	}
	if negative {
		n = -n
	}
	return n, whole, true
}
