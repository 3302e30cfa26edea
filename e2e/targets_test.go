package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/doctor"
	"logsluice/internal/fakeaws"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// ask sends a request to the real OpenSearch. PREFIX in path and body stands for the prefix.
func (s *site) ask(method, path, body string) {
	s.t.Helper()
	expand := strings.NewReplacer("PREFIX", s.prefix).Replace
	if err := inspect.Ask(s.t.Context(), localtest.Client(s.t), method, expand(path), expand(body), nil); err != nil {
		s.t.Fatal(err)
	}
}

// remove deletes the resource at path if it exists. It also works after the test.
func (s *site) remove(path string) {
	_ = inspect.Ask(context.Background(), localtest.Client(s.t), http.MethodDelete, strings.ReplaceAll(path, "PREFIX", s.prefix), "", nil)
}

// warnings returns the warnings in an output of setup.
func warnings(out string) (found []string) {
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "  warning: "); ok {
			found = append(found, strings.TrimSpace(text))
		}
	}
	return found
}

// wantWarnings checks that got has as many warnings as want, each with the wanted prefix.
func wantWarnings(t *testing.T, name string, got []string, want ...string) {
	t.Helper()
	same := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		same = same && strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("%s: warnings\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// setup warns of another template that comes before ours, for all names or for one, with
// its name and priority, also in a dry run on a fresh domain. It does not warn of one that
// comes after ours.
func TestSetupOverridden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	now := time.Now().UTC()
	day := func(days int) string { return "PREFIX-" + now.AddDate(0, 0, days).Format(time.DateOnly) }
	const other = "/_index_template/PREFIX-others"
	f := func(name, pattern string, priority int, want ...string) {
		t.Helper()
		s.ask(http.MethodPut, other, fmt.Sprintf(`{"index_patterns":[%q,"no-such-*"],"priority":%d}`, pattern, priority))
		for _, args := range [][]string{{"--dry-run"}, nil, nil} {
			wantWarnings(t, name, warnings(s.setup(exitOK, append(args, "--skip=policy")...)), want...)
		}
		s.ask(http.MethodDelete, other, "")
		wantWarnings(t, name+" is gone", warnings(s.setup(exitOK, "--skip=policy")))
		for _, template := range []string{"PREFIX", "PREFIX-dead-letter"} {
			s.ask(http.MethodDelete, "/_index_template/"+template, "")
		}
	}
	ours := 100 + len(s.prefix)
	before := func(names ...string) string {
		return fmt.Sprintf("index template PREFIX-others (priority 300) takes precedence over PREFIX (priority %d) for %s: an index created from it lacks our fields and settings: delete PREFIX-others, narrow", ours, strings.Join(names, ", "))
	}
	f("catch-all", "PREFIX*", 300, before("PREFIX-outside", day(-1), day(0), day(1)))
	f("tomorrow's", day(1), 300, before(day(1)))
	f("pattern up to the last digit of the date", strings.TrimSuffix(day(1), day(1)[len(day(1))-1:])+"*", 300, before(slices.DeleteFunc([]string{day(-1), day(0), day(1)}, func(n string) bool {
		return n[:len(n)-1] != day(1)[:len(n)-1]
	})...))
	f("outside of another prefix", "*FIX-outside", 300)
	f("outside", "PREFIX-out*", 300, before("PREFIX-outside"))
	f("dead letters", "PREFIX-dead*", 2000, "index template PREFIX-others (priority 2000) takes precedence over PREFIX-dead-letter (priority 1000) for PREFIX-dead-letter: ")
	f("all and dead letters", "PREFIX-*", 2000, strings.Replace(before("PREFIX-outside", day(-1), day(0), day(1)), "300", "2000", 1), "index template PREFIX-others (priority 2000) takes precedence over PREFIX-dead-letter")
	f("lower", "PREFIX*", ours-1)

	// Legacy templates apply only to names without an index template.
	s.ask(http.MethodPut, "/_template/PREFIX", `{"index_patterns":["PREFIX-*"],"order":9999,"settings":{"index.default_pipeline":"p"}}`)
	t.Cleanup(func() { s.remove("/_template/PREFIX") })
	wantWarnings(t, "legacy", warnings(s.setup(exitOK, "--skip=policy")))
	s.ask(http.MethodDelete, "/_index_template/PREFIX", "")

	s.ask(http.MethodPut, other, fmt.Sprintf(`{"index_patterns":["PREFIX-*"],"priority":%d}`, ours))
	want := fmt.Sprintf("template PREFIX: failed: index template PREFIX-others (priority %d) has the priority of PREFIX, so OpenSearch refuses PREFIX: delete PREFIX-others, narrow", ours)
	if out := s.setup(exitFailure, "--skip=policy", "--dry-run"); !strings.HasPrefix(out, want) || strings.Contains(out, "warning") {
		t.Error(out)
	}
	want = "template PREFIX: failed: install index template PREFIX: OpenSearch answers 400 Bad Request: illegal_argument_exception: index template [PREFIX] has"
	if out := s.setup(exitFailure, "--skip=policy"); !strings.HasPrefix(out, want) || !strings.Contains(out, "please use a different priority: delete that template, narrow its") {
		t.Error(out)
	}
	s.ask(http.MethodDelete, other, "")
}

// setup warns with the missing permission where a request is denied, and does the rest.
func TestSetupOverridden_Forbidden(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	f := func(path, want string) {
		t.Helper()
		s.refuse = func(r *http.Request) (int, string) {
			if !strings.HasSuffix(r.URL.Path, path) && !strings.Contains(r.URL.Path, path+"/") {
				return 0, ""
			}
			return http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions"},"status":403}`
		}
		got := warnings(s.setup(exitOK, "--skip=policy"))
		if len(got) != 2 || !strings.Contains(got[0], want) || !strings.Contains(got[0], "403: security_exception: no permissions: allow ") {
			t.Errorf("%s: %q", path, got)
		}
	}
	f("/_settings", "allow indices:monitor/settings/get")
	f("/_index_template/_simulate_index", "allow indices:admin/index_template/simulate_index")
	s.refuse = func(r *http.Request) (int, string) {
		if !strings.Contains(r.URL.Path, "/_simulate") {
			return 0, ""
		}
		return http.StatusInternalServerError, `{"error":{"type":"null_pointer_exception","reason":"broken"},"status":500}`
	}
	wantWarnings(t, "server's fault", warnings(s.setup(exitOK, "--skip=policy")), slices.Repeat([]string{"which ingest pipelines the next indices get cannot be checked: OpenSearch answers 500: null_pointer_exception: broken: check the domain's health"}, 2)...)
	s.refuse = func(r *http.Request) (int, string) {
		if !strings.Contains(r.URL.Path, "/_simulate") {
			return 0, ""
		}
		return http.StatusBadGateway, "<html>"
	}
	wantWarnings(t, "gateway", warnings(s.setup(exitOK, "--skip=policy")), "which ingest pipelines the next indices get cannot be checked: simulate index PREFIX-outside: OpenSearch answers 502 Bad Gateway: <html>: check", "which")
	s.refuse = func(r *http.Request) (int, string) {
		if !strings.HasSuffix(r.URL.Path, "/_settings") {
			return 0, ""
		}
		return http.StatusOK, "<html>"
	}
	s.wantLines(s.setup(exitFailure, "--skip=policy"), "template PREFIX: failed: the server at "+s.env["OPENSEARCH_URL"]+" is not OpenSearch: correct OPENSEARCH_URL (--opensearch-url)\n")
	s.refuse = func(r *http.Request) (int, string) {
		if r.URL.Path != "/_index_template" {
			return 0, ""
		}
		return http.StatusForbidden, `{"Message":"User: x is not authorized to perform: es:ESHttpGet"}`
	}
	wantWarnings(t, "list", warnings(s.setup(exitOK, "--skip=policy")), slices.Repeat([]string{"whether other index templates take precedence over ours cannot be checked: "}, 2)...)
}

// setup warns of ingest pipelines, of existing indices and of future ones.
func TestSetupPipelines(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	today := "PREFIX-" + time.Now().UTC().Format(time.DateOnly)
	for _, p := range []string{"PREFIX-p", "PREFIX-q"} {
		s.ask(http.MethodPut, "/_ingest/pipeline/"+p, `{"processors":[]}`)
		t.Cleanup(func() { s.remove("/_ingest/pipeline/" + p) })
	}
	s.ask(http.MethodPut, "/"+today, `{"settings":{"index":{"default_pipeline":"PREFIX-p","final_pipeline":"_none","hidden":true}}}`)
	s.ask(http.MethodPut, "/PREFIX-dead-letter", `{"settings":{"index":{"final_pipeline":"PREFIX-q"}}}`)
	s.ask(http.MethodPost, "/PREFIX-dead-letter/_close", "")
	wantWarnings(t, "indices", warnings(s.setup(exitOK, "--skip=policy")),
		"documents written to "+today+" pass ingest pipeline PREFIX-p (index.default_pipeline): see that PREFIX-p changes no field of the schema and sets neither _id nor _index (where it does, events that are delivered again become dead letters), or remove it: PUT /"+today+`/_settings {"index.default_pipeline":"_none"}`,
		"documents written to PREFIX-dead-letter pass ingest pipeline PREFIX-q (index.final_pipeline)")
	s.ask(http.MethodDelete, "/"+today, "")
	s.ask(http.MethodDelete, "/PREFIX-dead-letter", "")

	// A template that comes after ours makes no index, even while ours does not exist yet.
	s.ask(http.MethodDelete, "/_index_template/PREFIX", "")
	s.ask(http.MethodPut, "/_index_template/PREFIX-others", `{"index_patterns":["PREFIX-*"],"priority":1,"template":{"settings":{"index":{"final_pipeline":"PREFIX-q"}}}}`)
	wantWarnings(t, "a later template", warnings(s.setup(exitOK, "--skip=policy", "--dry-run")))
	s.ask(http.MethodDelete, "/_index_template/PREFIX-others", "")

	// A pipeline set by a component of a template that comes before ours.
	s.ask(http.MethodPut, "/_component_template/PREFIX-c", `{"template":{"settings":{"index":{"final_pipeline":"PREFIX-q"}}}}`)
	s.ask(http.MethodPut, "/_index_template/PREFIX-others", `{"index_patterns":["PREFIX-outside"],"priority":300,"composed_of":["PREFIX-c"]}`)
	t.Cleanup(func() { s.remove("/_index_template/PREFIX*"); s.remove("/_component_template/PREFIX-c") })
	wantWarnings(t, "component", warnings(s.setup(exitOK, "--skip=policy")),
		"index template PREFIX-others (priority 300) takes precedence over", "new indices PREFIX-outside get ingest pipeline PREFIX-q (index.final_pipeline): ")
	s.ask(http.MethodDelete, "/_index_template/PREFIX-others", "")
	wantWarnings(t, "none", warnings(s.setup(exitOK, "--skip=policy")))
}

// withTakenNames calls f for each way in which a name conflicts with DATA_STREAM: by an
// existing index, alias or data stream, or by another template. The domain is cleaned up
// after each call.
func withTakenNames(s *site, f func(name string, dataStream bool, found string)) {
	s.t.Helper()
	s.env["DASHBOARDS_URL"] = ""
	today := "PREFIX-" + time.Now().UTC().Format(time.DateOnly)
	const stream, other = `"data_stream":{}`, "/_index_template/PREFIX-others"
	const nothing = "/PREFIX-no-such"
	c := func(name string, dataStream bool, found, undo string, steps ...string) {
		s.t.Helper()
		for _, step := range steps {
			parts := strings.SplitN(step, " ", 3)
			s.ask(parts[0], parts[1], strings.Join(parts[2:], ""))
		}
		f(name, dataStream, found)
		for _, path := range []string{undo, "/PREFIX*", "/_index_template/PREFIX*"} {
			s.remove(path)
		}
	}
	c("index", true, "is true, but PREFIX is an index: set DATA_STREAM to false, choose another INDEX_PREFIX (--index-prefix), or reindex PREFIX", nothing, "PUT /PREFIX")
	c("closed index", true, "is true, but PREFIX is an index: set DATA_STREAM to false, choose another INDEX_PREFIX (--index-prefix), or reindex PREFIX", nothing, "PUT /PREFIX", "POST /PREFIX/_close")
	c("hidden index", true, "is true, but PREFIX is an index: set DATA_STREAM to false, choose another INDEX_PREFIX (--index-prefix), or reindex PREFIX", "/PREFIX", `PUT /PREFIX {"settings":{"index.hidden":true}}`)
	c("alias", true, "is true, but PREFIX is an alias: set DATA_STREAM to false, choose another INDEX_PREFIX (--index-prefix), or remove the alias", nothing, `PUT /PREFIX-x {"aliases":{"PREFIX":{"is_write_index":true}}}`)
	c("today", false, "is false, but "+today+" is a data stream: set DATA_STREAM to true, ", "/_data_stream/"+today,
		"PUT "+other+` {"index_patterns":["PREFIX-2*"],"priority":9,`+stream+"}", "PUT /_data_stream/"+today)
	c("PREFIX", false, "is false, but PREFIX is a data stream: set DATA_STREAM to true, choose another INDEX_PREFIX (--index-prefix), or delete the data stream with its documents: DELETE /_data_stream/PREFIX", "/_data_stream/PREFIX",
		"PUT "+other+` {"index_patterns":["PREFIX"],"priority":9,`+stream+"}", "PUT /_data_stream/PREFIX")
	c("template of indices", true, "is true, but index template PREFIX-others (priority 300) creates an index for PREFIX", nothing,
		"PUT "+other+` {"index_patterns":["PREFIX*"],"priority":300}`)
	c("template of data streams", false, "is false, but index template PREFIX-others (priority 300) creates a data stream for PREFIX-outside, ", nothing,
		"PUT "+other+` {"index_patterns":["PREFIX-*"],"priority":300,`+stream+"}")
}

// setup fails if a name conflicts with DATA_STREAM, and writes nothing, not even the policy.
func TestSetupNameTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	withTakenNames(s, func(name string, dataStream bool, found string) {
		t.Helper()
		for _, args := range [][]string{{"--dry-run"}, nil} {
			s.writes()
			out := s.setup(exitSettings, append(args, fmt.Sprintf("--data-stream=%t", dataStream))...)
			if !strings.HasPrefix(out, "logsluice: DATA_STREAM (--data-stream) "+found) || strings.Count(out, "\n") != 1 {
				t.Errorf("%s: %s", name, out)
			}
			if writes := s.writes(); len(writes) > 0 {
				t.Errorf("%s: wrote %q", name, writes)
			}
		}
	})
	// An existing data stream does not conflict, and its template is simulated by the stream's name.
	s.env["DATA_STREAM"] = "true"
	s.setup(exitOK, "--skip=policy")
	s.ask(http.MethodPut, "/_data_stream/PREFIX", "")
	t.Cleanup(func() { s.remove("/_data_stream/PREFIX") })
	wantWarnings(t, "stream", warnings(s.setup(exitOK, "--skip=policy")))
	s.ask(http.MethodPut, "/_index_template/PREFIX-others", `{"index_patterns":["PREFIX*"],"priority":300,"data_stream":{},"template":{"settings":{"index.default_pipeline":"p"}}}`)
	wantWarnings(t, "stream of others", warnings(s.setup(exitOK, "--skip=policy")), "index template PREFIX-others (priority 300) takes precedence over PREFIX ", "new indices PREFIX get ingest pipeline p")
}

