package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/loggen"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// savedSearch is a saved search or a visualization, as `assets dashboards` prints it.
type savedSearch struct {
	ID         string
	index      string   // index pattern it searches
	exclude    []string // fields of each document left out of the results
	aggs       []savedAgg
	Attributes struct {
		Title         string
		TimeField     string `json:"timeFieldName"`
		SourceFilters string
		VisState      string
		Sort          [][2]string
		Meta          struct {
			SearchSourceJSON string
		} `json:"kibanaSavedObjectMeta"`
	}
	source struct {
		Query  savedQuery
		Filter []struct {
			Meta  struct{ Negate bool }
			Query json.RawMessage
		}
		HighlightAll bool
	}
}

type savedQuery struct{ Query, Language string }

type savedAgg struct {
	ID, Type, Schema string
	Params           struct {
		Field         string
		Size          int
		Order         string
		MissingBucket bool
		Percents      []float64
		Filters       []struct {
			Label string
			Input savedQuery
		}
	}
}

// savedSearches returns the searches and visualizations that `assets dashboards` prints with
// settings, by name without the prefix.
func (c *cluster) savedSearches(settings ...string) map[string]savedSearch {
	c.t.Helper()
	patterns, all := map[string]savedSearch{}, map[string]savedSearch{}
	for line := range strings.Lines(asset(c.t, append([]string{"dashboards", "--index-prefix=" + c.prefix}, settings...)...)) {
		var o struct {
			savedSearch
			Type       string
			References []struct{ Type, ID string }
		}
		must := func(err error) {
			if err != nil {
				c.t.Fatalf("%v in %s", err, line)
			}
		}
		must(json.Unmarshal([]byte(line), &o))
		switch o.Type {
		case "index-pattern":
			o.index = o.Attributes.Title
			if o.Attributes.SourceFilters != "" {
				var filters []struct{ Value string }
				must(json.Unmarshal([]byte(o.Attributes.SourceFilters), &filters))
				for _, f := range filters {
					o.exclude = append(o.exclude, f.Value)
				}
			}
			patterns[o.ID] = o.savedSearch
		case "search", "visualization":
			must(json.Unmarshal([]byte(o.Attributes.Meta.SearchSourceJSON), &o.source))
			if o.Attributes.VisState != "" {
				var state struct{ Aggs []savedAgg }
				must(json.Unmarshal([]byte(o.Attributes.VisState), &state))
				o.aggs = state.Aggs
			}
			pattern := patterns[o.References[0].ID]
			o.index, o.exclude = pattern.index, pattern.exclude
			all[strings.TrimPrefix(o.ID, c.prefix+"-")] = o.savedSearch
		}
	}
	return all
}

type object = map[string]any

// dsl returns the query as Dashboards sends it.
// See its src/plugins/data/common/opensearch_query/opensearch_query/from_lucene.ts.
func (q savedQuery) dsl(t *testing.T) object {
	switch {
	case q.Query == "":
		return object{"match_all": object{}}
	case q.Language != "lucene":
		t.Fatalf("a query in %s, which this test cannot translate: %s", q.Language, q.Query)
	}
	return object{"query_string": object{"query": q.Query, "analyze_wildcard": true, "time_zone": "UTC"}}
}

// interval is the interval that these tests use for "auto" in date histograms.
const interval = 30 * time.Minute

