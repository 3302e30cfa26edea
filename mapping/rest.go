package mapping

import (
	"bytes"
	"encoding/json"
	"strings"

	"logsluice/subscription"
)

// rest is what becomes of a line's JSON beside the fields of the schema.
type rest string

const (
	// restNone leaves it in the line alone, where it is found by its words.
	restNone rest = "none"
	// restFlat keeps it as one field of the type flat_object: each value is found
	// under its path, as text. See
	// https://docs.opensearch.org/latest/field-types/supported-field-types/flat-object/.
	restFlat rest = "flat_object"
	// restDynamic has OpenSearch make a field of each key, up to a bound.
	restDynamic rest = "dynamic"
)

// Bounds on the rest, within which OpenSearch takes any of it. What is beyond is in
// the line all the same.
const (
	maxRestDepth  = 20
	maxRestString = 8191 // bytes; flat_object makes terms of path and value
	maxRestKey    = 512  // bytes
)

// appendRest appends what the line's JSON has beside the fields that were found in
// it, unless that is nothing.
func (m *Mapper) appendRest(dst []byte, message subscription.Text) []byte {
	x := m.extract
	x.line = line{text: bare(message)}
	prefixed, ok := x.line.open()
	if !ok {
		return dst
	}
	x.raw = subscription.Unescape(x.raw[:0], x.line.text[x.line.at-1:])
	decoder := json.NewDecoder(bytes.NewReader(x.raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || prefixed && decoder.More() {
		if !prefixed {
			m.metrics.restLost.Inc()
		}
		return dst
	}
	for i, f := range x.found {
		if f.rank > 0 {
			remove(object, x.fields[i].paths[f.rank-1].name)
		}
	}
	prune(object, 1)
	if len(object) == 0 {
		return dst
	}
	text, err := json.Marshal(object)
	if err != nil { // what was read can be written
		return dst
	}
	dst = append(dst, `,"`+restField+`":`...)
	return append(dst, text...)
}

// remove removes what stands at a path.
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

// prune removes what OpenSearch would refuse the document for, and what says
// nothing.
func prune(object map[string]any, depth int) {
	for key, v := range object {
		if len(key) > maxRestKey || !isPath(key) || !keeps(v, depth) {
			delete(object, key)
		}
	}
}

// isPath tells whether a key has no empty part: OpenSearch reads dots in it as
// leading into objects.
func isPath(key string) bool {
	for part := range strings.SplitSeq(key, ".") {
		if strings.TrimSpace(part) == "" {
			return false
		}
	}
	return true
}

func keeps(v any, depth int) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return len(v) <= maxRestString
	case json.Number:
		return len(v) <= maxNumber
	case map[string]any:
		prune(v, depth+1)
		return len(v) > 0 && depth < maxRestDepth
	case []any:
		for i := range v {
			if !keeps(v[i], depth+1) {
				v[i] = nil
			}
		}
		return depth < maxRestDepth
	}
	return true
}
