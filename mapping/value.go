package mapping

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"
)

// value is a value in the JSON of a log line: a string, or a number or word.
type value struct {
	text   []byte // of a string, what is between its quotes, in canonical spelling
	quoted bool
}

// absent tells of a value that says nothing: null, or an empty string.
func (v value) absent() bool {
	return len(v.text) == 0 || !v.quoted && string(v.text) == "null"
}

// fit is how a value fits its field.
type fit uint8

const (
	fits    fit = iota
	nothing     // there is none: null, an empty string or array
	misfit
	tooLong
)

// append appends the JSON of a value as the field has it, or nothing if it does
// not fit.
func (f *Field) append(dst []byte, v value, source unit) (_ []byte, how fit) {
	from, how := len(dst), misfit
	switch f.kind {
	case ofText:
		dst, how = f.appendText(dst, v)
	case ofInteger:
		dst, how = f.appendInteger(dst, v)
	case ofFloat:
		dst, how = f.appendFloat(dst, v)
	case ofDuration:
		dst, how = f.appendDuration(dst, v, source)
	case ofBoolean:
		if t := string(v.text); t == "true" || t == "false" {
			dst, how = append(dst, v.text...), fits
		}
	case ofDate:
		dst, how = f.appendDate(dst, v)
	case ofIP:
		dst, how = appendIP(dst, v)
	}
	if how != fits {
		return dst[:from], how
	}
	return dst, how
}

func (f *Field) appendText(dst []byte, v value) ([]byte, fit) {
	if !v.quoted && !isNumber(v.text) && string(v.text) != "true" && string(v.text) != "false" {
		return dst, misfit
	}
	text := v.text
	if f.until != "" {
		if i := bytes.IndexAny(text, f.until); i >= 0 {
			text = text[:i]
		}
	}
	if len(text) > f.limit && tooMany(text, f.limit) {
		return dst, tooLong
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
		return dst, nothing
	}
	return append(dst, '"'), fits
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

func (f *Field) appendInteger(dst []byte, v value) ([]byte, fit) {
	n, ok := integer(v.text)
	const longest = 20 // digits of an uint64
	if !ok && f.unsigned && len(v.text) <= longest && isNumber(v.text) {
		// Beyond what an int64 holds.
		if n, err := strconv.ParseUint(view(v.text), 10, 64); err == nil {
			return strconv.AppendUint(dst, n, 10), fits
		}
	}
	if !ok || n < f.least || n > f.most {
		return dst, misfit
	}
	return strconv.AppendInt(dst, n, 10), fits
}

// integer reads a JSON number that is whole, in any of its spellings.
func integer(text []byte) (n int64, ok bool) {
	const sure = 18 // digits that an int64 holds
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 1 && digits[0] == '0' && isDigit(digits[1]) {
		return 0, false
	}
	for i, c := range digits {
		if !isDigit(c) || i == sure {
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
	if !isNumber(text) || len(text) > maxNumber {
		return 0, false
	}
	if !bytes.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(view(text), 10, 64)
		return n, err == nil
	}
	n, whole, ok := decimal(text, 0)
	return n, ok && whole
}

// maxNumber is how many characters a number may have. OpenSearch's parser takes
// 1,000, computers write about 25.
const maxNumber = 300

func (f *Field) appendFloat(dst []byte, v value) ([]byte, fit) {
	// Short ones without an exponent are within the range of a float.
	const sure = 30
	if !isNumber(v.text) || len(v.text) > maxNumber {
		return dst, misfit
	}
	if f.largest < math.MaxFloat32 || len(v.text) > sure || bytes.ContainsAny(v.text, "eE") {
		x, err := strconv.ParseFloat(view(v.text), 64)
		if err != nil || math.Abs(x) > f.largest {
			return dst, misfit
		}
	}
	return append(dst, v.text...), fits
}

// isNumber tells whether a text is a number as JSON has it (RFC 8259, section 6).
func isNumber(text []byte) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		return i > from
	}
	is := func(c byte) bool { return i < len(text) && text[i] == c }
	if is('-') {
		i++
	}
	if is('0') {
		i++
	} else if !digits() {
		return false
	}
	if is('.') {
		if i++; !digits() {
			return false
		}
	}
	if is('e') || is('E') {
		if i++; is('+') || is('-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(text)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// maxSpoken is longer than any spelling of a time or an address, in bytes.
const maxSpoken = 100

func (f *Field) appendDate(dst []byte, v value) ([]byte, fit) {
	if len(v.text) > maxSpoken {
		return dst, misfit
	}
	for _, format := range f.formats {
		t, ok := format.read(v.text)
		if !ok {
			continue
		}
		t = t.UTC()
		if year := t.Year(); year < 0 || year > 9999 {
			return dst, misfit
		}
		return t.AppendFormat(dst, `"2006-01-02T15:04:05.999999999Z"`), fits
	}
	return dst, misfit
}

// dateFormat is one way to write a time: a layout of package time, in UTC where it
// has no offset, or a number of units since 1970.
type dateFormat struct {
	layout string
	epoch  unit
}

func (d dateFormat) read(text []byte) (time.Time, bool) {
	if d.epoch == none {
		t, err := time.Parse(d.layout, view(text))
		return t, err == nil
	}
	n, ok := count(text, d.epoch)
	return time.Unix(0, n), ok
}

// appendIP takes an address with a port too, as servers log that of the other side.
func appendIP(dst []byte, v value) ([]byte, fit) {
	if len(v.text) > maxSpoken {
		return dst, misfit
	}
	address, err := netip.ParseAddr(view(v.text))
	if err != nil {
		withPort, err := netip.ParseAddrPort(view(v.text))
		if err != nil {
			return dst, misfit
		}
		address = withPort.Addr()
	}
	if address.Zone() != "" {
		return dst, misfit
	}
	dst = append(dst, '"')
	dst = address.AppendTo(dst)
	return append(dst, '"'), fits
}

// view is bytes as a string for the length of a call, without a copy.
func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) } //nolint:gosec // nobody keeps it