// request returns the body as Dashboards sends it: bucket aggregations nested in their order,
// and the metrics in the innermost.
// See its src/plugins/data/common/search/aggs/agg_configs.ts, search_source.ts.
func (s savedSearch) request(t *testing.T, from, to time.Time) object {
	filter := []any{object{"range": object{"@timestamp": object{"gte": from, "lte": to, "format": "strict_date_optional_time"}}}}
	mustNot := []any{}
	for _, f := range s.source.Filter {
		if f.Meta.Negate {
			mustNot = append(mustNot, f.Query)
		} else {
			filter = append(filter, f.Query)
		}
	}
	body := object{
		"size": 0, "track_total_hits": true,
		"query": object{"bool": object{"must": []any{s.source.Query.dsl(t)}, "filter": filter, "must_not": mustNot, "should": []any{}}},
	}
	if s.aggs == nil {
		sort := []any{}
		for _, by := range s.Attributes.Sort {
			sort = append(sort, object{by[0]: object{"order": by[1], "unmapped_type": "boolean"}})
		}
		body["size"], body["version"], body["sort"], body["_source"] = 500, true, sort, object{"excludes": append([]string{}, s.exclude...)}
		body["docvalue_fields"], body["stored_fields"] = []any{object{"field": "@timestamp", "format": "date_time"}}, []string{"*"}
		if s.source.HighlightAll {
			body["highlight"] = object{"pre_tags": []string{"<"}, "post_tags": []string{">"}, "fields": object{"*": object{}}, "fragment_size": math.MaxInt32}
		}
		return body
	}
	buckets, metrics := s.split()
	inner := body
	for _, a := range buckets {
		next := object{}
		switch p := a.Params; a.Type {
		case "date_histogram":
			next["date_histogram"] = object{"field": p.Field, "fixed_interval": "30m", "time_zone": "UTC", "min_doc_count": 1}
		case "terms":
			terms := object{"field": p.Field, "size": p.Size, "order": object{"_count": p.Order}}
			if p.MissingBucket {
				terms["missing"] = "__missing__"
			}
			next["terms"] = terms
		case "filters":
			named := object{}
			for _, f := range p.Filters {
				named[f.Label] = object{"bool": object{"must": []any{f.Input.dsl(t)}, "filter": []any{}, "should": []any{}, "must_not": []any{}}}
			}
			next["filters"] = object{"filters": named}
		default:
			t.Fatalf("%s: unknown bucket type %q", s.ID, a.Type)
		}
		inner["aggs"] = object{a.ID: next}
		inner = next
	}
	metricAggs := object{}
	for _, a := range metrics {
		switch a.Type {
		case "count":
		case "max":
			metricAggs[a.ID] = object{"max": object{"field": a.Params.Field}}
		case "percentiles":
			metricAggs[a.ID] = object{"percentiles": object{"field": a.Params.Field, "percents": a.Params.Percents, "keyed": false}}
		default:
			t.Fatalf("%s: unknown metric type %q", s.ID, a.Type)
		}
	}
	if len(metricAggs) > 0 {
		inner["aggs"] = metricAggs
	}
	return body
}

// split returns the bucket aggregations and the metrics.
func (s savedSearch) split() (buckets, metrics []savedAgg) {
	for _, a := range s.aggs {
		if a.Schema == "metric" {
			metrics = append(metrics, a)
		} else {
			buckets = append(buckets, a)
		}
	}
	return buckets, metrics
}

// row is a row of a table, or a point of a chart.
type row struct {
	keys     []string
	count    int
	values   map[float64]float64 // percentiles by percent
	greatest float64             // of a max metric
}

// searchResult is a response to a search.
type searchResult struct {
	Hits struct {
		Total struct{ Value int }
		Hits  []struct {
			Index     string                     `json:"_index"`
			ID        string                     `json:"_id"`
			Source    map[string]json.RawMessage `json:"_source"`
			Highlight map[string][]string
		}
	}
	Aggregations map[string]json.RawMessage
}

// shown returns the hits and rows that Dashboards would show for all time.
func (c *cluster) shown(s savedSearch) (result searchResult, rows []row) {
	c.t.Helper()
	// Dead letters have the time of the test, not that of the events.
	body, err := json.Marshal(s.request(c.t, time.UnixMilli(0), time.Now().Add(time.Hour)))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := inspect.Ask(c.t.Context(), c.search, http.MethodPost, "/"+s.index+"/_search?ignore_unavailable=true&allow_no_indices=true", string(body), &result); err != nil {
		c.t.Fatalf("%s: %v: %s", s.ID, err, body)
	}
	if len(s.aggs) > 0 {
		buckets, metrics := s.split()
		rows = c.rowsOf(result.Aggregations, buckets, metrics, row{})
	}
	if result.Hits.Total.Value == 0 || s.aggs == nil && len(result.Hits.Hits) == 0 || s.aggs != nil && len(rows) == 0 {
		c.t.Errorf("%s shows nothing", s.ID)
	}
	return result, rows
}

