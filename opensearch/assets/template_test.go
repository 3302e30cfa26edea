package assets

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
)

// bodiesOf returns the bodies of the documents' template.
func bodiesOf(t *testing.T, d Documents) []map[string]any {
	t.Helper()
	template, err := completed(t, d).Template()
	if err != nil || template.Name != "app" {
		t.Fatal(template.Name, err)
	}
	var bodies []map[string]any
	for _, text := range template.Bodies {
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// at returns the value at a path of a template.
func at(body map[string]any, path string) any {
	var v any = body
	for part := range strings.SplitSeq(path, "/") {
		object, _ := v.(map[string]any)
		v = object[part]
	}
	return v
}

func TestTemplate(t *testing.T) {
	s := schemaOf(t, `
name: mine
version: 7
fields:
  - {name: a.b.text, type: match_only_text, paths: [x]}
  - {name: a.b.id, type: keyword, ignore_above: 50, paths: [y], mapping: {doc_values: false}}
  - {name: a.n, type: scaled_float, paths: [z], mapping: {scaling_factor: 100}}
`)
	f := func(d Documents, want map[string]string) {
		t.Helper()
		bodies := bodiesOf(t, d)
		for path, value := range want {
			var values []string
			for _, body := range bodies {
				text, _ := json.Marshal(at(body, path))
				values = append(values, string(text))
			}
			if got := strings.Join(slices.Compact(values), " "); got != value {
				t.Errorf("%s: %s, want %s", path, got, value)
			}
		}
	}
	const mappings, index = "template/mappings/", "template/settings/index/"
	f(Documents{Schema: s}, map[string]string{
		"index_patterns": `["app-*"]`, "priority": "103", "version": "7", "data_stream": "null", "_meta/schema": `"mine"`, "_meta/schema_hash": `"` + s.Hash + `"`,
		mappings + "dynamic": `"false"`, mappings + "_meta/schema_hash": `"` + s.Hash + `"`,
		mappings + "properties/@timestamp":                     `{"type":"date"}`,
		mappings + "properties/message":                        `{"type":"match_only_text"} {"type":"text"}`,
		mappings + "properties/refused/properties/type/type":   `"keyword"`,
		mappings + "properties/a/properties/b/properties/text": `{"type":"match_only_text"} {"type":"text"}`,
		mappings + "properties/a/properties/b/properties/id":   `{"doc_values":false,"ignore_above":50,"type":"keyword"}`,
		mappings + "properties/a/properties/n":                 `{"scaling_factor":100,"type":"scaled_float"}`,
		mappings + "properties/json":                           "null",
		index + "number_of_shards":                             `"1"`,
		index + "number_of_replicas":                           "null",
		index + "refresh_interval":                             `"1s"`,
		index + "codec":                                        `"best_compression"`,
		index + "sort":                                         "null",
		index + "mapping":                                      `{"ignore_malformed":"true"}`,
	})
	f(Documents{Naming: schema.Naming{DataStream: true}, Schema: s, Index: IndexSettings{Shards: 3, Replicas: "2", Refresh: 1500 * time.Millisecond, Codec: "zstd", Sort: []string{"a.n", "@timestamp:desc"}}}, map[string]string{
		"index_patterns": `["app"]`, "data_stream": `{"timestamp_field":{"name":"@timestamp"}}`,
		index + "number_of_shards": `"3"`, index + "number_of_replicas": `"2"`, index + "refresh_interval": `"1500ms"`, index + "codec": `"zstd" "best_compression"`,
		index + "sort": `{"field":["a.n","@timestamp"],"order":["asc","desc"]}`,
	})
	flat, dynamic := *s, *s
	flat.Rest, dynamic.Rest = schema.RestFlat, schema.RestDynamic
	flat.Message, dynamic.RestFields = schema.FullText, 50
	f(Documents{Schema: &flat}, map[string]string{mappings + "properties/json": `{"type":"flat_object"}`, mappings + "properties/message": `{"type":"text"}`})
	f(Documents{Schema: &dynamic}, map[string]string{
		mappings + "properties/json": `{"dynamic":"true","type":"object"}`, mappings + "dynamic": `"false"`, index + "mapping/total_fields/limit": `"76"`,
	})
}

func TestCheckSort(t *testing.T) {
	s := schemaOf(t, "fields:\n  - {name: a, type: keyword, paths: [a]}\n  - {name: b, type: keyword, paths: [b], mapping: {doc_values: false}}\n  - {name: c, type: text, paths: [c]}")
	f := func(by, want string) {
		t.Helper()
		switch err := (IndexSettings{Sort: []string{by}}).CheckSort(s); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", by, err)
		}
	}
	f("a", "")
	f("a:desc", "")
	f("@timestamp:asc", "")
	f("a:down", "use a:asc or a:desc")
	f("a:", "use a:asc or a:desc")
	f("@timestamp desc", "is not a field")
	f("", "is not a field")
	f("b", "is not a field that an index can be sorted by")
	f("c", "is not a field that an index can be sorted by")
	f("d", "is not a field that an index can be sorted by")
}

// The template has exactly the fields that documents can have, whatever the schema.
func TestTemplateFollowsSchema(t *testing.T) {
	for _, name := range schema.BuiltIns() {
		s := mustBuiltIn(t, name)
		names := map[string]bool{schema.TimeField: true, schema.MessageField: true, schema.RefusedField + ".type": true, schema.RefusedField + ".reason": true}
		for _, f := range s.Fields {
			names[f.Name] = true
		}
		var leaves func(path string, properties any)
		leaves = func(path string, properties any) {
			for name, field := range properties.(map[string]any) {
				if inner, has := field.(map[string]any)["properties"]; has {
					leaves(path+name+".", inner)
				} else if !names[path+name] {
					t.Errorf("%s: %s is in the template only", s.Name, path+name)
				} else {
					delete(names, path+name)
				}
			}
		}
		leaves("", at(bodiesOf(t, Documents{Schema: s})[0], "template/mappings/properties"))
		if len(names) > 0 {
			t.Errorf("%s: not in the template: %v", name, names)
		}
	}
}

// A longer prefix takes precedence over a shorter one that matches its indices.
func TestTemplatePriority(t *testing.T) {
	priority := func(prefix string) float64 {
		template, err := Documents{Naming: schema.Naming{Prefix: prefix}, Schema: mustBuiltIn(t, "plain")}.Template()
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Priority float64 }
		if err := json.Unmarshal(template.Bodies[0], &body); err != nil {
			t.Fatal(err)
		}
		return body.Priority
	}
	if short, long := priority("app"), priority("app-web"); short >= long {
		t.Errorf("priorities %v and %v", short, long)
	}
}
