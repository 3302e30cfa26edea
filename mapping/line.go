package mapping

import "bytes"

// line is a log line that is read as JSON in place, within a canonical string literal. In
// the literal, each of the line's quotes and backslashes has a backslash before it.
// Skipped values are not fully validated: reading continues as long as the structure is
// recognizable.
type line struct {
	text []byte // between the quotes of the literal
	at   int
}

// maxLead is the maximum size in bytes of a prefix before the JSON of a line.
const maxLead = 512

// open moves to the first member of the line's object. The object may follow a prefix, such
// as the time and level that some log libraries write, which open returns.
func (l *line) open() (prefix []byte, ok bool) {
	l.skipSpace()
	if l.accept('{') {
		return nil, true
	}
	at := bytes.Index(l.text[:min(len(l.text), maxLead)], []byte(`{\"`))
	if at < 0 {
		return nil, false
	}
	l.at = at + 1
	return l.text[:at], true
}

// skipSpace skips white space.
func (l *line) skipSpace() {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ':
			l.at++
		case c == '\\' && l.at+1 < len(l.text) && isSpaceEscape(l.text[l.at+1]):
			l.at += 2
		default:
			return
		}
	}
}

func isSpaceEscape(c byte) bool { return c == 'n' || c == 't' || c == 'r' }

// accept skips a byte if it comes next.
func (l *line) accept(c byte) bool {
	if l.at < len(l.text) && l.text[l.at] == c {
		l.at++
		return true
	}
	return false
}

// acceptQuote skips a quote of the line if it comes next.
func (l *line) acceptQuote() bool {
	if l.at+1 < len(l.text) && l.text[l.at] == '\\' && l.text[l.at+1] == '"' {
		l.at += 2
		return true
	}
	return false
}

// readString reads a string whose first quote was skipped, and returns its inside
// unchanged.
func (l *line) readString() (inner []byte, ok bool) {
	start := l.at
	for i := start; ; {
		n := bytes.IndexByte(l.text[i:], '"')
		if n < 0 {
			return nil, false
		}
		quote := i + n
		// One backslash belongs to the literal. A backslash of the line before the quote
		// adds two. Two backslashes of the line add four, and escape each other.
		from := quote - 1
		for from > start && l.text[from-1] == '\\' {
			from--
		}
		if (quote-from)&3 == 1 {
			l.at = quote + 1
			return l.text[start : quote-1], true
		}
		i = quote + 1
	}
}

// token reads a number, or a literal such as true, null or NaN.
func (l *line) token() []byte {
	start := l.at
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case ',', '}', ']', ' ', '\\', ':', '{', '[':
			return l.text[start:l.at]
		}
		l.at++
	}
	return l.text[start:l.at]
}

// skip skips a value.
func (l *line) skip() bool {
	if l.acceptQuote() {
		_, ok := l.readString()
		return ok
	}
	if l.at < len(l.text) && (l.text[l.at] == '{' || l.text[l.at] == '[') {
		return l.skipNested()
	}
	return len(l.token()) > 0
}

// skipNested skips an object or array of any depth.
func (l *line) skipNested() bool {
	for depth := 0; l.at < len(l.text); {
		switch l.text[l.at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				l.at++
				return true
			}
		case '\\':
			if l.acceptQuote() {
				if _, ok := l.readString(); !ok {
					return false
				}
				continue
			}
		}
		l.at++
	}
	return false
}

// atEnd reports whether only white space is left.
func (l *line) atEnd() bool {
	l.skipSpace()
	return l.at == len(l.text)
}
