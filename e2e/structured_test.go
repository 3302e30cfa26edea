package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"logsluice/internal/loggen"
	"logsluice/local/inspect"
)

// newSharedSink returns a cluster on the OpenSearch that tests share.
func newSharedSink(t *testing.T) *sink {
	t.Helper()
	return &sink{history: newHistory(newCluster(t, 1))}
}

// begin starts the worker without a proxy.
func (s *sink) begin(settings ...string) {
	s.t.Helper()
	s.w = s.start("w", append([]string{"SUMMARY_PERIOD=500ms"}, settings...)...)
}

// lines returns events for a record.
func (s *sink) lines(at time.Time, messages ...string) (events []loggen.Event) {
	for i, message := range messages {
		events = append(events, loggen.Event{ID: fmt.Sprintf("9%046d%09d", s.produced, i), Timestamp: at.UnixMilli(), Message: message})
	}
	return events
}

// record puts a record with events, of which found will be indexed.
func (s *sink) record(events, found []loggen.Event) {
	s.t.Helper()
	if err := s.putEvents("k", packEvents(events), found); err != nil {
		s.t.Fatal(err)
	}
}

// schemaFile writes a schema to a file and returns the setting for it.
func schemaFile(t *testing.T, schema string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "schema.yaml")
	if err := os.WriteFile(name, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	return "SCHEMA_FILE=" + name
}

