package schema

import (
	"bytes"
	"slices"

	"logsluice/internal/jsonscan"
)

// Meaning is what a field's value means, which limits the values it can have and brings
// them into one form.
type Meaning string

// Meanings.
const (
	// AnyMeaning does not limit values.
	AnyMeaning Meaning = ""
	// LevelMeaning is one of trace, debug, info, warn, error and fatal.
	LevelMeaning Meaning = "level"
	// TextMeaning is text that is not blank, without line breaks at its end.
	TextMeaning Meaning = "text"
	// IDMeaning is text or a number that is not only zeros.
	IDMeaning Meaning = "id"
	// HostMeaning is the name or address of a host, optionally with a port, from a URL if the
	// value is one.
	HostMeaning Meaning = "host"
	// MethodMeaning is a method of HTTP, in capitals.
	MethodMeaning Meaning = "method"
	// PathMeaning is a path that begins with a slash, without scheme, host, query and fragment.
	PathMeaning Meaning = "path"
	// StatusMeaning is a status of HTTP, 100 to 599.
	StatusMeaning Meaning = "status"
	// ErrorMeaning is text that describes an error: not a number, a boolean or a text such
	// as false and <nil>, which means that no error exists.
	ErrorMeaning Meaning = "error"
)

const (
	leastStatus = 100
	mostStatus  = 599
)

// methods of HTTP and WebDAV: https://www.iana.org/assignments/http-methods/http-methods.xhtml
// without those that nobody uses, and PURGE of caches.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH",
	"CONNECT", "TRACE", "QUERY", "PURGE",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL", "BIND", "LINK", "UNLINK", "MERGE", "MKACTIVITY", "CHECKOUT",
}

// ordinary is how many of the methods count in small letters, too. The others are also words of
// other kinds.
const ordinary = 7

// noErrors are texts that mean that no error exists.
var noErrors = []string{"null", "nil", "<nil>", "none", "undefined", "false", "true", "0", "no error", "success", "ok", "nonetype: none"}

// read returns the text of a value with the field's meaning, or false if the value does
// not have it. scratch is overwritten.
func (m Meaning) read(scratch []byte, v Value, d *Dialect) (text []byte, how Fit) {
	switch m {
	case LevelMeaning:
		if level := d.levelOf(v); level != "" {
			return append(scratch, level...), Fits
		}
		return nil, Misfit
	case TextMeaning:
		if text = trimLines(v.Text); !v.Quoted {
			return nil, Misfit
		} else if isBlank(text) {
			return nil, Nothing
		}
		return text, Fits
	case IDMeaning:
		return idOf(v)
	case HostMeaning:
		return hostOf(v)
	case MethodMeaning:
		name := v.Text
		if target := requestLine(v); target != nil {
			name = name[:bytes.IndexByte(name, ' ')]
		}
		const longest = 10
		if !v.Quoted || len(name) > longest {
			return nil, Misfit
		}
		text = scratch
		for _, c := range name {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			text = append(text, c)
		}
		if !bytes.Equal(text, name) && !slices.Contains(methods[:ordinary], unsafeString(text)) {
			return nil, Misfit
		}
		if !slices.Contains(methods, unsafeString(text)) {
			return nil, Misfit
		}
		return text, Fits
	case PathMeaning:
		return pathOf(v)
	case ErrorMeaning:
		if !v.Quoted || isBlank(v.Text) {
			return nil, Nothing
		}
		if isNone(v.Text) {
			return nil, Nothing
		}
	case StatusMeaning:
		if v.Quoted && bytes.ContainsAny(v.Text, ".eE") {
			return nil, Misfit
		}
	case AnyMeaning:
	}
	return v.Text, Fits
}

// isNone reports whether a text means that no value exists.
func isNone(text []byte) bool {
	for _, none := range noErrors {
		if len(text) == len(none) && bytes.EqualFold(text, []byte(none)) {
			return true
		}
	}
	return false
}

