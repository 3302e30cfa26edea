package assets

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// The index template, and the settings of the indices under it.

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

// CheckSort returns an error unless an index of a schema can be sorted as the settings say.
func (s IndexSettings) CheckSort(of *schema.Schema) error {
	for _, by := range s.Sort {
		name, order, hasOrder := strings.Cut(by, ":")
		can := name == schema.TimeField
		for _, f := range of.Fields {
			can = can || f.Name == name && sortable(&f)
		}
		if !can {
			return fmt.Errorf("%q is not a field that an index can be sorted by: give @timestamp, or keywords, numbers, dates or booleans of the schema, such as @timestamp:desc", name)
		}
		if hasOrder && order != "asc" && order != "desc" {
			return fmt.Errorf("%q has the order %q: give %s:asc or %s:desc", by, order, name, name)
		}
	}
	return nil
}

func sortable(f *schema.Field) bool {
	return f.Options["doc_values"] != false && !schema.IsFullText(f.Type) && f.Type != "ip"
}

// priority is that of the index template and of the policy. A longer prefix wins
// over a shorter one that its indices match too (app-web-* over app-*): two of the
// same priority whose patterns overlap are refused by OpenSearch.
func (d Documents) priority() int {
	const base = 100
	return base + len(d.Naming.Prefix)
}

// Templates returns the index templates that are to be on OpenSearch: that of the
// documents, and that of their dead letters.
func (d Documents) Templates() ([]opensearch.Template, error) {
	documents, err := d.Template()
	if err != nil {
		return nil, err
	}
	letters, err := deadletter.Template(d.Naming.Prefix)
	if err != nil {
		return nil, err
	}
	return []opensearch.Template{documents, letters}, nil
}

// Template returns the index template of the documents' indices, which has their prefix as
// its name.
func (d Documents) Template() (opensearch.Template, error) {
	t := opensearch.Template{Name: d.Naming.Prefix, Indices: d.Naming.Indices}
	codecs := []string{d.Index.complete().Codec}
	if strings.HasPrefix(d.Index.complete().Codec, "zstd") {
		codecs = append(codecs, defaultCodec)
	}
	for _, codec := range codecs {
		for _, text := range []string{schema.LightText, schema.FullText} {
			body, err := json.Marshal(d.template(text, codec))
			if err != nil {
				return t, fmt.Errorf("write the index template: %w", err)
			}
			t.Bodies = append(t.Bodies, body)
		}
	}
	return t, nil
}

func (d Documents) template(text, codec string) map[string]any {
	meta := map[string]any{"managed_by": "logsluice", "schema": d.Schema.Name, "schema_hash": d.Schema.Hash}
	template := map[string]any{
		"index_patterns": []string{d.Naming.Pattern()},
		"priority":       d.priority(),
		"version":        d.Schema.Version,
		"_meta":          meta,
		"template": map[string]any{
			"settings": map[string]any{"index": d.indexSettings(codec)},
			"mappings": d.mappings(text, meta),
		},
	}
	if d.Naming.DataStream {
		template["data_stream"] = map[string]any{"timestamp_field": map[string]any{"name": schema.TimeField}}
	}
	return template
}

func (d Documents) indexSettings(codec string) map[string]any {
	settings := d.Index.complete()
	index := map[string]any{
		"number_of_shards": strconv.Itoa(settings.Shards),
		// Set by name, so that an index nobody has searched for a while
		// is refreshed anyway: lines are found in a second.
		"refresh_interval": inSeconds(settings.Refresh),
		"codec":            codec,
	}
	if settings.Replicas != "" {
		index["number_of_replicas"] = settings.Replicas
	}
	// An index of an older schema may have a field of another type: what does not
	// fit there is kept in the document, which is accepted anyway.
	limits := map[string]any{"ignore_malformed": "true"}
	if d.Schema.Rest == schema.RestDynamic {
		limits["total_fields"] = map[string]any{"limit": strconv.Itoa(len(d.Schema.Fields)*2 + 20 + d.Schema.RestFields)}
	}
	index["mapping"] = limits
	var by, order []string
	for _, s := range settings.Sort {
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

func (d Documents) mappings(text string, meta map[string]any) map[string]any {
	keyword := map[string]any{"type": "keyword", "ignore_above": schema.MaxKeyword}
	properties := map[string]any{
		schema.TimeField:    map[string]any{"type": "date"},
		schema.MessageField: property(&schema.Field{Type: d.Schema.Message}, text),
		schema.RefusedField: map[string]any{"properties": map[string]any{"type": keyword, "reason": map[string]any{"type": "text"}}},
	}
	for _, f := range d.Schema.Fields {
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
		into[parts[len(parts)-1]] = property(&f, text)
	}
	mappings := map[string]any{
		// Fields come from the schema alone: a stray one is kept in the
		// document and cannot clash or use up the field limit.
		"dynamic":    "false",
		"properties": properties,
		"_meta":      meta,
	}
	switch d.Schema.Rest {
	case schema.RestFlat:
		properties[schema.RestField] = map[string]any{"type": "flat_object"}
	case schema.RestDynamic:
		properties[schema.RestField] = map[string]any{"type": "object", "dynamic": "true"}
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
	return map[string]any{name: map[string]any{"path_match": schema.RestField + ".*", "match_mapping_type": kind, "mapping": mapping}}
}

// property is a field's definition in the index mapping.
func property(f *schema.Field, text string) map[string]any {
	p := map[string]any{"type": f.Type}
	if f.Type == schema.LightText {
		p["type"] = text
	}
	if f.Type == "keyword" {
		p["ignore_above"] = f.Limit
	}
	maps.Copy(p, f.Options)
	return p
}
