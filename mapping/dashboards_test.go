package mapping

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// savedObject is what Dashboards imports, with the list in it read.
type savedObject struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Attributes struct {
		Title  string `json:"title"`
		Time   string `json:"timeFieldName"`
		Fields string `json:"fields"`
	} `json:"attributes"`
	References []any             `json:"references"`
	Migration  map[string]string `json:"migrationVersion"`
	fields     map[string]dashboardsField
}

func mustIndexPattern(t *testing.T, cfg Config) savedObject {
	t.Helper()
	cfg.Prefix, cfg.Zone = "app", time.UTC
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.IndexPattern()
	if err != nil {
		t.Fatal(err)
	}
	var o savedObject
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil || bytes.ContainsRune(data, '\n') {
		t.Fatalf("%v in %s", err, data)
	}
	var list []dashboardsField
	decoder = json.NewDecoder(bytes.NewReader([]byte(o.Attributes.Fields)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	o.fields = map[string]dashboardsField{}
	for _, f := range list {
		if _, twice := o.fields[f.Name]; twice {
			t.Errorf("%s is listed twice", f.Name)
		}
		o.fields[f.Name] = f
	}
	return o
}

func TestIndexPattern(t *testing.T) {
	f := func(cfg Config, wantTitle string) {
		t.Helper()
		o := mustIndexPattern(t, cfg)
		o.Attributes.Fields = ""
		want := savedObject{Type: "index-pattern", ID: "app", References: []any{}, Migration: map[string]string{"index-pattern": "7.6.0"}, fields: o.fields}
		want.Attributes.Title, want.Attributes.Time = wantTitle, "@timestamp"
		if !reflect.DeepEqual(o, want) {
			t.Errorf("%+v", o)
		}
	}
	f(Config{}, "app-*")
	f(Config{Date: "%Y-%m"}, "app-*")
	f(Config{DataStream: true}, "app")
}

func TestIndexPatternFields(t *testing.T) {
	for _, name := range BuiltIns() {
		schema := mustBuiltIn(t, name)
		listed := mustIndexPattern(t, Config{Schema: schema}).fields
		// Those of each document and each schema.
		if want := len(metaFields) + 4 + len(schema.Fields); len(listed) != want {
			t.Errorf("%s: %d fields are listed, want %d", name, len(listed), want)
		}
		for _, f := range schema.Fields {
			if l := listed[f.Name]; len(l.ESTypes) != 1 || l.ESTypes[0] != f.Type || !l.Searchable {
				t.Errorf("%s: %s is listed as %+v", name, f.Name, l)
			}
		}
	}

	schema, err := ParseSchema([]byte(`
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
	listed := mustIndexPattern(t, Config{Schema: schema}).fields
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

	// What OpenSearch makes of the rest comes later.
	schema, err = ParseSchema([]byte("rest: dynamic"))
	if err != nil {
		t.Fatal(err)
	}
	if o := mustIndexPattern(t, Config{Schema: schema}); len(o.fields) != len(metaFields)+4 {
		t.Errorf("%+v", o.fields)
	}
}
