package assets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"logsluice/mapping/schema"
)

// exported is a saved object with its nested JSON decoded.
type exported struct {
	Type       string
	ID         string
	References []reference
	Attributes struct {
		Title    string
		Columns  []string
		Sort     [][]string
		Fields   within[[]dashboardsField]
		VisState within[visState]
		UIState  within[map[string]any] `json:"uiStateJSON"`
		Panels   within[[]boardPanel]   `json:"panelsJSON"`
		Meta     struct {
			Source within[searchSource] `json:"searchSourceJSON"`
		} `json:"kibanaSavedObjectMeta"`
	}
}

// within is JSON in a string.
type within[T any] struct{ value T }

func (w *within[T]) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &w.value)
}

type visState struct {
	Title  string
	Type   string
	Aggs   []agg
	Params struct {
		Series []struct{ Data struct{ ID string } } `json:"seriesParams"`
	}
}

type boardPanel struct {
	Index  string         `json:"panelIndex"`
	Ref    string         `json:"panelRefName"`
	Config map[string]any `json:"embeddableConfig"`
	Grid   struct {
		X, Y, W, H int
		I          string
	} `json:"gridData"`
}

type searchSource struct {
	Index  string `json:"indexRefName"`
	Query  struct{ Query, Language string }
	Filter []struct {
		Meta struct {
			Index  string `json:"indexRefName"`
			Key    string
			Params struct{ Query string }
		}
		Query struct {
			Phrase map[string]string `json:"match_phrase"`
		}
	}
}

// complaints are the problems of saved objects.
type complaints []string

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// examine checks saved objects against their JSON schema, each other, and the fields of
// their index patterns.
func examine(t *testing.T, prefix string, lines [][]byte) (wrong complaints) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertContent()
	schema, err := compiler.Compile("testdata/savedobject.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	patterns, seen, states := map[string]map[string]dashboardsField{}, map[string]bool{}, map[string]map[string]any{}
	for _, line := range lines {
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil || bytes.ContainsRune(line, '\n') {
			t.Fatalf("%v in %s", err, line)
		}
		if err := schema.Validate(instance); err != nil {
			wrong.add("%.100s: %v", line, err)
			continue
		}
		var o exported
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		name := o.Type + " " + o.ID
		if seen[name] {
			wrong.add("%s occurs twice", name)
		}
		seen[name] = true
		if o.ID != prefix && !strings.HasPrefix(o.ID, prefix+"-") || o.Type != patternType && !strings.HasPrefix(o.Attributes.Title, "["+prefix+"] ") {
			wrong.add("%s (%s) does not have its prefix", name, o.Attributes.Title)
		}
		if o.Type == patternType {
			patterns[o.ID] = map[string]dashboardsField{}
			for _, f := range o.Attributes.Fields.value {
				patterns[o.ID][f.Name] = f
			}
			continue
		}
		wrong = append(wrong, o.references(seen)...)
		if o.Type == dashboardType {
			wrong = append(wrong, o.layout()...)
			for i, p := range o.Attributes.Panels.value {
				if state := states[o.References[i].ID]; len(p.Config)+len(state) > 0 && !reflect.DeepEqual(p.Config, state) {
					wrong.add("%s: panel %s has other colors than its visualization", o.ID, p.Index)
				}
			}
			continue
		}
		wrong = append(wrong, o.fields(patterns[o.References[0].ID])...)
		if o.Type == visualType {
			states[o.ID] = o.Attributes.UIState.value
			wrong = append(wrong, o.aggregations()...)
		}
	}
	return wrong
}

// references checks that references are used and refer to earlier objects.
func (o *exported) references(seen map[string]bool) (wrong complaints) {
	used := map[string]string{} // types by name
	source := o.Attributes.Meta.Source.value
	if source.Index != "" {
		used[source.Index] = patternType
	}
	for _, filter := range source.Filter {
		used[filter.Meta.Index] = patternType
	}
	for _, p := range o.Attributes.Panels.value {
		used[p.Ref] = visualType + searchType
	}
	for _, r := range o.References {
		if !seen[r.Type+" "+r.ID] {
			wrong.add("%s refers to the %s %s, which is not before it", o.ID, r.Type, r.ID)
		}
		if !strings.Contains(used[r.Name], r.Type) {
			wrong.add("%s refers to a %s as %s, but does not use it", o.ID, r.Type, r.Name)
		}
		delete(used, r.Name)
	}
	for name := range used {
		wrong.add("%s has no reference %s", o.ID, name)
	}
	return wrong
}

