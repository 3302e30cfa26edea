package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// IndexSettings are settings of the indices that template makes.
type IndexSettings struct {
	// Shards is the number of primary shards, 1 when 0: one holds a small team's
	// day, and more cost each search.
	Shards int
	// Replicas is the number of copies of each, "" for what the cluster has as its
	// default.
	Replicas string
	// Refresh is the time until a document can be found, 1 s when 0.
	Refresh time.Duration
	// Codec is that of what is stored: best_compression when empty, or default,
	// zstd or zstd_no_dict where the server has them.
	Codec string
	// Sort lists the fields that an index is sorted by, each with :desc behind it
	// for the greatest first.
	Sort []string
}

const (
	defaultCodec   = "best_compression"
	defaultRefresh = time.Second
)

// complete gives what is not set its usual value.
func (s IndexSettings) complete() IndexSettings {
	s.Shards = max(s.Shards, 1)
	if s.Refresh == 0 {
		s.Refresh = defaultRefresh
	}
	if s.Codec == "" {
		s.Codec = defaultCodec
	}
	return s
}

// CheckSort tells whether an index of a schema can be sorted as the settings say.
func (s IndexSettings) CheckSort(schema *Schema) error {
	for _, by := range s.Sort {
		name, order, hasOrder := strings.Cut(by, ":")
		sortable := name == timeField
		for _, f := range schema.Fields {
			sortable = sortable || f.Name == name && f.sortable()
		}
		if !sortable {
			return fmt.Errorf("%q is not a field that an index can be sorted by: give @timestamp, or keywords, numbers, dates or booleans of the schema, such as @timestamp:desc", name)
		}
		if hasOrder && order != "asc" && order != "desc" {
			return fmt.Errorf("%q has the order %q: give %s:asc or %s:desc", by, order, name, name)
		}
	}
	return nil
}

func (f *Field) sortable() bool {
	return f.options["doc_values"] != false && !isFullText(f.Type) && f.Type != "ip"
}

// priority is that of the index template and of the policy. A longer prefix wins
// over a shorter one that its indices match too (app-web-* over app-*): two of the
// same priority whose patterns overlap are refused by OpenSearch.
func (m *Mapper) priority() int {
	const base = 100
	return base + len(m.naming.prefix)
}

// match_only_text is text without positions and frequencies, which takes less of
// disk and CPU; OpenSearch has it since 2.12.
const (
	lightText = "match_only_text"
	fullText  = "text"
)

func isFullText(t string) bool { return t == lightText || t == fullText }

// Template is a composable index template. Its settings are spelled as OpenSearch
// gives them back (nested, values as strings), so that an installed template can be
// compared. See https://docs.opensearch.org/latest/im-plugin/index-templates/.
type Template struct {
	Name string
	// Bodies are what may be installed, the best first: a server that lacks a field
	// type or a codec takes one of the others.
	Bodies [][]byte
}

// Template returns the index template of the documents' indices.
func (m *Mapper) Template() (Template, error) {
	t := Template{Name: m.naming.prefix}
	codecs := []string{m.settings.Codec}
	if strings.HasPrefix(m.settings.Codec, "zstd") {
		codecs = append(codecs, defaultCodec)
	}
	for _, codec := range codecs {
		for _, text := range []string{lightText, fullText} {
			body, err := json.Marshal(m.template(text, codec))
			if err != nil {
				return t, fmt.Errorf("write the index template: %w", err)
			}
			t.Bodies = append(t.Bodies, body)
		}
	}
	return t, nil
}

func (m *Mapper) template(text, codec string) map[string]any {
	meta := map[string]any{"managed_by": "logsluice", "schema": m.schema.Name, "schema_hash": m.schema.hash}
	template := map[string]any{
		"index_patterns": []string{m.naming.pattern()},
		"priority":       m.priority(),
		"version":        m.schema.Version,
		"_meta":          meta,
		"template": map[string]any{
			"settings": map[string]any{"index": m.indexSettings(codec)},
			"mappings": m.mappings(text, meta),
		},
	}
	if m.naming.date == "" {
		template["data_stream"] = map[string]any{"timestamp_field": map[string]any{"name": timeField}}
	}
	return template
}

