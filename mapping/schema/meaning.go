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
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "PURGE",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL", "BIND", "LINK", "UNLINK", "MERGE", "MKACTIVITY", "CHECKOUT",
}

// noErrors are texts that mean that no error exists.
var noErrors = []string{"null", "nil", "<nil>", "none", "undefined", "false", "true", "0", "no error", "success", "ok"}

// read returns the text of a value with the field's meaning, or false if the value does
// not have it. scratch is overwritten.
func (m Meaning) read(scratch []byte, v Value, d *Dialect) (text []byte, how Fit) {
	switch m {
	case LevelMeaning:
		if level := d.levelOf(v); level != "" {
			return append(scratch, level...), Fits
		}
		return nil, Misfit
	case MethodMeaning:
		const longest = 10
		if !v.Quoted || len(v.Text) > longest {
			return nil, Misfit
		}
		text = scratch
		for _, c := range v.Text {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			text = append(text, c)
		}
		if !slices.Contains(methods, unsafeString(text)) {
			return nil, Misfit
		}
		return text, Fits
	case PathMeaning:
		return pathOf(v)
	case ErrorMeaning:
		if !v.Quoted {
			return nil, Nothing
		}
		for _, none := range noErrors {
			if len(v.Text) == len(none) && bytes.EqualFold(v.Text, []byte(none)) {
				return nil, Nothing
			}
		}
	case AnyMeaning, StatusMeaning:
	}
	return v.Text, Fits
}

// pathOf returns the path of a URL or of a request's target.
func pathOf(v Value) ([]byte, Fit) {
	if !v.Quoted {
		return nil, Misfit
	}
	text := v.Text
	if i := bytes.Index(text, []byte("://")); i > 0 && isScheme(text[:i]) {
		text = text[i+len("://"):]
		slash := bytes.IndexAny(text, "/?#")
		if slash < 0 || text[slash] != '/' {
			return []byte("/"), Fits
		}
		text = text[slash:]
	}
	if i := bytes.IndexAny(text, "?#"); i >= 0 {
		text = text[:i]
	}
	switch {
	case len(text) == 0:
		return nil, Nothing
	case text[0] != '/':
		return nil, Misfit
	}
	return text, Fits
}

func isScheme(text []byte) bool {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !jsonscan.IsDigit(c) {
			return false
		}
	}
	return true
}