// layout checks that panels do not overlap or leave holes.
func (o *exported) layout() (wrong complaints) {
	const columns = 48
	cells, area, bottom := map[[2]int]bool{}, 0, 0
	indices := map[string]bool{}
	for _, p := range o.Attributes.Panels.value {
		g := p.Grid
		if g.X+g.W > columns {
			wrong.add("%s: panel %s is beyond the grid", o.ID, p.Index)
		}
		if indices[p.Index] || g.I != p.Index {
			wrong.add("%s: panel %s has a duplicate name", o.ID, p.Index)
		}
		indices[p.Index] = true
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				cells[[2]int{x, y}] = true
			}
		}
		area, bottom = area+g.W*g.H, max(bottom, g.Y+g.H)
	}
	if area > len(cells) {
		wrong.add("%s: panels overlap", o.ID)
	}
	if len(cells) < columns*bottom {
		wrong.add("%s: holes between panels", o.ID)
	}
	return wrong
}

// fields checks that the used fields exist and have suitable types.
func (o *exported) fields(listed map[string]dashboardsField) (wrong complaints) {
	is := func(name, what string, fits func(dashboardsField) bool) {
		if f, isListed := listed[name]; !isListed || !fits(f) {
			wrong.add("%s: the field %q is not suitable to %s: %+v", o.ID, name, what, f)
		}
	}
	queries := func(query string) {
		for _, part := range regexp.MustCompile(`([\w.@]+):(\S)`).FindAllStringSubmatch(query, -1) {
			is(part[1], "search by", func(f dashboardsField) bool {
				return f.Searchable && (f.Type == "number") == (part[2] == "[") && (f.Type == "number" || slices.Equal(f.ESTypes, []string{"keyword"}))
			})
		}
	}
	counted := func(f dashboardsField) bool {
		return f.Aggregatable && !slices.ContainsFunc(f.ESTypes, schema.IsFullText)
	}
	for _, column := range o.Attributes.Columns {
		is(column, "show", func(f dashboardsField) bool { return f.Name[0] != '_' })
	}
	for _, by := range o.Attributes.Sort {
		is(by[0], "sort by", counted)
	}
	source := o.Attributes.Meta.Source.value
	queries(source.Query.Query)
	for _, filter := range source.Filter {
		is(filter.Meta.Key, "filter by", func(f dashboardsField) bool {
			return f.Searchable && filter.Query.Phrase[f.Name] == filter.Meta.Params.Query
		})
	}
	for _, a := range o.Attributes.VisState.value.Aggs {
		field, _ := a.Params["field"].(string)
		of := func(types ...string) func(dashboardsField) bool {
			return func(f dashboardsField) bool { return counted(f) && slices.Contains(types, f.Type) }
		}
		switch a.Type {
		case "date_histogram":
			is(field, "count over time by", of("date"))
		case "terms":
			is(field, "count by", of("string", "number"))
			if a.Params["missingBucket"] == true {
				is(field, "name the lack of", of("string"))
			}
		case "percentiles":
			is(field, "measure", of("number"))
		case "max":
			is(field, "find the most of", of("number", "date"))
		case "filters":
			for _, f := range a.Params["filters"].([]any) {
				queries(f.(map[string]any)["input"].(map[string]any)["query"].(string))
			}
		}
	}
	return wrong
}

