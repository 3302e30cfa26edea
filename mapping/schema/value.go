package schema

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"logsluice/internal/jsonscan"
)

// Value is a value in the JSON of a log line: a string, a number or a literal.
type Value struct {
	Text   []byte // of a string, its inside in canonical form
	Quoted bool
}

// Absent reports whether the value is null, an empty string or "-", which servers log for
// what a request does not have.
func (v Value) Absent() bool {
	return len(v.Text) == 0 || !v.Quoted && string(v.Text) == "null" || v.Quoted && string(v.Text) == "-"
}

// IsNumber reports whether the value is a number, with or without quotes.
func (v Value) IsNumber() bool { return jsonscan.IsNumber(v.Text) }

// Fit is whether a value fits its field.
type Fit uint8

// Fits.
const (
	Fits        Fit = iota
	Nothing         // no value: null, an empty string or array
	UnknownUnit     // a duration without a unit
	Misfit
	TooLong
)

// Append appends the JSON of a value in the format of the field, or nothing if it does
// not fit. source is the unit of a duration, or Auto if the dialect of the line determines
// it. d is that dialect, or nil if it is not known.
func (f *Field) Append(dst []byte, v Value, source Unit, d *Dialect) (_ []byte, how Fit) {
	from, how := len(dst), Misfit
	switch f.Kind {
	case TextKind:
		dst, how = f.appendText(dst, v, d)
	case IntegerKind:
		dst, how = f.appendInteger(dst, v)
	case FloatKind:
		dst, how = f.appendFloat(dst, v)
	case DurationKind:
		dst, how = f.appendDuration(dst, v, source, d)
	case BooleanKind:
		if t := string(v.Text); t == "true" || t == "false" {
			dst, how = append(dst, v.Text...), Fits
		}
	case DateKind:
		dst, how = f.appendDate(dst, v)
	case IPKind:
		dst, how = appendIP(dst, v)
	}
	if how != Fits {
		return dst[:from], how
	}
	return dst, how
}

func (f *Field) appendText(dst []byte, v Value, d *Dialect) ([]byte, Fit) {
	if f.As != AnyMeaning {
		var scratch [longestLevel]byte
		text, how := f.As.read(scratch[:0], v, d)
		if how != Fits {
			return dst, how
		}
		v = Value{Text: text, Quoted: true}
	}
	if !v.Quoted && !jsonscan.IsNumber(v.Text) && string(v.Text) != "true" && string(v.Text) != "false" {
		return dst, Misfit
	}
	text := v.Text
	if f.until != "" {
		if i := bytes.IndexAny(text, f.until); i >= 0 {
			text = text[:i]
		}
	}
	if len(text) > f.Limit && tooMany(text, f.Limit) {
		return dst, TooLong
	}
	dst = append(dst, '"')
	from := len(dst)
	dst = append(dst, text...)
	if f.lowercase {
		lowerASCII(dst[from:])
	}
	if known, ok := f.values[string(dst[from:])]; ok {
		dst = append(dst[:from], known...)
	}
	if len(dst) == from {
		return dst, Nothing
	}
	return append(dst, '"'), Fits
}

// lowerASCII converts ASCII letters to lowercase. Canonical escapes are lowercase already.
func lowerASCII(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
}

// tooMany reports whether a canonical text has more than limit characters, which
// OpenSearch counts as UTF-16 units.
func tooMany(text []byte, limit int) bool {
	n := 0
	for len(text) > 0 && n <= limit {
		r, size := utf8.DecodeRune(text)
		n++
		switch {
		case r == '\\' && text[1] == 'u':
			size = 6
		case r == '\\':
			size = 2
		case r > math.MaxUint16:
			n++
		}
		text = text[size:]
	}
	return n > limit
}

func (f *Field) appendInteger(dst []byte, v Value) ([]byte, Fit) {
	if _, how := f.As.read(nil, v, nil); how != Fits {
		return dst, how
	}
	n, ok := integer(v.Text)
	const longest = 20 // digits of an uint64
	if !ok && f.unsigned && len(v.Text) <= longest && jsonscan.IsNumber(v.Text) {
		// The value exceeds an int64.
		if n, err := strconv.ParseUint(unsafeString(v.Text), 10, 64); err == nil {
			return strconv.AppendUint(dst, n, 10), Fits
		}
	}
	if !ok || n < f.least || n > f.most {
		return dst, Misfit
	}
	return strconv.AppendInt(dst, n, 10), Fits
}