// A worker exits with code 2 if a name conflicts, and writes nothing.
func TestRunNameTaken(t *testing.T) {
	t.Parallel()
	newStart(t, fakeaws.KinesisOptions{}) // creates the stream
	s := newSite(t)
	withTakenNames(s, func(name string, dataStream bool, found string) {
		t.Helper()
		s.writes()
		for name, value := range s.env {
			setenv(t, name, value)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // for a worker that does not exit
		defer cancel()
		var log strings.Builder
		code := program(ctx, t, []string{"run", fmt.Sprintf("--data-stream=%t", dataStream)}, nil, io.Discard, &log)
		errOut := strings.ReplaceAll(log.String(), s.prefix, "PREFIX")
		if code != exitSettings || !strings.Contains(errOut, "\nlogsluice: DATA_STREAM (--data-stream) "+found) && !strings.HasPrefix(errOut, "logsluice: DATA_STREAM (--data-stream) "+found) {
			t.Fatalf("%s: exit %d: %s", name, code, errOut)
		}
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("%s: wrote %q", name, writes)
		}
	})
}

// A worker logs a template that comes before its own, continues, and becomes ready.
func TestRunOverridden(t *testing.T) {
	t.Parallel()
	s := newSharedSink(t)
	address := localtest.FreeAddress(t)
	s.ask(http.MethodPut, "/_index_template/"+s.prefix+"-others", `{"index_patterns":["`+s.prefix+`-*"],"priority":300}`)
	s.produce(generator(1, 20), 20)
	s.begin("METRICS_ADDRESS=" + address)
	s.indexed()
	probed{s.cluster, address}.ready()
	s.eventually("the template is logged", func() bool {
		for line := range strings.Lines(s.w.lines()) {
			if strings.Contains(line, `"message":"`+string(doctor.Overridden)+`"`) && strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "index template "+s.prefix+"-others (priority 300) takes precedence over "+s.prefix) {
				return true
			}
		}
		return false
	})
	s.w.stop()
}