// aggregations checks that aggregations refer to each other in the order of their
// nesting.
func (o *exported) aggregations() (wrong complaints) {
	state := o.Attributes.VisState.value
	if state.Title != o.Attributes.Title {
		wrong.add("%s has two titles", o.ID)
	}
	byID := map[string]agg{}
	for _, a := range state.Aggs {
		if byID[a.ID].ID != "" {
			wrong.add("%s has two aggregations %s", o.ID, a.ID)
		}
		byID[a.ID] = a
	}
	for _, a := range state.Aggs {
		if by, isOrdered := a.Params["orderBy"].(string); isOrdered && byID[by].Type != "count" {
			wrong.add("%s: %s cannot be ordered by %q", o.ID, a.ID, by)
		}
	}
	if last := state.Aggs[len(state.Aggs)-1]; state.Type != "table" && last.Type != "date_histogram" {
		wrong.add("%s shows only the largest series of each time", o.ID)
	}
	for _, series := range state.Params.Series {
		if byID[series.Data.ID].Schema != "metric" {
			wrong.add("%s draws %q, which is not a metric", o.ID, series.Data.ID)
		}
	}
	return wrong
}

func savedObjectsOf(t *testing.T, d Documents) [][]byte {
	t.Helper()
	lines, err := completed(t, d).SavedObjects()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// idsOf returns the ids of the visualizations and searches.
func idsOf(t *testing.T, lines [][]byte) string {
	t.Helper()
	var ids []string
	for _, line := range lines {
		var o savedObject
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(err)
		}
		if o.Type == visualType || o.Type == searchType {
			ids = append(ids, strings.TrimPrefix(o.ID, "app-"))
		}
	}
	return strings.Join(ids, " ")
}

func TestSavedObjects_Success(t *testing.T) {
	const letters = " dead-letters-by-reason dead-letter-reasons dead-letters"
	f := func(d Documents, want string) {
		t.Helper()
		lines := savedObjectsOf(t, d)
		for _, complaint := range examine(t, "app", lines) {
			t.Error(complaint)
		}
		if got := idsOf(t, lines); got != strings.TrimSpace(want)+letters {
			t.Errorf("got %s", got)
		}
	}
	const all = "lines-by-level lines-by-group requests-by-status latency top-paths failing-paths lines errors"
	f(Documents{}, all)
	f(Documents{Naming: schema.Naming{DataStream: true}}, all)
	f(Documents{Schema: mustBuiltIn(t, "ecs")}, all)
	f(Documents{Schema: mustBuiltIn(t, "plain")}, "lines-by-group lines")

	of := func(fields ...string) Documents {
		return Documents{Schema: schemaOf(t, "fields:\n  - "+strings.Join(fields, "\n  - "))}
	}
	const (
		level    = "{name: level, type: keyword, paths: l}"
		group    = "{name: log_group, type: keyword, from: log_group}"
		path     = "{name: url.path, type: keyword, paths: p}"
		status   = "{name: status, type: integer, paths: s}"
		duration = "{name: duration_ms, type: double, paths: d}"
	)
	f(Documents{Schema: schemaOf(t, "rest: dynamic")}, "lines")
	f(of(level), "lines-by-level lines errors")
	f(of(level, group), "lines-by-level lines-by-group lines errors")
	f(of(status), "requests-by-status lines errors")
	f(of(path), "top-paths lines")
	f(of(path, duration), "latency top-paths lines")
	f(of(path, status), "requests-by-status top-paths failing-paths lines errors")
	f(of(level, group, status, duration, path), all)

	// Roles are assigned explicitly, whatever the names.
	f(of("{name: severity, type: keyword, paths: l, role: level}", "{name: source, type: keyword, from: log_group, role: log_group}", "{name: code, type: long, paths: c, role: status}",
		"{name: took, type: float, unit: us, paths: t, role: latency}", "{name: route, type: keyword, paths: r, role: path}"), all)
	f(of("{name: severity, type: keyword, paths: l}", "{name: code, type: long, paths: c}"), "lines")

	// A field with an unsuitable type is skipped.
	f(of("{name: level, type: match_only_text, paths: l}"), "lines")
	f(of("{name: level, type: integer, paths: l}"), "lines")
	f(of("{name: level, type: keyword, paths: l, mapping: {doc_values: false}}"), "lines")
	f(of("{name: level, type: keyword, paths: l, mapping: {index: false}}", "{name: log.level, type: keyword, paths: l}"), "lines-by-level lines errors")
	f(of("{name: status, type: keyword, paths: s}"), "lines")
	f(of("{name: duration_ms, type: keyword, paths: s}"), "lines")
	f(of("{name: duration_ms, type: long, unit: us, paths: s}"), "latency lines")
	f(of("{name: error.message, type: long, paths: s}", "{name: msg, type: ip, paths: s}"), "lines")
}