// defaultWith returns the setting for the default schema with additional lines.
func defaultWith(t *testing.T, more string) string {
	t.Helper()
	schema, err := os.ReadFile("../mapping/schema/schemas/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return schemaFile(t, string(schema)+more)
}

// query returns the JSON of a query that is given as KIND FIELD VALUE. KIND "no" matches
// documents without the field, and "from" values of at least VALUE.
func query(text string) string {
	parts := strings.SplitN(text, " ", 3)
	kind, field := parts[0], parts[1]
	if kind == "no" {
		return fmt.Sprintf(`{"bool":{"must_not":{"exists":{"field":%q}}}}`, field)
	}
	value, _ := json.Marshal(parts[2])
	if kind == "from" {
		return fmt.Sprintf(`{"range":{%q:{"gte":%s}}}`, field, value)
	}
	return fmt.Sprintf(`{%q:{%q:%s}}`, kind, field, value)
}

// hits returns the number of documents that match all queries.
func (c *cluster) hits(indices string, queries ...string) int {
	c.t.Helper()
	filters := make([]string, 0, len(queries))
	for _, q := range queries {
		filters = append(filters, query(q))
	}
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	body := `{"size":0,"track_total_hits":true,"query":{"bool":{"filter":[` + strings.Join(filters, ",") + `]}}}`
	if err := inspect.Ask(c.t.Context(), c.search, http.MethodPost, "/"+indices+"/_search?ignore_unavailable=true", body, &answer); err != nil {
		c.t.Errorf("%q: %v", queries, err)
	}
	return answer.Hits.Total.Value
}

// limit returns the maximum number of fields of an index.
func (c *cluster) limit(index string) int {
	c.t.Helper()
	n, err := strconv.Atoi(c.settings(index)["index.mapping.total_fields.limit"].(string))
	if err != nil {
		c.t.Error(err)
	}
	return n
}

// settings returns the settings of an index by their full names.
func (c *cluster) settings(index string) map[string]any {
	c.t.Helper()
	var answer map[string]struct{ Settings map[string]any }
	if err := inspect.Ask(c.t.Context(), c.search, http.MethodGet, "/"+index+"/_settings?flat_settings=true", "", &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer[index].Settings
}

// mapped returns the number of fields of an index, counted as for the limit.
func (c *cluster) mapped(index string) int {
	c.t.Helper()
	var answer map[string]struct {
		Mappings struct{ Properties json.RawMessage }
	}
	if err := inspect.Ask(c.t.Context(), c.search, http.MethodGet, "/"+index+"/_mapping", "", &answer); err != nil {
		c.t.Fatal(err)
	}
	var number func(json.RawMessage) int
	number = func(raw json.RawMessage) int {
		if raw == nil {
			return 0
		}
		var fields map[string]struct{ Properties json.RawMessage }
		if err := json.Unmarshal(raw, &fields); err != nil {
			c.t.Fatal(err)
		}
		n := len(fields)
		for _, field := range fields {
			n += number(field.Properties)
		}
		return n
	}
	return number(answer[index].Mappings.Properties)
}

// unusualLine is a line with queries that match its document in the default schema. WORD is
// replaced by a unique word.
type unusualLine struct {
	line    string
	queries []string
}

func unusualLines() (all []unusualLine) {
	f := func(line string, queries ...string) { all = append(all, unusualLine{line, queries}) }

	// JSON with other text, no JSON, and JSON that is not an object.
	f(`2026-01-15T12:00:00Z INFO {"level":"warn","msg":"WORD behind a prefix","status":503}`, "term level warn", "match msg behind", "from status 503")
	f(`{"level":"error","msg":"WORD before a text","status":500} and so on`, "term level error", "match msg before", "term status 500")
	f(`INFO {"level":"error","msg":"WORD"} and so on`, "term level info", "no msg")
	f(`WORD is not JSON`, "no level", "no msg")
	f(`[{"level":"error"},"WORD"]`, "no level")
	f(`"WORD"`)
	f(`{WORD}`)
	f(`{"WORD"`)
	f(`}{"level":"error"}{ WORD`, "no level")
	f(`{"level":"error","status":502,"msg":"WORD was cut o`, "term level error", "term status 502", "no msg")
	f(`{"level":"error","request":{"method":"PUT","path":"/WO WORD`, "term level error", "term method PUT", "no path")
	f("{\"level\":\"info\",\"logger\":\"a\x01b\",\"msg\":\"WORD \x00 \x1b[0m controls\"}\n", "term level info", "match msg controls", "term logger a\x01b")
	f("\t {\n \"level\" : \"info\" ,\r\n \"msg\" : \"WORD spaced\" }\n", "term level info", "match msg spaced")

	// Numbers.
	f(`{"msg":"WORD","status":1e400,"duration_ms":1e400,"level":1e400}`, "no status", "no duration_ms", "no level")
	many := strings.Repeat("7", 400)
	f(`{"msg":"WORD","status":`+many+`,"duration_ms":`+many+`,"level":`+many+`}`, "no status", "no duration_ms", "no level")
	f(`{"msg":"WORD","x":`+strings.Repeat("7", 2000)+`,"status":200}`, "term status 200")
	f(`{"msg":"WORD","status":9223372036854775808,"duration_ms":9223372036854775808,"logger":9223372036854775808}`, "no status", "no duration_ms", "no logger")
	f(`{"msg":"WORD","status":NaN,"duration_ms":Infinity,"level":-Infinity}`, "match msg WORD", "no status", "no duration_ms", "no level")
	f(`{"msg":"WORD","status":"200"}`, "term status 200")
	f(`{"msg":"WORD","status":200.0}`, "term status 200")
	f(`{"msg":"WORD","status":2e2}`, "term status 200")
	f(`{"msg":"WORD","status":200.5}`, "no status")
	f(`{"msg":"WORD","status":70000,"duration_ms":-0.0}`, "no status", "term duration_ms 0")
	f(`{"msg":"WORD","status":true,"level":false}`, "no status", "no level")
	f(`{"msg":"WORD","status":"OK","statusCode":404}`, "term status 404")
	f(`{"msg":"WORD","duration":"1.5s"}`, "term duration_ms 1500")
	f(`{"msg":"WORD","duration":1.5}`, "no duration_ms")
	f(`{"level":"info","ts":1768478400.1,"msg":"WORD","duration":1.5}`, "term duration_ms 1500")
	f(`{"level":"info","time":"2026-01-15T12:00:00Z","message":"WORD","duration":1.5}`, "term duration_ms 1.5")
	f(`{"level":"INFO","time":"2026-01-15T12:00:00Z","msg":"WORD","duration":1500000}`, "term duration_ms 1.5")

	// Values of other types than the schema's.
	f(`{"msg":"WORD","level":"info","level":"error","status":200,"status":500}`, "term level error", "term status 500")
	f(`{"msg":"WORD","error":[{"message":"a"}],"level":["info","ERROR"],"status":[200,"x",503],"request":[{"method":"GET"}]}`,
		"no level", "no status", "no method", "no error.message")
	f(`{"msg":"WORD","level":null,"logger":"","status":null,"method":[],"path":{},"host":[null,""]}`, "no level", "no logger", "no status", "no method", "no path", "no host")
	f(`{"msg":"WORD","level":"","severity":"WARNING"}`, "term level warn")
	f(`{"level":{"a":1},"status":{"code":200},"msg":{"text":"WORD"},"duration_ms":{}}`, "no level", "no status", "no msg", "no duration_ms")
	f(`{"msg":"WORD","request":"GET /","response":503,"error":"it broke","log":7}`, "no method", "no status", "match error.message broke")
	f(`{"msg":"WORD","error":{"message":"it tore","type":"Tear","stack_trace":["at a","at b"]}}`, "match error.message tore", "term error.type Tear", "match error.stack at")
	f(`{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"msg":"WORD","status":404}`, "term status 404", "match msg WORD")
	f(strings.Repeat(`{"a":`, 100_000)+`"WORD"`+strings.Repeat("}", 100_000), "no level")
	f(`{"status":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"msg":"WORD"}`, "no status", "match msg WORD")

	// Keys, long keys and values, escapes.
	f(`{"":"a","":{"":1}," ":2,"msg":"WORD","level":"info"}`, "term level info")
	f(`{"http.request.method":"PUT","http":{"response.status_code":409},"msg":"WORD"}`, "term method PUT", "term status 409")
	f(`{".level":"a","level.":"b","le..vel":1,"$level":"c",".":1,"..":{"..":2},"a..b":3,"msg":"WORD"}`, "no level", "match msg WORD")
	f(`{"`+strings.Repeat("k", 60_000)+`":"v","level":"info","msg":"WORD"}`, "term level info")
	f(`{"level":"`+strings.Repeat("v", 100_000)+`","path":"/`+strings.Repeat("日本", 600)+`","logger":"`+strings.Repeat("l", 1024)+`","msg":"WORD"}`,
		"no level", "no path", "term logger "+strings.Repeat("l", 1024))
	f(`{"msg":"`+strings.Repeat("many words ", 10_000)+`","level":"info","a":"WORD"}`, "no msg", "term level info")
	f(`{"level":"in\qfo","status":201,"msg":"WORD"}`, "no level", "term status 201")
	f(`{"logger":"a\ud800b","RequestHost":"\udc00","msg":"WORD","status":200,"path":"/\u00e9\/\ud83d\ude00"}`, "term logger a\ufffdb", "no host", "term path /é/😀")

	// Other keys, if the schema keeps them.
	f(`{"msg":"WORD","tenant":{"id":"t-9","tags":["a","b"]},"n":5,"on":true,"items":[{"k":"x"},{"k":"y"}],"dotted.key":"z"}`,
		"term json.tenant.id t-9", "term json.tenant.tags b", "term json.n 5", "term json.on true", "term json.items.k y", "term json.dotted.key z")
	// The first value of a key decides its mapping. The document of the other is still found by its fields.
	f(`{"msg":"WORD","level":"info","clash":"text"}`, "term level info")
	f(`{"msg":"WORD","level":"info","clash":{"a":"object"}}`, "term level info")
	f(`{"msg":"WORD","level":"info","long":"`+strings.Repeat("v", 40_000)+`","empty":null,"":1,"short":"v"}`, "term level info", "term json.short v", "no json.long")
	f(`{"msg":"WORD","level":"info","lost":"v","x":NaN}`, "term level info", "no json")
	f(`["WORD"]`, "no json")
	return all
}

// inECS returns a query for the schema ecs, or "" if its values differ.
func inECS(query string) string {
	names := map[string]string{
		"level": "log.level", "logger": "log.logger", "msg": "log.message", "method": "http.request.method", "path": "url.path", "host": "url.domain",
		"status": "http.response.status_code", "error.message": "error.message", "error.type": "error.type", "error.stack": "error.stack_trace",
	}
	parts := strings.SplitN(query, " ", 3)
	if parts[0] == "no" || names[parts[1]] == "" {
		return ""
	}
	parts[1] = names[parts[1]]
	return strings.Join(parts, " ")
}

// Every line is indexed completely, and is found by its words and by its fields. Keys of lines do
// not become fields.
func TestStructuredUnusualLines(t *testing.T) {
	t.Parallel()
	f := func(name, status string, rest bool, settings func(*testing.T) string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSharedSink(t)
			first := s.lines(time.UnixMilli(noon), `{"level":"debug"}`)
			s.record(first, first)
			s.begin(settings(t))
			s.indexed()
			index := s.index(first[0])
			before := s.mapped(index)

			all := unusualLines()
			for i, o := range all {
				events := s.lines(time.UnixMilli(noon), strings.ReplaceAll(o.line, "WORD", fmt.Sprint("unusual", i)))
				s.record(events, events)
			}
			s.indexed()
			const lines, keys = 1000, 10
			var messages []string
			for i := range lines {
				message := fmt.Sprintf(`{"level":"info","status":%d,"msg":"of many keys"`, 100+i%500)
				for k := range keys {
					message += fmt.Sprintf(`,"key_%d_%d":%d`, i, k, k)
				}
				messages = append(messages, message+"}")
			}
			events := s.lines(time.UnixMilli(noon), messages...)
			s.record(events, events)
			s.finish()

			for i, o := range all {
				word := fmt.Sprint("unusual", i)
				if s.hits(index, "match message "+word) != 1 {
					t.Errorf("%.100q is not found by its word", o.line)
				}
				for _, q := range o.queries {
					if !rest && strings.Contains(q, " json") {
						continue
					}
					if name == "ecs" {
						q = inECS(q)
					}
					if q != "" && s.hits(index, "match message "+word, strings.ReplaceAll(q, "WORD", word)) != 1 {
						t.Errorf("%.100q is not found by %.100q", o.line, q)
					}
				}
			}
			if n := s.hits(index, "match message keys", "exists field "+status); n != lines {
				t.Errorf("%d lines of many keys are found by their fields, want %d", n, lines)
			}
			refused := s.hits(index, "exists field refused.type")
			if n := s.w.total("documents_plain"); n != float64(refused) {
				t.Errorf("%.0f documents were counted as refused, %d have the field", n, refused)
			}
			limit := before
			if name == "dynamic" {
				limit = s.limit(index)
				within, beyond := s.hits(index, "match msg keys", "exists field json"), s.hits(index, "match msg keys", "exists field refused.reason")
				if within == 0 || beyond == 0 || within+beyond != lines || s.hits(index, "exists field json", "exists field refused.reason") != 0 {
					t.Errorf("of the lines with many keys %d are within the limit and %d beyond it", within, beyond)
				}
			} else if refused != 0 {
				t.Errorf("%d documents were refused", refused)
			}
			after := s.mapped(index)
			if after > limit || after < before {
				t.Errorf("%d fields became %d, want at most %d", before, after, limit)
			}
			t.Logf("%d fields before, %d after, %d refused", before, after, refused)
		})
	}
	f("default", "status", false, func(*testing.T) string { return "SCHEMA=default" })
	f("ecs", "http.response.status_code", false, func(*testing.T) string { return "SCHEMA=ecs" })
	f("flat", "status", true, func(t *testing.T) string { return defaultWith(t, "rest: flat_object\n") })
	f("dynamic", "status", true, func(t *testing.T) string { return defaultWith(t, "rest: dynamic\n") })
}

