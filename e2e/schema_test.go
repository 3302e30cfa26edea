package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

// putCounter starts a proxy in front of an OpenSearch that counts PUT requests, except those for
// the dead-letter index, which each start sends.
func putCounter(t *testing.T, url string) (address string, puts *atomic.Int64) {
	t.Helper()
	real, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	puts = new(atomic.Int64)
	proxy := httputil.NewSingleHostReverseProxy(real)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && (strings.HasPrefix(r.URL.Path, "/_") || !strings.HasSuffix(r.URL.Path, deadletter.Index(""))) {
			puts.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, puts
}

// logged returns the lines of the worker's log whose message begins with a text.
func (w *worker) logged(message string) (lines []string) {
	for line := range strings.Lines(w.lines()) {
		if strings.Contains(line, `"message":"`+message) {
			lines = append(lines, line)
		}
	}
	return lines
}

const kept = "fields cannot be changed in an existing index; the next index has them"

// A changed schema is logged. Today's index gets the changes that are possible, and the next
// index gets all. Documents that do not fit today's index are still found.
func TestRunSchemaChange(t *testing.T) {
	t.Parallel()
	s := newSharedSink(t)
	url, puts := putCounter(t, s.searchURL)
	const (
		installed = "index template installed"
		added     = "fields of the schema added to an index"
	)
	before := schemaFile(t, `
name: before
fields:
  - {name: code, type: keyword, paths: [code]}
  - {name: size, type: long, paths: [size]}
  - {name: flag, type: boolean, paths: [flag]}
  - {name: place.name, type: keyword, paths: [place.name]}
  - {name: spot, type: keyword, paths: [spot]}
`)
	after := schemaFile(t, `
name: after
version: 2
fields:
  - {name: code, type: long, paths: [code]}
  - {name: size, type: keyword, paths: [size]}
  - {name: flag, type: keyword, paths: [flag]}
  - {name: place, type: keyword, paths: [place]}
  - {name: spot.name, type: keyword, paths: [spot]}
  - {name: user.name, type: keyword, paths: [user]}
`)
	run := func(schema string, at time.Time, messages ...string) (wrote int64) {
		t.Helper()
		wrote = puts.Load()
		s.begin(schema, "OPENSEARCH_URL="+url)
		events := s.lines(at, messages...)
		s.record(events, events)
		s.finish()
		return puts.Load() - wrote
	}
	logs := func(message string, want ...string) {
		t.Helper()
		lines := s.w.logged(message)
		if len(lines) > 0 && len(want) == 0 {
			t.Errorf("unexpected lines %s", lines)
		}
		for _, part := range want {
			if len(lines) == 0 || !strings.Contains(lines[0], part) {
				t.Errorf("%q has no %s: %s", message, part, lines)
			}
		}
	}
	today := time.Now()
	index, next := s.prefix+"-"+today.UTC().Format(time.DateOnly), s.prefix+"-"+today.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	f := func(index string, want int, queries ...string) {
		t.Helper()
		if n := s.hits(index, queries...); n != want {
			t.Errorf("in %s %q find %d documents, want %d", index, queries, n, want)
		}
	}

	if n := run(before, today, `{"code":"a7","size":1,"flag":true,"user":"kim"}`); n != 2 {
		t.Errorf("%d writes install two templates", n)
	}
	logs(installed, `"changes":["installed"]`)
	logs(added)
	logs(kept)
	if n := run(before, today, `{"code":"a8"}`); n != 0 {
		t.Errorf("%d writes without a change", n)
	}
	logs(installed)
	logs(added)
	logs(kept)
	f(index, 0, "term user.name kim")

	if n := run(after, today, `{"code":7,"user":"kim"}`, `{"size":"big","user":"lee"}`, `{"flag":"perhaps","user":"ann"}`, `{"place":"over there","user":"joe"}`, `{"spot":"here","user":"sue"}`); n != 2 {
		t.Errorf("%d writes change a template and a mapping", n)
	}
	logs(installed, s.prefix, `template.mappings.properties.user: none`, `template.mappings.properties.code.type: \"keyword\" → \"long\"`, `version: 1 → 2`)
	logs(added, index+": user\"")
	logs(kept, "code is keyword there and not long", "size is long there and not keyword", "flag is boolean there and not keyword", "place is object there and not keyword", "spot is keyword there and not object")
	f(index, 1, "term user.name kim", "term code 7")
	f(index, 1, "term user.name lee", "match message big", "no size")
	f(index, 1, "term user.name ann", "match message perhaps", "no flag")
	f(index, 1, "match message joe", "match refused.reason place") // indexed as the line only

	if n := run(after, today.AddDate(0, 0, 1), `{"code":"70","size":"big","flag":"perhaps","place":"here","spot":"there","user":"kim"}`); n != 0 {
		t.Errorf("%d writes without a change", n)
	}
	logs(installed)
	logs(added)
	logs(kept, "code is keyword there and not long")
	f(next, 1, "from code 8", "term size big", "term flag perhaps", "term place here", "term spot.name there", "term user.name kim")
	f(index, 1, "match message sue", "match refused.reason spot")
	f(index+","+next, 2, "exists field refused.type")
}

// A data stream has an event once until a rollover. Then an event that is delivered again becomes
// a second document.
func TestRunDataStream(t *testing.T) {
	t.Parallel()
	s := newSharedSink(t)
	t.Cleanup(func() { s.ask(http.MethodDelete, "/_data_stream/"+s.prefix, "") }) // before its template
	const events = 50
	s.produce(generator(10, events), events)
	application := s.application
	read := func(time, want int) {
		t.Helper()
		s.application = fmt.Sprint(application, "-", time)
		s.begin("DATA_STREAM=true")
		s.eventually("all is read", func() bool { return s.w.total("documents_indexed")+s.w.total("documents_already_there") == events })
		s.w.stop()
		if n := s.count(s.prefix); n != want || s.w.total("documents_plain") != 0 {
			t.Errorf("%d documents after time %d, want %d", n, time, want)
		}
	}
	read(1, events)
	read(2, events)
	s.ask(http.MethodPost, "/"+s.prefix+"/_rollover", "")
	read(3, 2*events)
	for _, e := range s.expected {
		if n := s.hits(s.prefix, "term _id "+e.ID); n != 2 {
			t.Errorf("event %s is found %d times", e.ID, n)
		}
		break
	}
}

// Indices are named after the hour, week or month of their events, and have the configured
// settings.
func TestRunIndexNamesAndSettings(t *testing.T) {
	t.Parallel()
	at := func(year int, month time.Month, day, hour int) time.Time {
		return time.Date(year, month, day, hour, 59, 59, 999e6, time.UTC)
	}
	f := func(date string, want map[string]time.Time, settings ...string) *sink {
		t.Helper()
		s := newSharedSink(t)
		for _, at := range want {
			events := s.lines(at, `{"level":"info"}`)
			s.record(events, events)
		}
		s.begin(append([]string{"INDEX_DATE=" + date}, settings...)...)
		s.indexed()
		s.w.stop()
		for suffix := range want {
			if n := s.hits(s.prefix+"-"+suffix, "term level info"); n != 1 {
				t.Errorf("%s: %d documents in %s", date, n, suffix)
			}
		}
		return s
	}
	f("%Y-%m-%d-%H", map[string]time.Time{"2026-01-15-12": at(2026, 1, 15, 12), "2026-01-15-13": at(2026, 1, 15, 13), "2026-01-16-00": at(2026, 1, 16, 0)})
	f("%G-w%V", map[string]time.Time{"2026-w01": at(2025, 12, 29, 0), "2026-w53": at(2027, 1, 3, 23), "2027-w01": at(2027, 1, 4, 0)})
	s := f("%Y-%m", map[string]time.Time{"2026-01": at(2026, 1, 31, 23), "2026-02": at(2026, 2, 1, 0)},
		"INDEX_SORT=level,@timestamp:desc", "INDEX_CODEC=zstd", "INDEX_REPLICAS=2", "INDEX_REFRESH=2500ms", "INDEX_SHARDS=3")
	got := s.settings(s.prefix + "-2026-01")
	for name, want := range map[string]any{
		"index.sort.field": []any{"level", "@timestamp"}, "index.sort.order": []any{"asc", "desc"},
		"index.codec":              "best_compression", // because this OpenSearch lacks zstd
		"index.number_of_replicas": "2", "index.refresh_interval": "2500ms", "index.number_of_shards": "3",
		"index.mapping.ignore_malformed": "true",
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// An index that accepts no more fields, or is closed, does not delay a start.
func TestRunSchemaOfFullIndex(t *testing.T) {
	t.Parallel()
	s := newSharedSink(t)
	today := time.Now()
	run := func(schema string) {
		t.Helper()
		events := s.lines(today, `{"level":"info","user":"kim"}`)
		s.record(events, events)
		s.begin(schema)
		s.finish()
	}
	run("SCHEMA=default")
	index := func(days int) string {
		return "/" + s.prefix + "-" + today.UTC().AddDate(0, 0, days).Format(time.DateOnly)
	}
	s.ask(http.MethodPut, index(0)+"/_settings", fmt.Sprintf(`{"index.mapping.total_fields.limit":%d}`, s.mapped(index(0)[1:])))
	s.ask(http.MethodPut, index(-1), "")
	s.ask(http.MethodPost, index(-1)+"/_close", "")
	run(defaultWith(t, "  - {name: user, type: keyword, paths: [user]}\n"))
	if lines := s.w.logged(kept); len(lines) != 1 || !strings.Contains(lines[0], index(0)[1:]+": user: Limit of total fields") {
		t.Errorf("lines about the full index: %s", lines)
	}
}
