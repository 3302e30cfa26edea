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

// Value is a value in the JSON of a log line: a string, or a number or word.
type Value struct {
	Text   []byte // of a string, what is between its quotes, in canonical spelling
	Quoted bool
}

// Absent reports whether the value says nothing: null, or an empty string.
func (v Value) Absent() bool {
	return len(v.Text) == 0 || !v.Quoted && string(v.Text) == "null"
}

// Fit is how a value fits its field.
type Fit uint8

// Fits.
const (
	Fits    Fit = iota
	Nothing     // no value: null, an empty string or array
	Misfit
	TooLong
)

// Append appends the JSON of a value as the field has it, or nothing if it does
// not fit.
func (f *Field) Append(dst []byte, v Value, source Unit) (_ []byte, how Fit) {
	from, how := len(dst), Misfit
	switch f.Kind {
	case TextKind:
		dst, how = f.appendText(dst, v)
	case IntegerKind:
		dst, how = f.appendInteger(dst, v)
	case FloatKind:
		dst, how = f.appendFloat(dst, v)
	case DurationKind:
		dst, how = f.appendDuration(dst, v, source)
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

func (f *Field) appendText(dst []byte, v Value) ([]byte, Fit) {
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
		lower(dst[from:])
	}
	if known, ok := f.values[string(dst[from:])]; ok {
		dst = append(dst[:from], known...)
	}
	if len(dst) == from {
		return dst, Nothing
	}
	return append(dst, '"'), Fits
}

// lower makes ASCII letters lowercase, which canonical escapes are already.
func lower(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
}

// tooMany tells whether a canonical text has more than so many characters, as
// OpenSearch counts them: in UTF-16.
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
	n, ok := integer(v.Text)
	const longest = 20 // digits of an uint64
	if !ok && f.unsigned && len(v.Text) <= longest && jsonscan.IsNumber(v.Text) {
		// Beyond what an int64 holds.
		if n, err := strconv.ParseUint(view(v.Text), 10, 64); err == nil {
			return strconv.AppendUint(dst, n, 10), Fits
		}
	}
	if !ok || n < f.least || n > f.most {
		return dst, Misfit
	}
	return strconv.AppendInt(dst, n, 10), Fits
}

// integer reads a JSON number that is whole, in any of its spellings.
func integer(text []byte) (n int64, ok bool) {
	const sure = 18 // digits that an int64 holds
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 1 && digits[0] == '0' && jsonscan.IsDigit(digits[1]) {
		return 0, false
	}
	for i, c := range digits {
		if !jsonscan.IsDigit(c) || i == sure {
			return oddInteger(text)
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// oddInteger reads one with a fraction, an exponent or many digits.
func oddInteger(text []byte) (n int64, ok bool) {
	if !jsonscan.IsNumber(text) || len(text) > MaxNumber {
		return 0, false
	}
	if !bytes.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(view(text), 10, 64)
		return n, err == nil
	}
	n, whole, ok := decimal(text, 0)
	return n, ok && whole
}

// MaxNumber is how many characters a number may have. OpenSearch's parser takes
// 1,000, computers write about 25.
const MaxNumber = 300

func (f *Field) appendFloat(dst []byte, v Value) ([]byte, Fit) {
	// Short ones without an exponent are within the range of a float.
	const sure = 30
	if !jsonscan.IsNumber(v.Text) || len(v.Text) > MaxNumber {
		return dst, Misfit
	}
	if f.largest < math.MaxFloat32 || len(v.Text) > sure || bytes.ContainsAny(v.Text, "eE") {
		x, err := strconv.ParseFloat(view(v.Text), 64)
		if err != nil || math.Abs(x) > f.largest {
			return dst, Misfit
		}
	}
	return append(dst, v.Text...), Fits
}

// maxSpoken is longer than any spelling of a time or an address, in bytes.
const maxSpoken = 100

func (f *Field) appendDate(dst []byte, v Value) ([]byte, Fit) {
	if len(v.Text) > maxSpoken {
		return dst, Misfit
	}
	for _, format := range f.formats {
		t, ok := format.read(v.Text)
		if !ok {
			continue
		}
		t = t.UTC()
		if year := t.Year(); year < 0 || year > 9999 {
			return dst, Misfit
		}
		return t.AppendFormat(dst, `"2006-01-02T15:04:05.999999999Z"`), Fits
	}
	return dst, Misfit
}

// dateFormat is one way to write a time: a layout of package time, in UTC where it
// has no offset, or a number of units since 1970.
type dateFormat struct {
	layout string
	epoch  Unit
}

func (d dateFormat) read(text []byte) (time.Time, bool) {
	if d.epoch == NoUnit {
		t, err := time.Parse(d.layout, view(text))
		return t, err == nil
	}
	n, ok := count(text, d.epoch)
	return time.Unix(0, n), ok
}

// appendIP takes an address with a port too, as servers log that of the other side.
func appendIP(dst []byte, v Value) ([]byte, Fit) {
	if len(v.Text) > maxSpoken {
		return dst, Misfit
	}
	address, err := netip.ParseAddr(view(v.Text))
	if err != nil {
		withPort, err := netip.ParseAddrPort(view(v.Text))
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

// view is bytes as a string for the length of a call, without a copy.
func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) } //nolint:gosec // nobody keeps it
