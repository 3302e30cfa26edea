package mapping

import "bytes"

// line is a log line that is read as JSON where it stands, in a canonical string
// literal: there each quote of its own has a backslash before it, and each of its
// backslashes too. What is passed over is not held to be valid in all: reading goes
// on as long as it finds its way.
type line struct {
	text []byte // between the quotes of the literal
	at   int
}

// maxLead is how many bytes may stand before the JSON of a line.
const maxLead = 512

// open goes to the first member of the line's object. It may stand behind a
// prefix, such as the time and level that a log library puts before its JSON.
func (l *line) open() (prefixed, ok bool) {
	l.space()
	if l.take('{') {
		return false, true
	}
	at := bytes.Index(l.text[:min(len(l.text), maxLead)], []byte(`{\"`))
	l.at = at + 1
	return true, at >= 0
}

// space passes over white space.
func (l *line) space() {
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

// take passes over a byte, if it comes next.
func (l *line) take(c byte) bool {
	if l.at < len(l.text) && l.text[l.at] == c {
		l.at++
		return true
	}
	return false
}

// quote passes over a quote of the line's own.
func (l *line) quote() bool {
	if l.at+1 < len(l.text) && l.text[l.at] == '\\' && l.text[l.at+1] == '"' {
		l.at += 2
		return true
	}
	return false
}

// str reads a string from behind its first quote, and returns what is between
// its quotes as it stands.
func (l *line) str() (inner []byte, ok bool) {
	start := l.at
	for i := start; ; {
		n := bytes.IndexByte(l.text[i:], '"')
		if n < 0 {
			return nil, false
		}
		quote := i + n
		// One backslash is this literal's. If the line has one before the quote,
		// that is two more; two of the line are four more, and escape each other.
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

// token reads what is neither a string nor an object or array: a number, or a
// word such as true, null or NaN.
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

// skip passes over a value.
func (l *line) skip() bool {
	if l.quote() {
		_, ok := l.str()
		return ok
	}
	if l.at < len(l.text) && (l.text[l.at] == '{' || l.text[l.at] == '[') {
		return l.skipNested()
	}
	return len(l.token()) > 0
}

// skipNested passes over an object or array, however deep it is.
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
			if l.quote() {
				if _, ok := l.str(); !ok {
					return false
				}
				continue
			}
		}
		l.at++
	}
	return false
}

// ended tells that nothing but white space is left.
func (l *line) ended() bool {
	l.space()
	return l.at == len(l.text)
}
