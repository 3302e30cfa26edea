package mapping

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"logsluice/mapping/schema"
)

// Plain appends, without a newline, the source line of a document that
// OpenSearch refused: its time, its line as text, its log group and log stream,
// which are JSON literals, and the reason. Of one that has the rest of its line's JSON only that is left out, unless
// the reason names a field.
func (m *Mapper) Plain(dst, source, group, stream []byte, kind, reason string) []byte {
	const rest = `,"` + schema.RestField + `":`
	if document, _, has := bytes.Cut(source, []byte(rest)); has && !m.blames(reason) {
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

// blames tells whether a reason names a field of the schema.
func (m *Mapper) blames(reason string) bool {
	return slices.ContainsFunc(m.schema.Fields, func(f schema.Field) bool {
		object, _, _ := strings.Cut(f.Name, ".")
		return strings.Contains(reason, "["+f.Name+"]") || strings.Contains(reason, "["+object+"]")
	})
}

// Minimal appends, without a newline, a source line with the time, the beginning of
// the log line, and its log group and log stream, which are JSON literals: what even
// an index whose mapping is full, or has the message as a keyword, can accept.
func (m *Mapper) Minimal(dst, source, group, stream []byte) []byte {
	at, message := m.Core(source)
	return append(m.appendCore(dst, at, cutLiteral(message, schema.MaxTerm), group, stream), '}')
}

// Core returns the time and the log line of a source line, as JSON literals. They
// are not copied: a line can be large.
func (*Mapper) Core(source []byte) (timestamp, message []byte) {
	return literal(source, schema.TimeField), literal(source, schema.MessageField)
}

// literal is the string literal of a field of a source line of our own. No
// string has `"field":` within, as its quotes are escaped there.
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

// appendCore appends the beginning of a source line that has the time, the line,
// and the log group and log stream in the fields that the schema has for them.
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

// cutLiteral cuts a canonical string literal to one of at most n bytes between
// its quotes, which is no less than the text takes.
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
