package mapping

import (
	"fmt"
	"strings"
)

// Table returns the fields of the documents as a table in Markdown, for people.
func (s *Schema) Table() string {
	var table strings.Builder
	table.WriteString("| field | type | holds |\n| --- | --- | --- |\n")
	row := func(name, kind, holds string) {
		holds = strings.ReplaceAll(strings.Join(strings.Fields(holds), " "), "|", `\|`)
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", name, kind, holds)
	}
	row(timeField, "date", "the event's time, RFC 3339 with milliseconds and the offset of `INDEX_TIMEZONE`")
	row(messageField, s.message, "the text as it was, searchable by its words")
	for _, f := range s.Fields {
		row(f.Name, f.Type, f.holds())
	}
	switch s.rest {
	case restFlat:
		row(restField, "flat_object", "the rest of the line's JSON: each value is found under its path, as text")
	case restDynamic:
		row(restField, "object", "the rest of the line's JSON: OpenSearch makes a field of each key")
	}
	row(refusedField+".type", "keyword", "of a document that OpenSearch refused, and that is there as text only: the error")
	row(refusedField+".reason", "text", "and its reason")
	return table.String()
}

// holds is the field's meaning and where it comes from.
func (f *Field) holds() string {
	var sources []string
	switch f.origin {
	case fromJSON:
		for _, p := range f.paths {
			source := "`" + p.name + "`"
			for name, u := range units {
				if u == p.unit {
					source += " (" + name + ")"
				}
			}
			sources = append(sources, source)
		}
	case fromValue:
		sources = []string{"`" + string(f.value) + "`"}
	}
	holds := strings.Join(sources, ", ")
	switch {
	case f.Meaning == "" && holds == "":
		return "from `" + string(f.origin) + "`"
	case f.Meaning == "" || holds == "":
		return f.Meaning + holds
	}
	return f.Meaning + " — " + holds
}