// pathOf returns the path of a URL or of a request's target.
func pathOf(v Value) ([]byte, Fit) {
	if !v.Quoted {
		return nil, Misfit
	}
	text := v.Text
	if len(text) > 0 && text[0] != '/' {
		if target := requestLine(v); len(target) > 0 {
			text = target
		}
	}
	if isURL, rest := cutScheme(text); isURL {
		slash := bytes.IndexAny(rest, "/?#")
		if slash < 0 || rest[slash] != '/' {
			return []byte("/"), Fits
		}
		text = rest[slash:]
	}
	if i := bytes.IndexAny(text, "?#"); i >= 0 {
		text = text[:i]
	}
	switch {
	case len(text) == 0:
		return nil, Nothing
	case text[0] != '/', bytes.IndexByte(text, ' ') >= 0:
		return nil, Misfit
	}
	return text, Fits
}

// cutScheme returns what follows the scheme of a URL of HTTP or of a WebSocket.
func cutScheme(text []byte) (isURL bool, rest []byte) {
	if len(text) == 0 || text[0] == '/' {
		return false, nil
	}
	for _, scheme := range []string{"http://", "https://", "ws://", "wss://"} {
		if len(text) > len(scheme) && bytes.EqualFold(text[:len(scheme)], []byte(scheme)) {
			return true, text[len(scheme):]
		}
	}
	return false, nil
}

// requestLine returns the target of a request line such as GET /a HTTP/1.1, or nil.
func requestLine(v Value) []byte {
	_, rest, ok := bytes.Cut(v.Text, []byte(" "))
	if !ok || !v.Quoted {
		return nil
	}
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || !bytes.HasPrefix(version, []byte("HTTP/")) || bytes.IndexByte(version, ' ') >= 0 {
		return nil
	}
	return target
}

func hostOf(v Value) ([]byte, Fit) {
	text := v.Text
	if isURL, rest := cutScheme(text); isURL {
		if text = rest; bytes.ContainsAny(text, "/?#") {
			text = text[:bytes.IndexAny(text, "/?#")]
		}
	}
	const longest = 300
	if !v.Quoted || len(text) == 0 || len(text) > longest {
		return nil, Misfit
	}
	named := false
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', jsonscan.IsDigit(c):
			named = true
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return nil, Misfit
		}
	}
	if !named {
		return nil, Misfit
	}
	return text, Fits
}

// idOf returns an id. Tracers write zeros for an id that does not exist. Of a header
// X-Amzn-Trace-Id, the id is its root.
// See https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func idOf(v Value) ([]byte, Fit) {
	text := v.Text
	const root = "Root="
	if i := bytes.Index(text, []byte(root)); i == 0 || i > 0 && text[i-1] == ';' {
		text, _, _ = bytes.Cut(text[i+len(root):], []byte(";"))
	}
	switch {
	case !v.Quoted && !v.IsNumber():
		return nil, Misfit
	case len(text) == 0, (text[0] == '0' || text[0] == '-') && len(bytes.Trim(text, "0-")) == 0, isBlank(text), isNone(text):
		return nil, Nothing
	}
	return text, Fits
}

// trimLines removes line breaks from the end of a canonical text.
func trimLines(text []byte) []byte {
	for {
		n := len(text)
		if n < len(`\n`) || text[n-2] != '\\' || text[n-1] != 'n' && text[n-1] != 'r' || oddBackslashes(text[:n-2]) {
			return text
		}
		text = text[:n-2]
	}
}

// oddBackslashes reports whether a canonical text ends with an odd number of backslashes, the
// last of which escapes what follows.
func oddBackslashes(text []byte) bool {
	n := 0
	for n < len(text) && text[len(text)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// isBlank reports whether a canonical text has only blanks and colors.
func isBlank(text []byte) bool {
	for len(text) > 0 {
		switch n := colorLength(text); {
		case n > 0:
			text = text[n:]
		case text[0] == ' ':
			text = text[1:]
		case text[0] == '\\' && len(text) > 1 && bytes.IndexByte([]byte("tnr"), text[1]) >= 0:
			text = text[2:]
		default:
			return false
		}
	}
	return true
}