// Columns are in reading order.
func TestSavedObjects_Columns(t *testing.T) {
	f := func(d Documents, search, want string) {
		t.Helper()
		for _, line := range savedObjectsOf(t, d) {
			var o exported
			if err := json.Unmarshal(line, &o); err != nil {
				t.Fatal(err)
			}
			if o.Type == searchType && o.ID == "app-"+search {
				if got := strings.Join(o.Attributes.Columns, " "); got != want || fmt.Sprint(o.Attributes.Sort) != "[[@timestamp desc]]" {
					t.Errorf("%s has %s by %s", search, got, o.Attributes.Sort)
				}
				return
			}
		}
		t.Errorf("%s does not exist", search)
	}
	f(Documents{}, "lines", "level msg message log_group")
	f(Documents{}, "errors", "level status path msg error.message log_group")
	f(Documents{Schema: mustBuiltIn(t, "plain")}, "lines", "message log_group")
	f(Documents{Schema: schemaOf(t, "fields: [{name: level, type: keyword, paths: l}]")}, "errors", "level message")
	f(Documents{}, "dead-letters", "stage error.type error.reason log_group target_index payload_bytes")
}

// Objects of different prefixes have different ids.
func TestSavedObjects_Ids(t *testing.T) {
	byType := map[string][]string{}
	for _, line := range savedObjectsOf(t, Documents{}) {
		var o savedObject
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(err)
		}
		if o.Type != patternType { // a prefix's index pattern has the prefix as its id
			byType[o.Type] = append(byType[o.Type], strings.TrimPrefix(o.ID, "app"))
		}
	}
	for kind, names := range byType {
		for _, a := range names {
			for _, b := range names {
				if a != b && strings.HasSuffix(a, b) {
					t.Errorf("the %s %s of the prefix %q belongs to another prefix", kind, b, "app"+strings.TrimSuffix(a, b))
				}
			}
		}
	}
}

