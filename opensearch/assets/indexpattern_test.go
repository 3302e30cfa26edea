package assets

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
)

func schemaOf(t testing.TB, yaml string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustBuiltIn(t testing.TB, name string) *schema.Schema {
	t.Helper()
	s, err := schema.BuiltIn(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// completed returns documents with defaults: the prefix app, a timezone and the default
// schema.
func completed(t *testing.T, d Documents) Documents {
	t.Helper()
	d.Naming.Prefix, d.Naming.Zone = "app", time.UTC
	if d.Schema == nil {
		d.Schema = mustBuiltIn(t, schema.Default)
	}
	if err := d.Naming.Check(); err != nil {
		t.Fatal(err)
	}
	return d
}

// listed returns the fields in an index pattern.
func listed(t *testing.T, pattern savedObject) map[string]dashboardsField {
	t.Helper()
	text, _ := pattern.Attributes["fields"].(string)
	var list []dashboardsField
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	fields := map[string]dashboardsField{}
	for _, f := range list {
		if _, twice := fields[f.Name]; twice {
			t.Errorf("%s is listed twice", f.Name)
		}
		fields[f.Name] = f
	}
	return fields
}

func TestIndexPattern(t *testing.T) {
	f := func(d Documents, wantTitle, wantFormats string) {
		t.Helper()
		pattern := completed(t, d).indexPattern()
		formats, _ := pattern.Attributes["fieldFormatMap"].(string)
		if pattern.ID != "app" || pattern.Attributes["title"] != wantTitle || pattern.Attributes["timeFieldName"] != "@timestamp" || formats != wantFormats {
			t.Errorf("%+v", pattern)
		}
	}
	f(Documents{}, "app-*", "")
	f(Documents{Naming: schema.Naming{Date: "%Y-%m"}}, "app-*", "")
	f(Documents{Naming: schema.Naming{DataStream: true}}, "app", "")
	format := func(field, input string) string {
		return `"` + field + `":{"id":"duration","params":{` + input + `"outputFormat":"asMilliseconds","outputPrecision":1}}`
	}
	f(Documents{Schema: mustBuiltIn(t, "ecs")}, "app-*", "{"+format("event.duration", `"inputFormat":"nanoseconds",`)+"}")
	f(Documents{Schema: schemaOf(t, `
fields:
  - {name: a, type: double, unit: s, paths: a}
  - {name: b, type: long, unit: us, paths: b}
  - {name: c, type: long, unit: ms, paths: c}
  - {name: d, type: long, paths: d}
`)}, "app-*", "{"+format("a", "")+","+format("b", `"inputFormat":"microseconds",`)+"}")
}

// The index pattern of dead letters has the fields that package deadletter writes.
func TestLetterIndexPattern(t *testing.T) {
	d := completed(t, Documents{})
	letters, err := deadletter.Template("app")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Patterns []string `json:"index_patterns"`
		Template struct {
			Mappings struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(letters.Bodies[0], &template); err != nil {
		t.Fatal(err)
	}
	pattern := d.letterIndexPattern()
	if index := deadletter.Index("app"); pattern.ID != index || pattern.Attributes["title"] != index || !reflect.DeepEqual(template.Patterns, []string{index}) {
		t.Errorf("%+v of %s and %s", pattern, index, template.Patterns)
	}
	want := map[string]dashboardsField{}
	for _, f := range appendFields(metaFields, "", template.Template.Mappings.Properties) {
		want[f.Name] = f
	}
	if got := listed(t, pattern); !reflect.DeepEqual(got, want) {
		t.Errorf("listed %+v,\nwant %+v", got, want)
	}
	if hidden := pattern.Attributes["sourceFilters"]; hidden != `[{"value":"payload"}]` || want["payload"].Name == "" {
		t.Errorf("omitted %v", hidden)
	}
}

func TestIndexPatternFields(t *testing.T) {
	for _, name := range schema.BuiltIns() {
		s := mustBuiltIn(t, name)
		listed := listed(t, completed(t, Documents{Schema: s}).indexPattern())
		// Fields of each document and of each schema.
		if want := len(metaFields) + 4 + len(s.Fields); len(listed) != want {
			t.Errorf("%s: %d fields are listed, want %d", name, len(listed), want)
		}
		for _, f := range s.Fields {
			if l := listed[f.Name]; len(l.ESTypes) != 1 || l.ESTypes[0] != f.Type || !l.Searchable {
				t.Errorf("%s: %s is listed as %+v", name, f.Name, l)
			}
		}
	}

	s, err := schema.Parse([]byte(`
rest: flat_object
fields:
  - {name: a.k, type: keyword, paths: k, mapping: {fields: {words: {type: text}}}}
  - {name: stored, type: keyword, paths: s, mapping: {index: false, doc_values: false}}
  - {name: n, type: scaled_float, paths: n, mapping: {scaling_factor: 10, index: false}}
  - {name: ms, type: long, unit: ms, paths: ms, mapping: {doc_values: false}}
  - {name: text, type: text, paths: t, mapping: {fielddata: true}}
  - {name: at, type: date, paths: at}
  - {name: ip, type: ip, paths: ip}
  - {name: yes, type: boolean, paths: b}
`))
	if err != nil {
		t.Fatal(err)
	}
	listed := listed(t, completed(t, Documents{Schema: s}).indexPattern())
	f := func(name, kind, esType string, searchable, aggregatable, docValues bool) {
		t.Helper()
		want := dashboardsField{Name: name, Type: kind, ESTypes: []string{esType}, Searchable: searchable, Aggregatable: aggregatable, DocValues: docValues}
		got := listed[name]
		got.SubType = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is listed as %+v", name, got)
		}
	}
	f("@timestamp", "date", "date", true, true, true)
	f("message", "string", "match_only_text", true, false, false)
	f("refused.type", "string", "keyword", true, true, true)
	f("refused.reason", "string", "text", true, false, false)
	f("a.k", "string", "keyword", true, true, true)
	f("a.k.words", "string", "text", true, false, false)
	f("stored", "string", "keyword", false, false, false)
	f("n", "number", "scaled_float", false, true, true)
	f("ms", "number", "long", true, false, false)
	f("text", "string", "text", true, true, false)
	f("at", "date", "date", true, true, true)
	f("ip", "ip", "ip", true, true, true)
	f("yes", "boolean", "boolean", true, true, true)
	f("json", "string", "flat_object", true, false, false)
	if sub := listed["a.k.words"].SubType; sub == nil || sub.Multi.Parent != "a.k" || listed["a.k"].SubType != nil {
		t.Errorf("a.k.words is listed as %+v", listed["a.k.words"])
	}
	for _, name := range []string{"_id", "_index", "_score", "_source", "_type"} {
		if listed[name].Type == "" {
			t.Errorf("%s is not listed", name)
		}
	}

	// Fields that OpenSearch adds for other members are not listed.
	s, err = schema.Parse([]byte("rest: dynamic"))
	if err != nil {
		t.Fatal(err)
	}
	if o := completed(t, Documents{Schema: s}).indexPattern(); strings.Count(o.Attributes["fields"].(string), `"name":`) != len(metaFields)+4 {
		t.Errorf("%+v", o.Attributes["fields"])
	}
}
