package subscription

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is a JSON string literal (RFC 8259), including quotes, in canonical form: valid
// UTF-8, with escapes only for the quote, the backslash and control characters (\n \t \r
// \b \f, others as \u00xx in lowercase). Equal strings have equal bytes.
type Text []byte

// emptyText is the Text of missing values.
var emptyText = Text(`""`)

// String returns the text of the literal.
func (t Text) String() string { return string(t.Append(nil)) }

// Append appends the text of the literal.
func (t Text) Append(dst []byte) []byte {
	if len(t) < 2 {
		return dst
	}
	return Unescape(dst, t[1:len(t)-1])
}

// Unescape appends the text of a part of a Text between its quotes.
func Unescape(dst, part []byte) []byte {
	for {
		i := bytes.IndexByte(part, '\\')
		if i < 0 {
			return append(dst, part...)
		}
		dst = append(dst, part[:i]...)
		r, n := unescape(part[i:])
		dst = utf8.AppendRune(dst, r)
		part = part[i+n:]
	}
}

// AppendText appends a JSON string literal in canonical form. ok reports whether the
// literal is valid.
func AppendText(dst, literal []byte) (_ []byte, ok bool) {
	s := scanner{data: literal}
	raw, size, err := s.literal()
	switch {
	case err != nil || s.pos != len(literal):
		return dst, false
	case size == 0:
		return append(dst, raw...), true
	}
	return rewrite(dst, raw), true
}

// isPlain contains the bytes that need no escape in a canonical literal.
var isPlain = func() (table [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// text reads a string literal. A canonical one is returned as a part of the input. Others
// are rewritten into the arena.
func (s *scanner) text() (Text, error) {
	raw, size, err := s.literal()
	if err != nil || size == 0 {
		return raw, err
	}
	if s.rewritten += size; s.rewritten > s.maxRewritten {
		return nil, fmt.Errorf("its strings take more than %d bytes: raise %w unless it is an attack", s.maxRewritten, errBound)
	}
	if err := s.allowLarge(s.rewritten); err != nil {
		return nil, err
	}
	return rewrite(s.room(size), raw), nil
}

// room returns memory for a string of size bytes. It is valid until the next envelope.
func (s *scanner) room(size int) []byte {
	const chunk = 64 << 10
	if size > chunk/4 {
		return make([]byte, 0, size)
	}
	if size > cap(s.arena)-len(s.arena) {
		s.arena = make([]byte, 0, chunk)
	}
	from := len(s.arena)
	s.arena = s.arena[:from+size]
	return s.arena[from : from : from+size]
}

// literal skips a string literal and returns it unchanged, with its size in canonical
// form, or size 0 if it is canonical.
func (s *scanner) literal() (raw []byte, size int, err error) {
	if s.peek() != '"' {
		return nil, 0, s.unexpected("a string")
	}
	start, data := s.pos, s.data
	odd := 0 // end of a block that may contain other bytes
	for i := start + 1; i < len(data); {
		if i >= odd && len(data)-i >= blockSize {
			n := asciiPrefix((*[blockSize]byte)(data[i:]))
			if n >= 0 {
				i += n
			} else {
				odd = i + blockSize
			}
			if n >= blockSize-1 {
				continue
			}
		} else if i+8 <= len(data) {
			x := binary.LittleEndian.Uint64(data[i:])
			quote, backslash := x^'"'*each, x^'\\'*each
			// The high bit is set for each byte that is not plain; after the first of
			// these, also for others.
			special := (x | (x - ' '*each) | (quote - each) | (backslash - each)) & high
			if special == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(special) / 8
		}
		c := data[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return data[start:s.pos:s.pos], 0, nil
		case c == '\\' && i+1 < len(data) && shortEscape[data[i+1]]:
			i += 2
		case c == '\\':
			n := longEscape(data[i:])
			if n == 0 {
				return s.measure(start, i)
			}
			i += n
		case isPlain[c]:
			i++
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				return s.measure(start, i)
			}
			i += n
		default: // an unescaped control character
			return s.measure(start, i)
		}
	}
	s.pos = len(s.data)
	return nil, 0, s.unexpected("the end of a string")
}

// measure is like literal for a string that begins at start and is canonical only up to
// i.
func (s *scanner) measure(start, i int) (raw []byte, size int, err error) {
	var canonical [8]byte
	size = i - start
	for i < len(s.data) {
		c := s.data[i]
		if isPlain[c] {
			size++
			i++
			continue
		}
		if c == '"' {
			s.pos = i + 1
			return s.data[start:s.pos], size + 1, nil
		}
		r, n := character(s.data[i:])
		if n == 0 {
			s.pos = i
			return nil, 0, s.unexpected("an escape sequence")
		}
		size += len(appendCanonical(canonical[:0], r))
		i += n
	}
	s.pos = len(s.data)
	return nil, 0, s.unexpected("the end of a string")
}

// rewrite appends a literal in canonical form.
func rewrite(dst, raw []byte) Text {
	dst = append(dst, '"')
	for i, end := 1, len(raw)-1; i < end; {
		if c := raw[i]; isPlain[c] {
			dst = append(dst, c)
			i++
			continue
		}
		r, n := character(raw[i:end])
		dst = appendCanonical(dst, r)
		i += n
	}
	return append(dst, '"')
}

// character reads the character or escape sequence at the start of data. It returns a
// rune and its size in bytes, which is 0 if it is invalid.
func character(data []byte) (r rune, n int) {
	if data[0] == '\\' {
		return unescape(data)
	}
	return utf8.DecodeRune(data)
}

// longEscape returns the length of the escape sequence at the start of data if it is the
// canonical one of a control character without a short escape, otherwise 0.
func longEscape(data []byte) int {
	r, n := unescape(data)
	if n != 6 || r >= 0x20 || data[5] != hexDigits[r&0xf] {
		return 0
	}
	switch r {
	case '\n', '\t', '\r', '\b', '\f':
		return 0
	}
	return n
}

const hexDigits = "0123456789abcdef"

// unescape reads the escape sequence at the start of data. It returns a rune and its size
// in bytes, which is 0 if it is invalid. A lone surrogate becomes U+FFFD.
func unescape(data []byte) (r rune, n int) {
	if len(data) < 2 {
		return 0, 0
	}
	switch data[1] {
	case '"', '\\', '/':
		return rune(data[1]), 2
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'u':
	default:
		return 0, 0
	}
	r, ok := hex4(data[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if rest := data[6:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if low, ok := hex4(rest[2:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
	}
	return utf8.RuneError, 6
}

func hex4(data []byte) (r rune, ok bool) {
	if len(data) < 4 {
		return 0, false
	}
	for _, c := range data[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendCanonical appends a rune in canonical form.
func appendCanonical(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, `\n`...)
	case '\t':
		return append(dst, `\t`...)
	case '\r':
		return append(dst, `\r`...)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	}
	if r < 0x20 {
		return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
	}
	return utf8.AppendRune(dst, r)
}
