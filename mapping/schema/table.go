package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Table returns the fields of the documents as a table in Markdown, with the keys of the
// line's JSON that are searched.
func (s *Schema) Table() string { return s.table((*Field).contents) }

// ShortTable returns the table without the keys.
func (s *Schema) ShortTable() string {
	return s.table(func(f *Field) string {
		if f.Meaning == "" {
			return f.contents()
		}
		return f.Meaning
	})
}

// KeyTable returns the keys of each field as a table in Markdown.
func (s *Schema) KeyTable() string {
	var table strings.Builder
	table.WriteString("| field | keys |\n| --- | --- |\n")
	for _, f := range s.Fields {
		if f.Paths != nil {
			fmt.Fprintf(&table, "| `%s` | %s |\n", f.Name, strings.Join(f.keys(), ", "))
		}
	}
	return table.String()
}

func (s *Schema) table(contents func(*Field) string) string {
	var table strings.Builder
	table.WriteString("| field | type | holds |\n| --- | --- | --- |\n")
	row := func(name, kind, holds string) {
		holds = strings.ReplaceAll(strings.Join(strings.Fields(holds), " "), "|", `\|`)
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", name, kind, holds)
	}
	row(TimeField, "date", "the event's time, RFC 3339 with milliseconds and the offset of `INDEX_TIMEZONE`")
	row(MessageField, s.Message, "the text as it was, searchable by its words")
	for _, f := range s.Fields {
		row(f.Name, f.Type, contents(&f))
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

// DialectTable returns the dialects as a table in Markdown.
func DialectTable(dialects []Dialect) string {
	var table strings.Builder
	table.WriteString("| dialect | recognized by | unit of durations | levels |\n| --- | --- | --- | --- |\n")
	for _, d := range dialects {
		var rows []string
		for _, has := range d.Has {
			var keys []string
			for _, key := range slices.Sorted(maps.Keys(has)) {
				keys = append(keys, "`"+key+"`"+has[key].note())
			}
			rows = append(rows, strings.Join(keys, ", "))
		}
		recognized := strings.Join(rows, "; or ")
		if d.Lacks != nil {
			recognized += "; without `" + strings.Join(d.Lacks, "`, `") + "`"
		}
		unit := d.Unit.String()
		switch {
		case d.Metrics != "":
			unit = "that of the metric in `" + d.Metrics + "`"
		case d.Whole:
			unit += ", whole numbers"
			if d.Least > 0 {
				unit += fmt.Sprintf(" from %d", d.Least)
			}
		}
		var levels []string
		if d.Level != "" {
			levels = append(levels, "without a level: "+d.Level)
		}
		for _, n := range slices.Sorted(maps.Keys(d.levels)) {
			levels = append(levels, fmt.Sprintf("%d %s", n, d.levels[n]))
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", d.Name, recognized, unit, strings.Join(levels, ", "))
	}
	return table.String()
}

// note returns the kind in parentheses, or "" for any kind.
func (k ValueKind) note() string {
	for name, kind := range valueKinds {
		if kind == k && k != AnyValue {
			return " (" + name + ")"
		}
	}
	return ""
}

// contents returns the field's meaning and its sources.
func (f *Field) contents() string {
	var sources []string
	switch f.Origin {
	case FromJSON:
		sources = f.keys()
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

// keys returns the keys of the line's JSON that are searched, with their units and dialects.
func (f *Field) keys() []string {
	var sources []string
	for _, p := range f.Paths {
		source := "`" + p.Name + "`"
		if unit := p.Unit.String(); unit != "" {
			source += " (" + unit + ")"
		}
		if p.Dialects != nil {
			source += " of " + strings.Join(p.Dialects, ", ")
		}
		sources = append(sources, source)
	}
	return sources
}