// rowsOf returns the rows of nested aggregations, each with the keys of r before its own.
func (c *cluster) rowsOf(in map[string]json.RawMessage, buckets, metrics []savedAgg, r row) (rows []row) {
	c.t.Helper()
	read := func(data []byte, into any) {
		if err := json.Unmarshal(data, into); err != nil {
			c.t.Fatalf("%v in %s", err, data)
		}
	}
	if len(buckets) == 0 {
		for _, m := range metrics {
			var v struct {
				Value  float64
				Values []struct{ Key, Value *float64 }
			}
			if m.Type == "count" {
				continue
			}
			read(in[m.ID], &v)
			r.greatest = v.Value
			r.values = map[float64]float64{}
			for _, p := range v.Values {
				if p.Value != nil {
					r.values[*p.Key] = *p.Value
				}
			}
		}
		return []row{r}
	}
	var agg struct{ Buckets json.RawMessage }
	read(in[buckets[0].ID], &agg)
	next := func(key string, bucket map[string]json.RawMessage) {
		inner := row{keys: append(slices.Clone(r.keys), key)}
		read(bucket["doc_count"], &inner.count)
		if inner.count > 0 {
			rows = append(rows, c.rowsOf(bucket, buckets[1:], metrics, inner)...)
		}
	}
	if bytes.HasPrefix(agg.Buckets, []byte("{")) {
		var named map[string]map[string]json.RawMessage
		read(agg.Buckets, &named)
		for _, key := range slices.Sorted(maps.Keys(named)) {
			next(key, named[key])
		}
		return rows
	}
	var list []map[string]json.RawMessage
	read(agg.Buckets, &list)
	for _, bucket := range list {
		next(strings.Trim(string(bucket["key"]), `"`), bucket)
	}
	return rows
}

// sums returns the sum of the rows' counts by their first keys, joined by spaces.
func sums(rows []row, keys int) map[string]int {
	sum := map[string]int{}
	for _, r := range rows {
		sum[strings.Join(r.keys[:keys], " ")] += r.count
	}
	return sum
}

// demoLine is the part of a generated line that the dashboards show.
type demoLine struct {
	group, level, path string
	status             int
	took               time.Duration // -1 if unknown
	at                 int64
}

func (l demoLine) failed() bool { return l.level == "error" || l.level == "fatal" || l.status >= 500 }

func demoLineOf(group string, e loggen.Event) demoLine {
	var in struct {
		Level, Path string
		Status      int
		Took        *float64 `json:"duration_ms"`
		Log         struct {
			Duration *int64
			Request  struct{ Path string }
			Response struct{ Status int }
		}
	}
	_ = json.Unmarshal([]byte(e.Message), &in) // most messages are not JSON
	l := demoLine{group: group, level: in.Level, at: e.Timestamp, took: -1, status: cmp.Or(in.Status, in.Log.Response.Status)}
	l.path, _, _ = strings.Cut(cmp.Or(in.Path, in.Log.Request.Path), "?")
	switch {
	case in.Took != nil:
		l.took = time.Duration(*in.Took * float64(time.Millisecond))
	case in.Log.Duration != nil:
		l.took = time.Duration(*in.Log.Duration)
	}
	return l
}

