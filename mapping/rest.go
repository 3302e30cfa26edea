package mapping

import (
	"bytes"
	"encoding/json"
	"strings"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// The rest of a line: the parts of its JSON that are not fields of the schema.

// Limits on the rest, within which OpenSearch accepts it. Parts beyond them are only in
// the line.
const (
	maxRestLine   = 256 << 10 // bytes; decoding takes a hundred times as much memory
	maxRestDepth  = 15        // counting each part of a key with dots
	maxRestString = 8191      // bytes; flat_object makes terms of path and value
	maxRestKey    = 512       // bytes
)

// appendRest appends the parts of the line's JSON that were not found as fields, if there
// are any. lost reports whether the rest had to be left out.
func (m *Mapper) appendRest(dst []byte, message subscription.Text) (_ []byte, lost bool) {
	x := m.extract
	l := line{text: schema.TrimQuotes(message)}
	prefix, ok := l.open()
	if !ok {
		return dst, false
	}
	if len(l.text) > maxRestLine {
		return dst, true
	}
	x.raw = subscription.Unescape(x.raw[:0], l.text[l.at-1:])
	decoder := json.NewDecoder(bytes.NewReader(x.raw))
	decoder.UseNumber()
	var object map[string]any
	err := decoder.Decode(&object)
	if len(prefix) > 0 && (err != nil || len(bytes.TrimSpace(x.raw[decoder.InputOffset():])) > 0) {
		return dst, false // the line contains JSON but does not end with it
	}
	if err != nil {
		return dst, true
	}
	for i, f := range x.found {
		if f.rank > 0 && f.path >= 0 && !f.inner {
			remove(object, x.fields[i].Paths[f.path].Name)
		}
	}
	left := clean(object, 0)
	if left == nil {
		return dst, false
	}
	text, err := json.Marshal(left)
	if err != nil { // decoded JSON can always be encoded
		return dst, true
	}
	dst = append(dst, `,"`+schema.RestField+`":`...)
	return append(dst, text...), false
}

// remove removes the value at a path.
func remove(object map[string]any, path string) {
	delete(object, path)
	for i := range path {
		if path[i] == '.' {
			if inner, ok := object[path[:i]].(map[string]any); ok {
				remove(inner, path[i+1:])
			}
		}
	}
}

// isPath reports whether a key has no empty part: OpenSearch treats dots in keys as paths
// into objects.
func isPath(key string) bool {
	for part := range strings.SplitSeq(key, ".") {
		if strings.TrimSpace(part) == "" {
			return false
		}
	}
	return true
}

// clean returns a value without the parts for which OpenSearch would refuse the document,
// and without empty ones. It returns nil if nothing is left.
func clean(v any, depth int) any {
	if depth > maxRestDepth {
		return nil
	}
	empty := false
	switch v := v.(type) {
	case string:
		empty = len(v) > maxRestString
	case json.Number:
		empty = len(v) > schema.MaxNumber
	case map[string]any:
		for key, inner := range v {
			if inner = clean(inner, depth+1+strings.Count(key, ".")); inner == nil || len(key) > maxRestKey || !isPath(key) {
				delete(v, key)
			} else {
				v[key] = inner
			}
		}
		empty = len(v) == 0
	case []any:
		return cleanList(v, depth+1)
	}
	if empty {
		return nil
	}
	return v
}

// cleanList returns the values of a list, or its objects if it has no values: a field
// cannot have both.
func cleanList(list []any, depth int) any {
	var values, objects []any
	for _, v := range list {
		v = clean(v, depth)
		switch v := v.(type) {
		case nil:
		case map[string]any:
			objects = append(objects, v)
		case []any: // which OpenSearch flattens into the outer list
			if _, is := v[0].(map[string]any); is {
				objects = append(objects, v)
			} else {
				values = append(values, v)
			}
		default:
			values = append(values, v)
		}
	}
	switch {
	case values != nil:
		return values
	case objects != nil:
		return objects
	}
	return nil
}
