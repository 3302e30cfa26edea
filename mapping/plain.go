package mapping

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"logsluice/mapping/schema"
)

// AppendPlain appends the source line, without a newline, of a document that OpenSearch
// refused: its time, the log line as text, its log group and log stream (JSON literals),
// and the reason. If the document has the rest of its line's JSON and the reason does not
// name a field, only that rest is removed.
func (m *Mapper) AppendPlain(dst, source, group, stream []byte, kind, reason string) []byte {
	const rest = `,"` + schema.RestField + `":`
	if document, _, has := bytes.Cut(source, []byte(rest)); has && !m.namesField(reason) {
		dst = append(dst, document...)
	} else {
		at, message := m.Core(source)
		dst = m.appendCore(dst, at, message, group, stream)
	}
	// Strings always marshal.
	why, _ := json.Marshal(map[string]string{"type": kind, "reason": reason})
	dst = append(dst, `,"`+schema.RefusedField+`":`...)
	dst = append(dst, why...)
	return append(dst, '}')
}

// namesField reports whether a reason contains the name of a field of the schema.
func (m *Mapper) namesField(reason string) bool {
	return slices.ContainsFunc(m.schema.Fields, func(f schema.Field) bool {
		object, _, _ := strings.Cut(f.Name, ".")
		return strings.Contains(reason, "["+f.Name+"]") || strings.Contains(reason, "["+object+"]")
	})
}

// AppendMinimal appends a source line, without a newline, with the time, the beginning of
// the log line, and its log group and log stream (JSON literals). An index accepts it even
// if its mapping is full or has the message as a keyword.
func (m *Mapper) AppendMinimal(dst, source, group, stream []byte) []byte {
	at, message := m.Core(source)
	return append(m.appendCore(dst, at, cutLiteral(message, schema.MaxTerm), group, stream), '}')
}

// Core returns the time and the log line of a source line as JSON literals, without
// copying them.
func (*Mapper) Core(source []byte) (timestamp, message []byte) {
	return literal(source, schema.TimeField), literal(source, schema.MessageField)
}

// literal returns the string literal of a field in one of our source lines. Strings
// cannot contain `"field":`, because their quotes are escaped.
func literal(source []byte, field string) []byte {
	_, rest, _ := bytes.Cut(source, []byte(`"`+field+`":`))
	for end := 1; end < len(rest); end++ {
		switch rest[end] {
		case '\\':
			end++
		case '"':
			return rest[:end+1]
		}
	}
	return []byte(`""`)
}

// appendCore appends the beginning of a source line with the time, the line, and the log
// group and log stream if the schema has fields for them.
func (m *Mapper) appendCore(dst, at, message, group, stream []byte) []byte {
	dst = append(dst, `{"`+schema.TimeField+`":`...)
	dst = append(dst, at...)
	dst = append(dst, `,"`+schema.MessageField+`":`...)
	dst = append(dst, message...)
	for i, field := range m.schema.Fields {
		value := map[schema.Origin][]byte{schema.FromGroup: group, schema.FromStream: stream}[field.Origin]
		if len(value) > 0 && field.Pattern == nil {
			dst = append(append(dst, m.keys[i]...), value...)
		}
	}
	return dst
}

// cutLiteral cuts a canonical string literal to at most n bytes between its quotes. Its
// text then has at most n bytes too.
func cutLiteral(literal []byte, n int) []byte {
	if len(literal) <= n+2 {
		return literal
	}
	end := 1
	for {
		var size int
		if literal[end] != '\\' {
			_, size = utf8.DecodeRune(literal[end:])
		} else if size = 2; literal[end+1] == 'u' {
			size = 6
		}
		if end-1+size > n {
			return append(slices.Clone(literal[:end]), '"')
		}
		end += size
	}
}