// The searches and visualizations of the dashboards, sent to a real OpenSearch, return what
// was indexed.
func TestDashboards(t *testing.T) {
	t.Parallel()
	f := func(schema string, dataStream bool, unit time.Duration) {
		name := schema
		if dataStream {
			name += ", data stream"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSharedSink(t)
			if dataStream {
				t.Cleanup(func() { s.ask(http.MethodDelete, "/_data_stream/"+s.prefix, "") }) // before its template
			}
			lines := s.demo(schema, dataStream)
			all := s.savedSearches("--schema="+schema, fmt.Sprintf("--data-stream=%t", dataStream))

			count := func(name string, keys int, want map[string]int) {
				t.Helper()
				_, rows := s.shown(all[name])
				if got := sums(rows, keys); !maps.Equal(got, want) {
					t.Errorf("%s: got  %v\nwant %v", name, got, want)
				}
			}
			by := func(key func(demoLine) string) map[string]int {
				n := map[string]int{}
				for _, l := range lines {
					if k := key(l); k != "" {
						n[k]++
					}
				}
				return n
			}
			count("lines-by-group", 1, by(func(l demoLine) string { return l.group }))
			found, _ := s.shown(all["lines"])
			if n := found.Hits.Total.Value; n != len(lines) {
				t.Errorf("%d lines are found of %d", n, len(lines))
			}
			if n := s.count(all["lines"].index); !dataStream && n != len(lines)+demoLetters {
				t.Errorf("the index pattern has %d documents, want %d lines and %d letters", n, len(lines), demoLetters)
			}
			s.checkDeadLetterBoard(all)
			names := slices.Sorted(maps.Keys(all))
			if schema == "plain" {
				if want := []string{"dead-letter-reasons", "dead-letters", "dead-letters-by-reason", "lines", "lines-by-group"}; !slices.Equal(names, want) {
					t.Errorf("saved searches: %s", names)
				}
				return
			}
			if want := []string{"dead-letter-reasons", "dead-letters", "dead-letters-by-reason", "errors", "failing-paths", "latency", "lines", "lines-by-group", "lines-by-level", "requests-by-status", "top-paths"}; !slices.Equal(names, want) {
				t.Errorf("saved searches: %s", names)
			}

			levels := by(func(l demoLine) string { return cmp.Or(l.level, "__missing__") })
			for _, level := range []string{"info", "warn", "error", "fatal", "__missing__"} {
				if levels[level] == 0 {
					t.Errorf("no demo line has the level %s", level)
				}
			}
			count("lines-by-level", 1, levels)
			classes := by(func(l demoLine) string {
				if l.status == 0 {
					return ""
				}
				return fmt.Sprintf("%dxx", l.status/100)
			})
			if len(classes) != 4 {
				t.Errorf("status classes of the demo lines: %v", classes)
			}
			count("requests-by-status", 1, classes)

			paths := by(func(l demoLine) string { return l.path })
			_, rows := s.shown(all["top-paths"])
			checkTop(t, "top-paths", rows, paths, 50)
			took := map[string][]float64{}
			for _, l := range lines {
				if l.took >= 0 && l.path != "" {
					took[l.path] = append(took[l.path], float64(l.took)/float64(unit))
				}
			}
			for _, r := range rows {
				checkPercentiles(t, r, took[r.keys[0]], 50, 95)
			}
			failing := by(func(l demoLine) string {
				if l.status < 500 {
					return ""
				}
				return l.path
			})
			_, rows = s.shown(all["failing-paths"])
			statuses := by(func(l demoLine) string { return fmt.Sprintf("%s %d", l.path, l.status) })
			top := map[string]int{}
			for _, r := range rows {
				if r.count != statuses[strings.Join(r.keys, " ")] {
					t.Errorf("failing-paths: %v %d, want %d", r.keys, r.count, statuses[strings.Join(r.keys, " ")])
				}
				top[r.keys[0]] += r.count
			}
			var heads []row
			for _, path := range slices.Compact(firstKeys(rows)) {
				heads = append(heads, row{keys: []string{path}, count: top[path]})
			}
			checkTop(t, "failing-paths", heads, failing, 20)

			times := map[string][]float64{}
			for _, l := range lines {
				if l.took >= 0 {
					bar := fmt.Sprint(l.at - l.at%interval.Milliseconds())
					times[bar] = append(times[bar], float64(l.took)/float64(unit))
				}
			}
			_, rows = s.shown(all["latency"])
			measured := 0
			for _, r := range rows {
				if values := times[r.keys[0]]; len(values) > 0 {
					measured++
					checkPercentiles(t, r, values, 50, 95, 99)
				}
			}
			if measured != len(times) || measured < 10 {
				t.Errorf("latency: %d points, want %d", measured, len(times))
			}

			errors := 0
			for _, l := range lines {
				if l.failed() {
					errors++
				}
			}
			found, _ = s.shown(all["errors"])
			if n := found.Hits.Total.Value; n != errors {
				t.Errorf("%d errors are found, want %d", n, errors)
			}
			last, highlighted := int64(math.MaxInt64), 0
			for _, hit := range found.Hits.Hits {
				e := s.expected[hit.ID]
				if l := demoLineOf("", e); !l.failed() || e.Timestamp > last {
					t.Errorf("not an error, or not in the order newest first: %s", e.Message)
				}
				last = e.Timestamp
				if len(hit.Highlight) > 0 {
					highlighted++
				}
			}
			if highlighted == 0 {
				t.Error("nothing is highlighted")
			}
		})
	}
	f("default", false, time.Millisecond)
	f("default", true, time.Millisecond)
	f("plain", false, 0)
	f("ecs", false, time.Nanosecond)
}