// reference has the fields of a line of loggen as encoding/json decodes them.
type reference struct {
	Level string
	Log   struct {
		Duration int64
		Request  struct{ Method string }
		Response struct{ Status int }
	}
}

// Counts, aggregations and percentiles over the fields match the lines.
func TestStructuredNumbers(t *testing.T) {
	t.Parallel()
	const events = 5000
	s := newSharedSink(t)
	counts := map[string]map[string]int{"level": {}, "method": {}, "status": {}, "log_group": {}}
	var statuses []int
	var took []float64 // with the precision of float32
	for g := generator(9, events); ; {
		r, more := g.Next()
		if !more {
			break
		}
		if r.Control {
			continue
		}
		if err := s.putEvents(r.PartitionKey, r.Data, r.Events); err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Events {
			counts["log_group"][r.LogGroup]++
			var is reference
			if json.Unmarshal([]byte(e.Message), &is) != nil {
				continue
			}
			if is.Level != "" {
				counts["level"][is.Level]++
			}
			if is.Log.Request.Method != "" {
				counts["method"][is.Log.Request.Method]++
				counts["status"][strconv.Itoa(is.Log.Response.Status)]++
				statuses = append(statuses, is.Log.Response.Status)
				took = append(took, float64(float32(float64(is.Log.Duration)/1e6)))
			}
		}
	}
	slices.Sort(took)
	s.begin()
	s.finish()

	between := func(field string, from, below float64, want int) {
		t.Helper()
		if got := s.hits(s.documents(), fmt.Sprintf("from %s %v", field, from)) - s.hits(s.documents(), fmt.Sprintf("from %s %v", field, below)); got != want || want == 0 {
			t.Errorf("%d documents have a %s from %v and below %v, want %d", got, field, from, below, want)
		}
	}
	for _, r := range [][2]int{{500, 1000}, {400, 500}, {200, 300}, {503, 504}} {
		n := 0
		for _, status := range statuses {
			if r[0] <= status && status < r[1] {
				n++
			}
		}
		between("status", float64(r[0]), float64(r[1]), n)
	}
	for _, r := range [][2]float64{{0, 5}, {5, 12.5}, {12.5, 30}, {30, 1000}} {
		from, _ := slices.BinarySearch(took, r[0])
		below, _ := slices.BinarySearch(took, r[1])
		between("duration_ms", r[0], r[1], below-from)
	}

	const of = `{"size":0,"aggs":{"level":{"terms":{"field":"level","size":100}},"method":{"terms":{"field":"method","size":100}},"status":{"terms":{"field":"status","size":100}},` +
		`"log_group":{"terms":{"field":"log_group","size":100}},"took":{"percentiles":{"field":"duration_ms","percents":[50,95,99],"tdigest":{"compression":1000}}}}}`
	var answer struct {
		Aggregations map[string]struct {
			Buckets []struct {
				Key   any
				Count int `json:"doc_count"`
			}
			Values map[string]float64
		}
	}
	if err := inspect.Ask(t.Context(), s.search, http.MethodPost, "/"+s.documents()+"/_search?ignore_unavailable=true", of, &answer); err != nil {
		t.Fatal(err)
	}
	for field, want := range counts {
		got := map[string]int{}
		for _, b := range answer.Aggregations[field].Buckets {
			got[fmt.Sprint(b.Key)] = b.Count
		}
		if !maps.Equal(got, want) || len(want) < 2 {
			t.Errorf("%s: %v, want %v", field, got, want)
		}
	}
	if len(answer.Aggregations["took"].Values) != 3 {
		t.Errorf("percentiles: %v", answer.Aggregations["took"].Values)
	}
	for percent, value := range answer.Aggregations["took"].Values {
		p, err := strconv.ParseFloat(percent, 64)
		// With this compression, ranks are off by at most a thousandth.
		rank, off := p/100*float64(len(took)), float64(len(took))/1000+1
		if low, high := took[int(rank-off)], took[min(int(math.Ceil(rank+off)), len(took)-1)]; err != nil || value < low || value > high {
			t.Errorf("percentile %s is %v, want one from %v to %v, %v", percent, value, low, high, err)
		}
	}
	t.Logf("%d events, %d with a duration, percentiles %v", events, len(took), answer.Aggregations["took"].Values)
}

