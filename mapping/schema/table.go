package schema

import (
	"fmt"
	"strings"
)

// Table returns the fields of the documents as a table in Markdown.
func (s *Schema) Table() string {
	var table strings.Builder
	table.WriteString("| field | type | holds |\n| --- | --- | --- |\n")
	row := func(name, kind, holds string) {
		holds = strings.ReplaceAll(strings.Join(strings.Fields(holds), " "), "|", `\|`)
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", name, kind, holds)
	}
	row(TimeField, "date", "the event's time, RFC 3339 with milliseconds and the offset of `INDEX_TIMEZONE`")
	row(MessageField, s.Message, "the text as it was, searchable by its words")
	for _, f := range s.Fields {
		row(f.Name, f.Type, f.contents())
	}
	switch s.Rest {
	case RestFlat:
		row(RestField, "flat_object", "the rest of the line's JSON: each value is found under its path, as text")
	case RestDynamic:
		row(RestField, "object", "the rest of the line's JSON: OpenSearch makes a field of each key")
	}
	row(RefusedField+".type", "keyword", "the error, if OpenSearch refused the document and it is indexed as text only")
	row(RefusedField+".reason", "text", "the reason of the error")
	return table.String()
}

// contents returns the field's meaning and its sources.
func (f *Field) contents() string {
	var sources []string
	switch f.Origin {
	case FromJSON:
		for _, p := range f.Paths {
			source := "`" + p.Name + "`"
			for name, u := range units {
				if u == p.Unit {
					source += " (" + name + ")"
				}
			}
			sources = append(sources, source)
		}
	case FromValue:
		sources = []string{"`" + string(f.Constant) + "`"}
	}
	holds := strings.Join(sources, ", ")
	switch {
	case f.Meaning == "" && holds == "":
		return "from `" + string(f.Origin) + "`"
	case f.Meaning == "" || holds == "":
		return f.Meaning + holds
	}
	return f.Meaning + " — " + holds
}