// examine detects each kind of problem.
func TestSavedObjects_Failure(t *testing.T) {
	good := savedObjectsOf(t, Documents{})
	f := func(id, old, replacement, want string) {
		t.Helper()
		lines, changed := slices.Clone(good), 0
		for i, line := range lines {
			if bytes.Contains(line, []byte(`"id":"app`+id+`","attributes"`)) && bytes.Contains(line, []byte(old)) {
				lines[i], changed = bytes.Replace(line, []byte(old), []byte(replacement), 1), changed+1
			}
		}
		wrong := examine(t, "app", lines)
		if changed == 0 || !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s, %s: %s: %d lines changed, got %q", id, old, replacement, changed, wrong)
		}
	}
	// The format.
	f("-latency", `\"percents\"`, `\"percentiles\"`, "additional properties 'percentiles'")
	f("-latency", `\"type\":\"percentiles\"`, `\"type\":\"percentile\"`, "value must be one of")
	f("-latency", `\"enabled\":true`, `\"enabled\":1`, "value must be true")
	f("-latency", `"visState":"{`, `"visState":"{{`, "mediatype")
	f("-top-paths", `\"schema\":\"bucket\"`, `\"schema\":\"segment\"`, "value must be one of 'metric', 'bucket'")
	f("-lines-by-level", `\"schema\":\"segment\"`, `\"schema\":\"group\"`, "contains")
	f("-lines", `"columns"`, `"fields"`, "missing property 'columns'")
	f("-lines", `"7.9.3"`, `"7.17.0"`, "migrationVersion")
	f("-lines", `[["@timestamp","desc"]]`, `["@timestamp","desc"]`, "sort")
	f("-operations", `\"i\":\"0\"`, `\"j\":\"0\"`, "missing property 'i'")
	f("-operations", `"version":1`, `"version":1,"more":1`, "additional properties 'more'")
	f("-dead-letter", `"sourceFilters":"[`, `"sourceFilters":"`, "mediatype")
	// The references.
	f("-lines", `"references":[{"name":"kibanaSavedObjectMeta.searchSourceJSON.index","type":"index-pattern","id":"app"}`, `"references":[{"name":"kibanaSavedObjectMeta.searchSourceJSON.index","type":"index-pattern","id":"other"}`, "refers to the index-pattern other")
	f("-latency", `filter[0].meta.index","type"`, `filter[1].meta.index","type"`, "but does not use it")
	f("-latency", `filter[0].meta.index","type"`, `filter[1].meta.index","type"`, "has no reference")
	f("-operations", `"type":"visualization","id":"app-latency"`, `"type":"search","id":"app-latency"`, "refers to the search app-latency")
	f("-operations", `\"panelRefName\":\"panel_3\"`, `\"panelRefName\":\"panel_33\"`, "has no reference panel_33")
	// Names.
	f("-errors", `"id":"app-errors"`, `"id":"app-lines"`, "search app-lines occurs twice")
	f("-errors", `"title":"[app] `, `"title":"`, "does not have its prefix")
	f("-errors", `"id":"app-errors"`, `"id":"errors"`, "does not have its prefix")
	f("-latency", `\"title\":\"[app] `, `\"title\":\"[app]`, "two titles")
	// The layout.
	f("-operations", `\"x\":24,\"y\":0`, `\"x\":20,\"y\":0`, "panels overlap")
	f("-operations", `\"x\":24,\"y\":0`, `\"x\":30,\"y\":0`, "beyond the grid")
	f("-operations", `\"w\":24,\"x\":24,\"y\":0`, `\"w\":20,\"x\":24,\"y\":0`, "holes")
	f("-operations", `\"panelIndex\":\"1\"`, `\"panelIndex\":\"0\"`, "has a duplicate name")
	f("-operations", `\"info\":\"#6092C0\"`, `\"info\":\"#E7664C\"`, "has other colors")
	// The fields.
	f("-lines", `"msg"`, `"text"`, `the field "text" is not suitable to show`)
	f("-lines", `"@timestamp"`, `"message"`, `the field "message" is not suitable to sort by`)
	f("-errors", `level:(`, `severity:(`, `the field "severity" is not suitable to search by`)
	f("-errors", `status:[`, `path:[`, `the field "path" is not suitable to search by`)
	f("-errors", `level:(`, `msg:(`, `the field "msg" is not suitable to search by`)
	f("-errors", `\"match_phrase\":{\"_index\"`, `\"match_phrase\":{\"index\"`, `the field "_index" is not suitable to filter by`)
	f("-lines-by-level", `\"field\":\"level\"`, `\"field\":\"msg\"`, `the field "msg" is not suitable to count by`)
	f("-lines-by-level", `\"field\":\"level\"`, `\"field\":\"trace_id\"`, `the field "trace_id" is not suitable to count by`)
	f("-lines-by-level", `\"field\":\"level\"`, `\"field\":\"status\"`, `the field "status" is not suitable to name the lack of`)
	f("-lines-by-level", `\"field\":\"@timestamp\"`, `\"field\":\"level\"`, `the field "level" is not suitable to count over time by`)
	f("-latency", `\"field\":\"duration_ms\"`, `\"field\":\"path\"`, `the field "path" is not suitable to measure`)
	f("-requests-by-status", `status:[`, `stat:[`, `the field "stat" is not suitable to search by`)
	f("-dead-letter-reasons", `\"field\":\"@timestamp\"`, `\"field\":\"stage\"`, `the field "stage" is not suitable to find the most of`)
	f("-dead-letter-reasons", `\"field\":\"error.type\"`, `\"field\":\"error.reason\"`, `the field "error.reason" is not suitable to count by`)
	// The aggregations.
	f("-lines-by-level", `\"id\":\"3\"`, `\"id\":\"2\"`, "two aggregations 2")
	f("-lines-by-level", `\"orderBy\":\"1\"`, `\"orderBy\":\"2\"`, "cannot be ordered by")
	f("-latency", `\"data\":{\"id\":\"1\"`, `\"data\":{\"id\":\"2\"`, "is not a metric")
}