// A field that some services log as a text and others as an object has one name in the index.
// Events that rules drop are counted and passed by the checkpoint, and the others are found.
func TestStructuredSchemaFile(t *testing.T) {
	t.Parallel()
	s := newSharedSink(t)
	s.begin(schemaFile(t, `
fields:
  - {name: user, type: keyword, paths: [user, user.name, user.id]}
  - {name: status, type: short, paths: [status]}
rules:
  - keep: {message: important}
  - drop: {message: GET /healthz}
  - drop: {log_group: ^soak$, fields: {status: [200, 204]}}
  - drop: {log_group: ^other$}
`))
	at := time.UnixMilli(noon)
	kept := s.lines(at, `{"user":"kim"}`, `{"user":{"id":"u1","name":"kim"}}`, `{"user":{"id":"u2"}}`, `{"status":"500"}`, `{"status":200,"x":"important"}`, `important GET /healthz`)
	s.record(kept, kept)
	some := s.lines(at, `{"status":"200"}`, `{"status":201}`, `{"status":204.0}`, `GET /healthz HTTP/1.1`)
	s.record(some, some[1:2])
	for range 3 {
		s.record(s.lines(at, `{"status":200}`, `"GET /healthz"`), nil)
	}
	const dropped = 3 + 3*2
	s.eventually("all is read", func() bool { return s.w.total("records") == float64(s.produced) })
	s.finish()
	if n := s.w.total("events_dropped"); n != dropped {
		t.Errorf("%.0f events were dropped, want %d", n, dropped)
	}
	f := func(want int, query string) {
		t.Helper()
		if n := s.hits(s.documents(), query); n != want {
			t.Errorf("%s finds %d documents, want %d", query, n, want)
		}
	}
	f(2, "term user kim")
	f(0, "term user u1")
	f(1, "term user u2")
	f(1, "term status 200")
	f(3, "from status 200")
}