func firstKeys(rows []row) (keys []string) {
	for _, r := range rows {
		keys = append(keys, r.keys[0])
	}
	return keys
}

// checkTop checks that rows are the most frequent of all values, up to size of them.
func checkTop(t *testing.T, name string, rows []row, all map[string]int, size int) {
	t.Helper()
	counts := slices.SortedFunc(maps.Values(all), func(a, b int) int { return b - a })
	counts = counts[:min(size, len(counts))]
	var got []int
	for _, r := range rows {
		if got = append(got, r.count); r.count != all[r.keys[0]] {
			t.Errorf("%s: %s %d times, want %d", name, r.keys[0], r.count, all[r.keys[0]])
		}
	}
	if !slices.Equal(got, counts) || len(got) < 2 {
		t.Errorf("%s: got  %v\nwant %v", name, got, counts)
	}
}

// checkPercentiles checks that about the right share of values is up to each percentile,
// which OpenSearch estimates.
func checkPercentiles(t *testing.T, r row, values []float64, percents ...float64) {
	t.Helper()
	if len(r.values) != len(percents) {
		t.Errorf("%s: percentiles %v", r.keys, r.values)
	}
	for _, percent := range percents {
		below := 0
		for _, v := range values {
			if v <= r.values[percent]*1.000001 { // precision of a float field
				below++
			}
		}
		if n := float64(len(values)); math.Abs(float64(below)/n-percent/100) > 0.02+1/n {
			t.Errorf("%s: %d of %d are up to %g, the percentile %g", r.keys, below, len(values), r.values[percent], percent)
		}
	}
}

// demoLetters is the number of dead letters that demo causes.
const demoLetters = 6

