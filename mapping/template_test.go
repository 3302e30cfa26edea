package mapping

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/subscription"
)

// bodiesOf are the bodies of a mapper's template, which are all well formed.
func bodiesOf(t *testing.T, cfg Config) []map[string]any {
	t.Helper()
	cfg.Prefix, cfg.Zone = "app", mustZone(t, "UTC")
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	template, err := m.Template()
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

// at is what stands at a path of a template.
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
	f := func(cfg Config, want map[string]string) {
		t.Helper()
		bodies := bodiesOf(t, cfg)
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
	f(Config{Schema: s}, map[string]string{
		"index_patterns": `["app-*"]`, "priority": "103", "version": "7", "data_stream": "null", "_meta/schema": `"mine"`, "_meta/schema_hash": `"` + s.hash + `"`,
		mappings + "dynamic": `"false"`, mappings + "_meta/schema_hash": `"` + s.hash + `"`,
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
	f(Config{Schema: s, DataStream: true, Index: IndexSettings{Shards: 3, Replicas: "2", Refresh: 1500 * time.Millisecond, Codec: "zstd", Sort: []string{"a.n", "@timestamp:desc"}}}, map[string]string{
		"index_patterns": `["app"]`, "data_stream": `{"timestamp_field":{"name":"@timestamp"}}`,
		index + "number_of_shards": `"3"`, index + "number_of_replicas": `"2"`, index + "refresh_interval": `"1500ms"`, index + "codec": `"zstd" "best_compression"`,
		index + "sort": `{"field":["a.n","@timestamp"],"order":["asc","desc"]}`,
	})
	flat, dynamic := *s, *s
	flat.rest, dynamic.rest = restFlat, restDynamic
	flat.message, dynamic.most = fullText, 50
	f(Config{Schema: &flat}, map[string]string{mappings + "properties/json": `{"type":"flat_object"}`, mappings + "properties/message": `{"type":"text"}`})
	f(Config{Schema: &dynamic}, map[string]string{
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
	f("a:down", "give a:asc or a:desc")
	f("a:", "give a:asc or a:desc")
	f("@timestamp desc", "is not a field")
	f("", "is not a field")
	f("b", "is not a field that an index can be sorted by")
	f("c", "is not a field that an index can be sorted by")
	f("d", "is not a field that an index can be sorted by")
}

// Each field of a document is in the template, and the other way round, whatever
// the schema.
func TestTemplateFollowsSchema(t *testing.T) {
	for _, name := range BuiltIns() {
		s := mustBuiltIn(t, name)
		names := map[string]bool{timeField: true, messageField: true, refusedField + ".type": true, refusedField + ".reason": true}
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
		leaves("", at(bodiesOf(t, Config{Schema: s})[0], "template/mappings/properties"))
		if len(names) > 0 {
			t.Errorf("%s: not in the template: %v", name, names)
		}
	}
}

// A longer prefix wins over a shorter one that matches its indices.
func TestTemplatePriority(t *testing.T) {
	priority := func(prefix string) float64 {
		template, err := newMapper(t, prefix, "UTC").Template()
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

func TestIndexDate(t *testing.T) {
	f := func(date, want string) {
		t.Helper()
		m, err := New(Config{Prefix: "app", Date: date, Zone: mustZone(t, "Asia/Kathmandu")})
		if err != nil {
			t.Fatal(err)
		}
		var index struct {
			Create struct {
				Index string `json:"_index"`
			}
		}
		when := time.Date(2021, 1, 2, 18, 30, 0, 0, time.UTC) // the 3rd there, at 0:15
		e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Timestamp: when.UnixMilli(), Message: literalOf("x")}}}
		action, _, _ := strings.Cut(string(m.AppendAll(nil, e)), "\n")
		if err := json.Unmarshal([]byte(action), &index); err != nil || index.Create.Index != want {
			t.Errorf("%s: %s, want %s, %v", date, index.Create.Index, want, err)
		}
		if names := m.Indices(when); names[len(names)-1] != want {
			t.Errorf("%s: %v", date, names)
		}
	}
	f("", "app-2021-01-03")
	f("%Y.%m.%d", "app-2021.01.03")
	f("%Y-%m-%d-%H", "app-2021-01-03-00")
	f("%G-w%V", "app-2020-w53")
	f("%Y-%m", "app-2021-01")
	f("%Y.%j", "app-2021.003")
	f("%Y", "app-2021")
}

func TestCheckDate_Failure(t *testing.T) {
	f := func(date, want string) {
		t.Helper()
		if err := CheckDate(date); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", date, err)
		}
	}
	f("", "is empty")
	f("x", "does not identify a day, month, hour or week")
	f("%d", "does not identify a day, month, hour or week")
	f("%Y-%d", "does not identify a day, month, hour or week")
	f("%Y-%m-%H", "does not identify a day, month, hour or week")
	f("%Y-%V", "does not identify a day, month, hour or week")
	f("%G-%m", "does not identify a day, month, hour or week")
	f("%Y-%b", `has "%b"`)
	f("%Y%", "has a % without a letter")
	f("%", "has a % without a letter: give a pattern such as %Y-%m-%d")
	f("%F", `has "%F", which is not supported: give %Y-%m-%d`)
	f("%Y-%B-%d", `has "%B", which is not supported: give %Y-%m-%d`)
	f("%y.%m", `has "%y", which is not supported: give %Y.%m`)
	f("%Y-%q", `has "%q": give %Y, %m, %d, %H, %j, or`)
	f("%G-W%V", "has uppercase letters: give %G-w%V")
	f("%Y-MM-DD", "is not a strftime pattern: give %Y-%m-%d")
	f("yyyy.MM.dd'T'HH", "is not a strftime pattern: give %Y.%m.%d-%H")
	f("%Y-%m-%d-", "has a hyphen at an end, where one stands already: give %Y-%m-%d")
	f("-%Y-%m-%d", "give %Y-%m-%d")
	f("%Y-W", "uppercase")
	f("%Y/%m", "contains '/'")
	f("YYYY-MM-DD", "is not a strftime pattern: give %Y-%m-%d")
	f("yyyy.MM.dd", "is not a strftime pattern: give %Y.%m.%d")
	f("yyyy-MM-dd-HH", "is not a strftime pattern: give %Y-%m-%d-%H")
	f("2006-01-02", "is not a strftime pattern: give %Y-%m-%d")
	f("YYYY", "is not a strftime pattern: give %Y")
	f("YYYY/MM", "uppercase")
	f("%yyyy", `has "%y"`)
	f("%Y"+strings.Repeat("x", 50), "longer")
}

func TestNext(t *testing.T) {
	f := func(date, zone, want string) {
		t.Helper()
		m, err := New(Config{Prefix: "app", Date: date, Zone: mustZone(t, zone)})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Next(time.Date(2026, 12, 31, 14, 59, 59, 0, time.UTC)); got != want {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
	}
	f("%Y-%m-%d", "UTC", "app-2027-01-01")
	f("%Y-%m-%d", "Asia/Tokyo", "app-2027-01-01")
	f("%Y-%m-%d-%H", "UTC", "app-2026-12-31-15")
	f("%G-w%V", "UTC", "app-2027-w01")
	f("%Y-%m", "UTC", "app-2027-01")
	f("%Y", "UTC", "app-2027")
}

func TestDataStream(t *testing.T) {
	m, err := New(Config{Prefix: "app", DataStream: true, Zone: mustZone(t, "UTC")})
	if err != nil {
		t.Fatal(err)
	}
	e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Message: literalOf("x")}}}
	if got := string(m.AppendAll(nil, e)); !strings.HasPrefix(got, `{"create":{"_index":"app","_id":"1"}}`) {
		t.Error(got)
	}
	if names := m.Indices(time.Now()); len(names) != 1 || names[0] != "app" || m.Next(time.Now()) != "" {
		t.Error(names)
	}
	if m, err = New(Config{Prefix: "app", DataStream: true, NoIDs: true, Zone: mustZone(t, "UTC")}); err != nil {
		t.Fatal(err)
	}
	if got := string(m.AppendAll(nil, e)); !strings.HasPrefix(got, `{"create":{"_index":"app"}}`) {
		t.Error(got)
	}
}

// The indices of documents are told from others with their prefix.
func TestOwns(t *testing.T) {
	f := func(c Config, index string, want bool) {
		t.Helper()
		c.Zone = mustZone(t, "UTC")
		m, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if m.Owns(index) != want {
			t.Errorf("%s of %s-%s: %t", index, c.Prefix, c.Date, !want)
		}
	}
	daily := Config{Prefix: "app1"}
	f(daily, "app1-2019-12-31", true)
	f(daily, "app1-outside", true)
	f(daily, "app1-dead-letter", false)
	f(daily, "app1-doctor-abc", false)
	f(daily, "app1-web-2019-12-31", false)
	f(daily, "app2-2019-12-31", false)
	f(daily, "app1-2019-12", false)
	f(Config{Prefix: "app", Date: "%G-w%V"}, "app-2020-w53", true)
	f(Config{Prefix: "app", Date: "%Y.%m.%d.%H"}, "app-2020.01.02.03", true)
	f(Config{Prefix: "app", Date: "%Y.%m.%d.%H"}, "app-2020-01-02-03", false)
	f(Config{Prefix: "app", DataStream: true}, "app", true)
}
