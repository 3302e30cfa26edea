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

// The index template, and the settings of its indices.

// IndexSettings are settings of the indices that the template creates.
type IndexSettings struct {
	// Shards is the number of primary shards, 1 if it is 0. One is enough for a small
	// team's day, and each further shard makes searches more expensive.
	Shards int
	// Replicas is the number of copies of each shard, or "" for the cluster's default.
	Replicas string
	// Refresh is the time until a document can be found, 1 s if it is 0.
	Refresh time.Duration
	// Codec is the codec of stored data: best_compression if it is empty, or default,
	// zstd or zstd_no_dict if the server supports them.
	Codec string
	// Sort lists the fields by which an index is sorted. The suffix :desc sorts in
	// descending order.
	Sort []string
}

const (
	defaultCodec   = "best_compression"
	defaultRefresh = time.Second
)

// withDefaults returns the settings with defaults for those that are not set.
func (s IndexSettings) withDefaults() IndexSettings {
	s.Shards = max(s.Shards, 1)
	if s.Refresh == 0 {
		s.Refresh = defaultRefresh
	}
	if s.Codec == "" {
		s.Codec = defaultCodec
	}
	return s
}

// CheckSort returns an error unless an index of a schema can be sorted according to Sort.
func (s IndexSettings) CheckSort(of *schema.Schema) error {
	for _, by := range s.Sort {
		name, order, hasOrder := strings.Cut(by, ":")
		can := name == schema.TimeField
		for _, f := range of.Fields {
			can = can || f.Name == name && isSortable(&f)
		}
		if !can {
			return fmt.Errorf("%q is not a field that an index can be sorted by: use @timestamp, or keywords, numbers, dates or booleans of the schema, such as @timestamp:desc", name)
		}
		if hasOrder && order != "asc" && order != "desc" {
			return fmt.Errorf("%q has the order %q: use %s:asc or %s:desc", by, order, name, name)
		}
	}
	return nil
}

func isSortable(f *schema.Field) bool {
	return f.Options["doc_values"] != false && !schema.IsFullText(f.Type) && f.Type != "ip"
}

// priority returns the priority of the index template and of the policy. It grows with
// the length of the prefix, so that a longer prefix takes precedence over a shorter one
// that matches its indices too (app-web-* over app-*). OpenSearch refuses overlapping
// patterns with the same priority.
func (d Documents) priority() int {
	const base = 100
	return base + len(d.Naming.Prefix)
}

// Templates returns the index templates of the documents and of their dead letters.
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

// Template returns the index template of the documents' indices. Its name is their
// prefix.
func (d Documents) Template() (opensearch.Template, error) {
	t := opensearch.Template{Name: d.Naming.Prefix, Indices: d.Naming.Indices}
	codecs := []string{d.Index.withDefaults().Codec}
	if strings.HasPrefix(d.Index.withDefaults().Codec, "zstd") {
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
	settings := d.Index.withDefaults()
	index := map[string]any{
		"number_of_shards": strconv.Itoa(settings.Shards),
		// Set explicitly, so that an index that was not searched for a while is refreshed
		// too: lines can be found within a second.
		"refresh_interval": inSeconds(settings.Refresh),
		"codec":            codec,
	}
	if settings.Replicas != "" {
		index["number_of_replicas"] = settings.Replicas
	}
	// An index of an older schema may have a field with another type. A value that does
	// not fit is kept in the document, which is still accepted.
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

// inSeconds formats a duration for OpenSearch.
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
		// Only the schema defines fields: any other field is kept in the document, and
		// cannot conflict or use up the field limit.
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
		// One type for all numbers and one for other values, so that they do not
		// conflict.
		mappings["dynamic_templates"] = []any{
			dynamicTemplate("json_strings", "string", keyword),
			dynamicTemplate("json_truths", "boolean", keyword),
			dynamicTemplate("json_longs", "long", map[string]any{"type": "double"}),
			dynamicTemplate("json_doubles", "double", map[string]any{"type": "double"}),
		}
	}
	return mappings
}

func dynamicTemplate(name, kind string, mapping map[string]any) map[string]any {
	return map[string]any{name: map[string]any{"path_match": schema.RestField + ".*", "match_mapping_type": kind, "mapping": mapping}}
}

// property returns a field's definition in the index mapping.
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