// integer reads a JSON number that is an integer, in any notation. Its loop replaces
// slowInteger for the usual notation, and takes a third of the time (BenchmarkInteger).
// TestInteger proves that both read the same numbers.
func integer(text []byte) (n int64, ok bool) {
	const safe = 18 // number of digits that always fit into an int64
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 1 && digits[0] == '0' && jsonscan.IsDigit(digits[1]) {
		return 0, false
	}
	for i, c := range digits {
		if !jsonscan.IsDigit(c) || i == safe {
			return slowInteger(text)
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// slowInteger reads an integer with a fraction, an exponent or many digits.
func slowInteger(text []byte) (n int64, ok bool) {
	if !jsonscan.IsNumber(text) || len(text) > MaxNumber {
		return 0, false
	}
	if !bytes.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(unsafeString(text), 10, 64)
		return n, err == nil
	}
	n, whole, ok := decimal(text, 0)
	return n, ok && whole
}

// MaxNumber is the maximum number of characters of a number. OpenSearch's parser accepts
// 1,000, and computers write about 25.
const MaxNumber = 300

func (f *Field) appendFloat(dst []byte, v Value) ([]byte, Fit) {
	// Short numbers without an exponent are within the range of a float.
	const safe = 30
	if !jsonscan.IsNumber(v.Text) || len(v.Text) > MaxNumber {
		return dst, Misfit
	}
	if f.largest < math.MaxFloat32 || len(v.Text) > safe || bytes.ContainsAny(v.Text, "eE") {
		x, err := strconv.ParseFloat(unsafeString(v.Text), 64)
		if err != nil || math.Abs(x) > f.largest {
			return dst, Misfit
		}
	}
	return append(dst, v.Text...), Fits
}

// maxDateOrIP is longer in bytes than any notation of a time or an address.
const maxDateOrIP = 100

func (f *Field) appendDate(dst []byte, v Value) ([]byte, Fit) {
	if len(v.Text) > maxDateOrIP {
		return dst, Misfit
	}
	for _, format := range f.formats {
		t, ok := format.read(v)
		if !ok {
			continue
		}
		t = t.UTC()
		if year := t.Year(); year < 0 || year > 9999 || f.plausible && (year < 1970 || year > 2100) {
			return dst, Misfit
		}
		return t.AppendFormat(dst, `"2006-01-02T15:04:05.999999999Z"`), Fits
	}
	return dst, Misfit
}

// dateFormat is a format of times: a layout of package time, in UTC if it has no offset,
// or a number of units since 1970. With the unit Auto it is a number without quotes, and its
// magnitude determines the unit.
type dateFormat struct {
	layout string
	epoch  Unit
}

func (d dateFormat) read(v Value) (time.Time, bool) {
	switch d.epoch {
	case NoUnit:
		t, err := time.Parse(d.layout, unsafeString(v.Text))
		return t, err == nil
	case Auto:
		return plausibleTime(v)
	}
	n, ok := toNanoseconds(v.Text, d.epoch)
	return time.Unix(0, n), ok
}

// plausibleTime reads a number without quotes as a time from 2001 to 2100, which is in this
// range in one unit only.
func plausibleTime(v Value) (time.Time, bool) {
	if v.Quoted {
		return time.Time{}, false
	}
	for _, unit := range []Unit{Seconds, Milliseconds, Microseconds, Nanoseconds} {
		if n, ok := toNanoseconds(v.Text, unit); ok {
			if t := time.Unix(0, n).UTC(); t.Year() >= 2001 && t.Year() <= 2100 {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// appendIP also accepts an address with a port, as servers log that of a client.
func appendIP(dst []byte, v Value) ([]byte, Fit) {
	if len(v.Text) > maxDateOrIP {
		return dst, Misfit
	}
	address, err := netip.ParseAddr(unsafeString(v.Text))
	if err != nil {
		withPort, err := netip.ParseAddrPort(unsafeString(v.Text))
		if err != nil {
			return dst, Misfit
		}
		address = withPort.Addr()
	}
	if address.Zone() != "" {
		return dst, Misfit
	}
	dst = append(dst, '"')
	dst = address.AppendTo(dst)
	return append(dst, '"'), Fits
}

// unsafeString returns bytes as a string without a copy. The string must not outlive the
// call.
func unsafeString(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) } //nolint:gosec // not kept