// demo has a worker index half a day of demo data, and some that becomes dead letters. It
// returns the lines that are indexed.
func (s *sink) demo(schema string, dataStream bool) (lines []demoLine) {
	s.t.Helper()
	const events = 6000
	g := loggen.New(loggen.Options{Seed: 8, Events: events, Start: time.UnixMilli(noon), Span: 11 * time.Hour})
	for i := 0; ; i++ {
		r, more := g.Next()
		if !more {
			break
		}
		if r.Control {
			continue
		}
		for _, e := range r.Events {
			lines = append(lines, demoLineOf(r.LogGroup, e))
		}
		if err := s.putEvents(fmt.Sprint(i), r.Data, r.Events); err != nil {
			s.t.Fatal(err)
		}
	}
	extra := s.lines(time.UnixMilli(noon+1000),
		`{"level":"fatal","msg":"out of memory"}`,
		`{"level":"info","msg":"slow","status":503,"path":"/own?a=1","duration_ms":1500.5}`,
		`{"level":"error","msg":"no request"}`,
		`{"level":"warn","msg":"not found","status":404,"path":"/own"}`)
	s.record(extra, extra)
	for _, e := range extra {
		lines = append(lines, demoLineOf("soak", e))
	}
	for i := range demoLetters - 1 {
		data := localtest.Gzip([]byte(`{"messageType":"DATA_MESSAGE","logEvents":` + fmt.Sprint(i) + `}`))
		if i%2 == 0 {
			data = data[:len(data)/2]
		}
		if err := s.putEvents(fmt.Sprint(i), data, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	if dataStream {
		if err := s.putEvents("k", []byte("no gzip"), nil); err != nil {
			s.t.Fatal(err)
		}
	} else {
		// A document that OpenSearch rejects in full and as plain text: its beginning is indexed,
		// and it becomes a dead letter.
		const late = noon + 48*60*60*1000
		path := "/" + s.prefix + "-" + time.UnixMilli(late).UTC().Format(time.DateOnly)
		if err := inspect.Ask(s.t.Context(), s.search, http.MethodPut, path, `{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"},"message":{"type":"keyword"}}}}`, nil); err != nil {
			s.t.Fatal(err)
		}
		long := s.lines(time.UnixMilli(late), strings.Repeat("long ", 10_000))
		s.record(long, long)
		lines = append(lines, demoLineOf("", long[0]))
	}
	s.begin("SCHEMA="+schema, fmt.Sprintf("DATA_STREAM=%t", dataStream))
	documents := s.documents()
	if dataStream {
		documents = s.prefix
	}
	s.eventually("everything is indexed", func() bool {
		return s.count(documents) >= len(s.expected) && s.count(deadletter.Index(s.prefix)) >= demoLetters
	})
	s.w.stop()
	return lines
}

// checkDeadLetterBoard checks the dashboard of the dead letters.
func (s *sink) checkDeadLetterBoard(all map[string]savedSearch) {
	s.t.Helper()
	stages, reasons, groups := map[string]int{}, map[string]int{}, map[string]int{}
	for _, l := range s.letters() {
		stages[l.Stage]++
		reasons[l.Stage+" "+l.Cause.Type]++
		groups[l.Stage+" "+l.Cause.Type+" "+cmp.Or(l.LogGroup, "__missing__")]++
	}
	if len(stages) < 2 {
		s.t.Errorf("stages of the dead letters: %v", stages)
	}
	_, rows := s.shown(all["dead-letters-by-reason"])
	if got := sums(rows, 2); !maps.Equal(got, reasons) {
		s.t.Errorf("dead letters by reason: got %v, want %v", got, reasons)
	}
	_, rows = s.shown(all["dead-letter-reasons"])
	if got := sums(rows, 3); !maps.Equal(got, groups) {
		s.t.Errorf("reasons: got %v, want %v", got, groups)
	}
	for _, r := range rows {
		if ago := time.Since(time.UnixMilli(int64(r.greatest))); ago < -time.Minute || ago > 10*time.Minute {
			s.t.Errorf("the latest of %s was %s ago", r.keys, ago)
		}
	}
	found, _ := s.shown(all["dead-letters"])
	if n := found.Hits.Total.Value; n != demoLetters {
		s.t.Errorf("%d dead letters are found, want %d", n, demoLetters)
	}
	for _, hit := range found.Hits.Hits {
		if hit.Source["payload"] != nil || hit.Source["payload_bytes"] == nil || hit.Source["stage"] == nil {
			s.t.Errorf("a letter is listed with the fields %v", slices.Collect(maps.Keys(hit.Source)))
		}
	}
}