func (m *Mapper) indexSettings(codec string) map[string]any {
	index := map[string]any{
		"number_of_shards": strconv.Itoa(m.settings.Shards),
		// Set by name, so that an index nobody has searched for a while
		// is refreshed all the same: lines are found in a second.
		"refresh_interval": inSeconds(m.settings.Refresh),
		"codec":            codec,
	}
	if m.settings.Replicas != "" {
		index["number_of_replicas"] = m.settings.Replicas
	}
	// An index of an older schema may have a field of another type: what does not
	// fit there is kept in the document, which is taken all the same.
	limits := map[string]any{"ignore_malformed": "true"}
	if m.schema.rest == restDynamic {
		limits["total_fields"] = map[string]any{"limit": strconv.Itoa(len(m.schema.Fields)*2 + 20 + m.schema.most)}
	}
	index["mapping"] = limits
	var by, order []string
	for _, s := range m.settings.Sort {
		name, direction, _ := strings.Cut(s, ":")
		if direction == "" {
			direction = "asc"
		}
		by, order = append(by, name), append(order, direction)
	}
	if by != nil {
		index["sort"] = map[string]any{"field": by, "order": order}
	}
	return index
}

// inSeconds spells a time as OpenSearch does.
func inSeconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

func (m *Mapper) mappings(text string, meta map[string]any) map[string]any {
	keyword := map[string]any{"type": "keyword", "ignore_above": maxKeyword}
	properties := map[string]any{
		timeField:    map[string]any{"type": "date"},
		messageField: (&Field{Type: m.schema.message}).property(text),
		refusedField: map[string]any{"properties": map[string]any{"type": keyword, "reason": map[string]any{"type": "text"}}},
	}
	for _, f := range m.schema.Fields {
		into := properties
		parts := strings.Split(f.Name, ".")
		for _, part := range parts[:len(parts)-1] {
			object, ok := into[part].(map[string]any)
			if !ok {
				object = map[string]any{"properties": map[string]any{}}
				into[part] = object
			}
			into = object["properties"].(map[string]any)
		}
		into[parts[len(parts)-1]] = f.property(text)
	}
	mappings := map[string]any{
		// Fields come from the schema alone: a stray one is kept in the
		// document and cannot clash or use up the field limit.
		"dynamic":    "false",
		"properties": properties,
		"_meta":      meta,
	}
	switch m.schema.rest {
	case restFlat:
		properties[restField] = map[string]any{"type": "flat_object"}
	case restDynamic:
		properties[restField] = map[string]any{"type": "object", "dynamic": "true"}
		mappings["date_detection"] = false
		// One type for all numbers and one for the others, so that they do not clash.
		mappings["dynamic_templates"] = []any{
			dynamic("json_strings", "string", keyword),
			dynamic("json_truths", "boolean", keyword),
			dynamic("json_longs", "long", map[string]any{"type": "double"}),
			dynamic("json_doubles", "double", map[string]any{"type": "double"}),
		}
	}
	return mappings
}

func dynamic(name, kind string, mapping map[string]any) map[string]any {
	return map[string]any{name: map[string]any{"path_match": restField + ".*", "match_mapping_type": kind, "mapping": mapping}}
}

// property is a field's definition in the index mapping.
func (f *Field) property(text string) map[string]any {
	p := map[string]any{"type": f.Type}
	if f.Type == lightText {
		p["type"] = text
	}
	if f.Type == "keyword" {
		p["ignore_above"] = f.limit
	}
	maps.Copy(p, f.options)
	return p
}

// Prefix is what every index name begins with.
func (m *Mapper) Prefix() string { return m.naming.prefix }

// Owns reports whether a name is that of an index of documents: PREFIX-outside, or one
// with digits where the index of today has some.
func (m *Mapper) Owns(index string) bool {
	today := m.Indices(time.Now())
	date, ours := strings.CutPrefix(index, m.naming.base())
	return index == m.naming.outside() || ours && shapeOf(date) == shapeOf(strings.TrimPrefix(today[len(today)-1], m.naming.base()))
}

// shapeOf returns a name with each digit as 0.
func shapeOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, name)
}

// Indices returns those that events of a time, and of the day before it, belong to,
// the newest last. The first is PREFIX-outside, where there can be such an index.
func (m *Mapper) Indices(t time.Time) []string {
	var names []string
	if outside := m.naming.outside(); outside != "" {
		names = append(names, outside)
	}
	for ago := day; ago >= 0; ago -= time.Hour {
		local, _ := localTime(t.Add(-ago).UnixMilli(), m.zone)
		names = append(names, string(m.naming.appendDate([]byte(m.naming.base()), local)))
	}
	return slices.Compact(names)
}

// Next returns the index that events of the period after a time belong to, "" for a
// data stream.
func (m *Mapper) Next(t time.Time) string {
	if m.naming.date == "" {
		return ""
	}
	at := func(t time.Time) string {
		local, _ := localTime(t.UnixMilli(), m.zone)
		return string(m.naming.appendDate([]byte(m.naming.base()), local))
	}
	next := t
	for at(next) == at(t) {
		next = next.Add(time.Hour)
	}
	return at(next)
}
