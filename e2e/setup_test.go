package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"logsluice/internal/fakedomain"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// site is a domain to set up: a real OpenSearch, with fakes of the plugin and Dashboards,
// which the real one does not have.
type site struct {
	t          *testing.T
	prefix     string
	search     *httptest.Server
	ism        *fakedomain.ISM
	dashboards *fakedomain.Dashboards
	env        map[string]string

	mu     sync.Mutex
	puts   []string // to OpenSearch itself
	refuse func(*http.Request) (status int, body string)
}

func newSite(t *testing.T) *site {
	t.Helper()
	client := localtest.Client(t)
	s := &site{t: t, prefix: localtest.Prefix(t, client), ism: fakedomain.NewISM(), dashboards: &fakedomain.Dashboards{BasePath: "/_dashboards"}}
	real, err := url.Parse(localtest.OpenSearch(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(real)
	s.search = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		refuse := s.refuse
		if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "_ism") && !strings.Contains(r.URL.Path, "/_simulate") {
			s.puts = append(s.puts, r.Method+" "+r.URL.Path)
		}
		s.mu.Unlock()
		if refuse != nil {
			if status, body := refuse(r); status != 0 {
				w.WriteHeader(status)
				fmt.Fprint(w, body)
				return
			}
		}
		if strings.Contains(r.URL.Path, "/_ism/") || r.Method == http.MethodGet && r.URL.Path == "/_cluster/settings" {
			s.ism.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	dashboards := httptest.NewServer(s.dashboards)
	t.Cleanup(s.search.Close)
	t.Cleanup(dashboards.Close)
	s.env = map[string]string{"OPENSEARCH_URL": s.search.URL, "DASHBOARDS_URL": dashboards.URL + "/_dashboards", "INDEX_PREFIX": s.prefix}
	return s
}

// setup runs the command, checks its exit code, and returns its output with PREFIX for the
// prefix.
func (s *site) setup(code int, args ...string) string {
	s.t.Helper()
	got, out, errOut := command(s.t, s.env, nil, append([]string{"setup"}, args...)...)
	out = strings.ReplaceAll(out+errOut, s.prefix, "PREFIX")
	if got != code {
		s.t.Errorf("%q: exit %d, want %d:\n%s", args, got, code, out)
	}
	return out
}

// writes returns the requests since the last call that can have written anything.
func (s *site) writes() []string {
	s.mu.Lock()
	writes := s.puts
	s.puts = nil
	s.mu.Unlock()
	for _, r := range append(s.ism.Take(), s.dashboards.Take()...) {
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/_bulk_get") {
			writes = append(writes, r.Method+" "+r.URL.Path)
		}
	}
	for i := range writes {
		writes[i] = strings.ReplaceAll(writes[i], s.prefix, "PREFIX")
	}
	return writes
}

// wantLines checks that each of want occurs in out at the beginning of a line.
func (s *site) wantLines(out string, want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !strings.Contains("\n"+out, "\n"+w) {
			s.t.Errorf("no line %q in\n%s", w, out)
		}
	}
}

// notInState returns the lines of an output that report another state.
func notInState(out, state string) (lines []string) {
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, ": "+state+"\n") {
			lines = append(lines, line)
		}
	}
	return lines
}

// setup installs everything on an empty domain, and writes nothing to one that is set up.
func TestSetup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	out := s.setup(exitOK, "--dry-run")
	if others := notInState(out, "would be installed"); !slices.Equal(others, []string{"indices PREFIX: in place\n"}) {
		t.Errorf("dry run: %q", others)
	}
	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("the dry run wrote: %q", writes)
	}
	out = s.setup(exitOK)
	if others := notInState(out, "installed"); !slices.Equal(others, []string{"indices PREFIX: in place\n"}) {
		t.Errorf("first run: %q", others)
	}
	s.wantLines(out, "template PREFIX: installed", "template PREFIX-dead-letter: installed", "policy PREFIX: installed", "index-pattern PREFIX: installed", "dashboard PREFIX-operations: installed")
	if writes, want := s.writes(), []string{
		"PUT /_index_template/PREFIX", "PUT /_index_template/PREFIX-dead-letter", "PUT /_plugins/_ism/policies/PREFIX", "POST /_dashboards/api/saved_objects/_import",
	}; !slices.Equal(writes, want) {
		t.Errorf("the first run wrote %q", writes)
	}
	for _, args := range [][]string{nil, {"--dry-run"}, {"--existing"}} {
		if others := notInState(s.setup(exitOK, args...), "in place"); len(others) > 0 {
			t.Errorf("%q again: %q", args, others)
		}
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("%q wrote again: %q", args, writes)
		}
	}
	var outcomes []struct{ Kind, Name, State string }
	if err := json.Unmarshal([]byte(s.setup(exitOK, "--output=json")), &outcomes); err != nil || len(outcomes) < 10 || outcomes[2].Kind != "policy" || outcomes[2].State != "in place" {
		t.Errorf("as JSON: %+v, %v", outcomes, err)
	}
}

// A dry run shows what was changed on the domain or by a setting. The next run changes
// exactly that.
func TestSetupDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setup(exitOK)
	policy := func(edit func(policy map[string]any)) {
		t.Helper()
		edited := s.ism.Policy(s.prefix)
		edit(edited)
		s.putPolicy(edited)
	}
	object := func(name string, edit func(attributes map[string]any)) {
		s.dashboards.Edit(strings.ReplaceAll(name, "PREFIX", s.prefix), func(o map[string]any) { edit(o["attributes"].(map[string]any)) })
	}
	f := func(name string, drift func(), args []string, kind string, changes []string, write string) {
		t.Helper()
		drift()
		s.writes()
		dry := s.setup(exitOK, append(args, "--dry-run")...)
		if writes := s.writes(); len(writes) > 0 {
			t.Errorf("%s: the dry run wrote: %q", name, writes)
		}
		s.wantLines(dry, kind+": would be changed\n"+strings.Join(changes, "\n")+"\n")
		s.wantLines(s.setup(exitOK, args...), kind+": changed\n"+strings.Join(changes, "\n")+"\n")
		if writes := s.writes(); !slices.Equal(writes, []string{write}) {
			t.Errorf("%s: wrote %q", name, writes)
		}
		if others := notInState(s.setup(exitOK, args...), "in place"); len(others) > 0 {
			t.Errorf("%s: still different: %q", name, others)
		}
	}
	put := func(path, body string) func() {
		return func() {
			if err := inspect.Ask(t.Context(), localtest.Client(t), http.MethodPut, path, body, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	noDrift := func() {}
	const putPolicy, imported = "PUT /_plugins/_ism/policies/PREFIX", "POST /_dashboards/api/saved_objects/_import"
	f("template by hand", func() {
		var found struct {
			Templates []struct {
				Template map[string]any `json:"index_template"`
			} `json:"index_templates"`
		}
		if err := inspect.Ask(t.Context(), localtest.Client(t), http.MethodGet, "/_index_template/"+s.prefix, "", &found); err != nil {
			t.Fatal(err)
		}
		template := found.Templates[0].Template
		template["template"].(map[string]any)["settings"].(map[string]any)["index"].(map[string]any)["refresh_interval"] = "9s"
		body, _ := json.Marshal(template)
		put("/_index_template/"+s.prefix, string(body))()
	}, nil, "template PREFIX", []string{`  template.settings.index.refresh_interval: "9s" → "1s"`}, "PUT /_index_template/PREFIX")
	f("template by a setting", noDrift, []string{"--index-shards=2"}, "template PREFIX", []string{`  template.settings.index.number_of_shards: "1" → "2"`}, "PUT /_index_template/PREFIX")
	s.setup(exitOK)
	f("policy by hand", func() {
		policy(func(p map[string]any) {
			p["states"].([]any)[0].(map[string]any)["transitions"].([]any)[0].(map[string]any)["conditions"] = map[string]any{"min_doc_count": 5}
		})
	}, nil, "policy PREFIX", []string{`  states[0].transitions[0].conditions.min_index_age: none → "31d"`}, putPolicy)
	f("an additional state", func() {
		policy(func(p map[string]any) {
			p["states"] = append(p["states"].([]any), map[string]any{"name": "more", "actions": []any{}, "transitions": []any{}})
		})
	}, nil, "policy PREFIX", []string{`  states[2]: {"actions":[],"name":"more","transitions":[]} → none`}, putPolicy)
	f("policy by a setting", noDrift, []string{"--delete-after=60d"}, "policy PREFIX", []string{
		`  description: … newest document is 30d old, and keeps the dead letters in PREFIX-dead-letter" → … newest document is 60d old, and keeps the dead letters in PREFIX-dead-letter"`,
		`  states[0].transitions[0].conditions.min_index_age: "31d" → "61d"`,
	}, putPolicy)
	s.setup(exitOK)
	f("search by hand", func() {
		object("search:PREFIX-lines", func(a map[string]any) { a["columns"] = []any{"message"} })
	}, nil, "search PREFIX-lines", []string{`  attributes.columns: ["message"] → ["level","msg","message","log_group"]`}, imported)
	f("nested JSON", func() {
		object("dashboard:PREFIX-operations", func(a map[string]any) { a["optionsJSON"] = `{"useMargins":false,"hidePanelTitles":false}` })
	}, nil, "dashboard PREFIX-operations", []string{`  attributes.optionsJSON.useMargins: false → true`}, imported)
	f("a field of the index pattern", func() {
		object("index-pattern:PREFIX", func(a map[string]any) {
			a["fields"] = strings.Replace(a["fields"].(string), `"name":"level","type":"string"`, `"name":"level","type":"number"`, 1)
		})
	}, nil, "index-pattern PREFIX", []string{`  attributes.fields.level.type: "number" → "string"`}, imported)
	s.dashboards.Delete("search:" + s.prefix + "-errors")
	s.wantLines(s.setup(exitOK), "search PREFIX-errors: installed\n")
}

// Users' additions to an index pattern stay when it is written again.
func TestSetupKeepsAdded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["SCHEMA"] = "ecs" // which sets a field format
	s.setup(exitOK)
	var after map[string]any
	edit := func(f func(attributes map[string]any)) {
		s.dashboards.Edit("index-pattern:"+s.prefix, func(o map[string]any) { f(o["attributes"].(map[string]any)) })
	}
	edit(func(a map[string]any) {
		fields := strings.Replace(a["fields"].(string), `"name":"log.level","type":"string","esTypes":["keyword"],"count":0`, `"name":"log.level","type":"string","esTypes":["keyword"],"count":7`, 1)
		a["fields"] = strings.TrimSuffix(fields, "]") + `,{"name":"slow","type":"boolean","scripted":true,"script":"doc['event.duration'].value > 1e9","lang":"painless","count":2},{"name":"gone","type":"string"}]`
		a["fieldFormatMap"] = strings.Replace(a["fieldFormatMap"].(string), "{", `{"http.response.bytes":{"id":"bytes"},`, 1)
		a["sourceFilters"] = `[{"value":"secret"}]`
	})
	if others := notInState(s.setup(exitOK), "in place"); len(others) > 0 {
		t.Errorf("%q", others)
	}
	edit(func(a map[string]any) { a["timeFieldName"] = "event.created" })
	s.wantLines(s.setup(exitOK), "index-pattern PREFIX: changed\n  attributes.timeFieldName: \"event.created\" → \"@timestamp\"\n")
	edit(func(a map[string]any) { after = maps.Clone(a) })
	var fields []map[string]any
	if err := json.Unmarshal([]byte(after["fields"].(string)), &fields); err != nil {
		t.Fatal(err)
	}
	counts := map[any]any{}
	for _, f := range fields {
		counts[f["name"]] = f["count"]
	}
	_, gone := counts["gone"]
	if counts["slow"] != 2.0 || counts["log.level"] != 7.0 || counts["message"] != 0.0 || gone {
		t.Errorf("fields %v", after["fields"])
	}
	for _, want := range []string{`"http.response.bytes":{"id":"bytes"}`, `"event.duration":{"id":"duration"`} {
		if !strings.Contains(after["fieldFormatMap"].(string), want) {
			t.Errorf("formats %v", after["fieldFormatMap"])
		}
	}
	if after["sourceFilters"] != `[{"value":"secret"}]` || after["timeFieldName"] != "@timestamp" {
		t.Errorf("%v", after)
	}
}

// putPolicy changes the policy as another person would.
func (s *site) putPolicy(policy map[string]any) {
	s.t.Helper()
	var found struct {
		SeqNo int `json:"_seq_no"`
	}
	at := s.search.URL + "/_plugins/_ism/policies/" + s.prefix
	resp, err := http.Get(at)
	if err != nil {
		s.t.Fatal(err)
	}
	json.NewDecoder(resp.Body).Decode(&found)
	resp.Body.Close()
	body, _ := json.Marshal(map[string]any{"policy": policy})
	req, _ := http.NewRequest(http.MethodPut, fmt.Sprintf("%s?if_seq_no=%d&if_primary_term=1", at, found.SeqNo), strings.NewReader(string(body)))
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}

// setup leaves alone what Dashboards and the plugin add, and what users can set.
func TestSetupLeavesAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setup(exitOK)
	notify := map[string]any{"destination": map[string]any{"slack": map[string]any{"url": "https://example.com"}}}
	edited := s.ism.Policy(s.prefix)
	edited["error_notification"] = notify
	s.putPolicy(edited)
	s.dashboards.Edit("index-pattern:"+s.prefix, func(o map[string]any) {
		attributes := o["attributes"].(map[string]any)
		var fields []map[string]any
		json.Unmarshal([]byte(attributes["fields"].(string)), &fields)
		fields[3]["count"] = 7
		slices.Reverse(fields)
		fields = append(fields, map[string]any{"name": "found.later", "type": "string"})
		text, _ := json.Marshal(fields)
		attributes["fields"] = string(text)
	})
	s.dashboards.Edit("visualization:"+s.prefix+"-lines-by-level", func(o map[string]any) {
		slices.Reverse(o["references"].([]any))
		attributes := o["attributes"].(map[string]any)
		attributes["added"] = "{}"
		attributes["visState"] = strings.Replace(attributes["visState"].(string), "{", `{"added":1,`, 1)
	})
	s.writes()
	if others := notInState(s.setup(exitOK), "in place"); len(others) > 0 || len(s.writes()) > 0 {
		t.Errorf("changed: %q", others)
	}
	s.setup(exitOK, "--delete-after=10d")
	if got := fmt.Sprint(s.ism.Policy(s.prefix)["error_notification"]); got != fmt.Sprint(notify) {
		t.Errorf("the notification became %s", got)
	}
}

// Existing indices without a policy get ours only with --existing.
func TestSetupExisting(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, policy := range map[string]string{
		"-2018-12-10": "", "-2018-12-11": "another", "-dead-letter": "", "-web-2018-12-10": "",
	} {
		s.ism.CreateIndex(s.prefix+name, policy)
	}
	for i := range 40 {
		s.ism.CreateIndex(fmt.Sprintf("%s-2019-%02d", s.prefix, i), "")
	}
	out := s.setup(exitOK, "--skip=templates,dashboards")
	s.wantLines(out, "templates: left out: --skip\n", "policy PREFIX: installed\nindices PREFIX: left out: --existing attaches the policy, and indices past their age are then deleted within minutes\n  PREFIX-2018-12-10: no policy → PREFIX\n",
		"  and 29 more\n", "dashboards: left out: --skip\n")
	s.ism.CreateIndex(s.prefix+"-2018-12-12", s.prefix) // has the policy by its template
	s.writes()
	s.setup(exitOK, "--skip=templates,dashboards", "--existing", "--dry-run")
	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("the dry run wrote: %q", writes)
	}
	s.wantLines(s.setup(exitOK, "--skip=templates,dashboards", "--existing"), "indices PREFIX: changed: 1 have another policy and keep it: PREFIX-2018-12-11\n")
	writes := s.writes()
	if len(writes) != 3 || !strings.HasPrefix(writes[0], "POST /_plugins/_ism/add/PREFIX-2018-12-10,PREFIX-2019-00,") {
		t.Errorf("wrote %q", writes)
	}
	// The plugin applies a policy later, and reports no version before its first run.
	for range 2 {
		s.wantLines(s.setup(exitOK, "--existing"), "indices PREFIX: in place: 1 have another policy and keep it: PREFIX-2018-12-11\n")
		s.ism.Turn()
	}

	// The index of events outside the window has no date in its name, and did not exist yet.
	s.ism.CreateIndex(s.prefix+"-outside", "")
	s.wantLines(s.setup(exitOK, "--existing"), "indices PREFIX: changed: 1 have another policy and keep it: PREFIX-2018-12-11\n  PREFIX-outside: no policy → PREFIX\n")
	s.ism.Turn()

	// The indices that have the policy get its new version.
	dry := s.setup(exitOK, "--existing", "--delete-after=7d", "--dry-run")
	s.wantLines(dry, "indices PREFIX: would be changed: 1 have another policy and keep it: PREFIX-2018-12-11\n  PREFIX-2018-12-10: an earlier version of PREFIX → this one\n")
	s.wantLines(s.setup(exitOK, "--delete-after=7d"), "indices PREFIX: left out: --existing")
	s.writes()
	s.wantLines(s.setup(exitOK, "--existing", "--delete-after=7d"), "policy PREFIX: in place\nindices PREFIX: changed")
	if writes := s.writes(); len(writes) != 3 || !strings.HasPrefix(writes[0], "POST /_plugins/_ism/change_policy/PREFIX-2018-12-10,PREFIX-2018-12-12,") {
		t.Errorf("wrote %q", writes)
	}
	s.ism.Turn()
	s.wantLines(s.setup(exitOK, "--existing", "--delete-after=7d"), "indices PREFIX: in place")

	s.ism.CreateIndex(s.prefix+"-2020-01-01", "")
	s.ism.Forbidden = s.prefix + "-2020-01-01"
	s.wantLines(s.setup(exitFailure, "--existing", "--delete-after=7d"), "indices PREFIX: failed: 1 have another policy and keep it: PREFIX-2018-12-11: attach policy PREFIX to indices: OpenSearch skipped 1 of PREFIX-2020-01-01: allow ")
}

// An index created before its policy changed keeps the earlier version until setup changes
// it, whether the plugin has already processed the index or not.
func TestSetupExistingBeforeFirstTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	s.setup(exitOK)
	today, other := s.prefix+"-2026-01-01", s.prefix+"-2026-01-02"
	s.ism.CreateIndex(today, s.prefix)
	s.ism.CreateIndex(other, s.prefix)
	s.wantLines(s.setup(exitOK), "indices PREFIX: in place\n")
	const earlier = "  PREFIX-2026-01-01: an earlier version of PREFIX → this one\n"
	s.wantLines(s.setup(exitOK, "--delete-after=7d"), "policy PREFIX: changed\n", "indices PREFIX: left out: --existing attaches the policy", earlier)

	// A change denied for one index does not prevent the change of the others.
	s.ism.Forbidden = other
	s.wantLines(s.setup(exitFailure, "--delete-after=7d", "--existing"), "indices PREFIX: failed: attach policy PREFIX to indices: OpenSearch answers 403 Forbidden")
	s.ism.Forbidden = ""
	s.ism.Turn()
	s.wantLines(s.setup(exitOK, "--delete-after=7d"), "  PREFIX-2026-01-02: an earlier version of PREFIX → this one\n")
	if out := s.setup(exitOK, "--delete-after=7d"); strings.Contains(out, earlier) {
		t.Errorf("the index did not get the policy:\n%s", out)
	}

	// Changing the policy and changing it back gives a new version with the same content.
	s.setup(exitOK, "--delete-after=7d", "--existing")
	s.ism.Turn()
	s.ism.CreateIndex(s.prefix+"-2026-01-03", s.prefix)
	s.setup(exitOK, "--delete-after=8d")
	s.setup(exitOK, "--delete-after=7d")
	if out := s.setup(exitOK, "--delete-after=7d", "--dry-run"); strings.Contains(out, "2026-01-03") {
		t.Errorf("an index with the same content is listed:\n%s", out)
	}
}

// Two runs that assign the policy at the same time do not fail over each other's changes.
func TestSetupExistingConflict(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	s.setup(exitOK)
	s.ism.CreateIndex(s.prefix+"-2026-01-01", "")
	var ran atomic.Bool
	s.ism.Before = func(r *http.Request) {
		if strings.Contains(r.URL.Path, "/add/") && !ran.Swap(true) {
			s.setup(exitOK, "--existing")
		}
	}
	s.wantLines(s.setup(exitOK, "--existing"), "indices PREFIX: changed\n")
}

// A plugin that is switched off accepts policies but does not apply them: setup warns.
func TestSetupPoliciesOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	f := func(settings map[string]any, want string) {
		t.Helper()
		s.ism.Settings = settings
		for _, args := range [][]string{{"--dry-run"}, nil, {"--existing"}} {
			out := s.setup(exitOK, args...)
			if want == "" {
				if strings.Contains(out, "warning") {
					t.Errorf("a warning in\n%s", out)
				}
				continue
			}
			s.wantLines(out, "  warning: Index State Management is switched off ("+want+" is false): indices are not deleted: switch it on: PUT /_cluster/settings {\"persistent\":{\""+want+"\":true}}\n")
		}
	}
	const name, legacy = "plugins.index_state_management.enabled", "opendistro.index_state_management.enabled"
	for _, scope := range []string{"transient", "persistent", "defaults"} {
		f(fakedomain.Enabled(scope, "plugins", "false"), name)
		f(fakedomain.Enabled(scope, "opendistro", "false"), legacy)
		f(fakedomain.Enabled(scope, "plugins", "true"), "")
	}
	both := fakedomain.Enabled("transient", "plugins", "true")
	maps.Copy(both, fakedomain.Enabled("persistent", "plugins", "false"))
	f(both, "")
	f(map[string]any{}, "")

	s.refuse = func(r *http.Request) (int, string) {
		if r.URL.Path != "/_cluster/settings" {
			return 0, ""
		}
		return http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions for [cluster:monitor/state]"},"status":403}`
	}
	s.wantLines(s.setup(exitOK), "policy PREFIX: in place\n  warning: whether Index State Management is switched on cannot be checked: OpenSearch answers 403: security_exception: no permissions for [cluster:monitor/state]: allow cluster:monitor/state")
}

// Two runs against the same domain do not undo each other's changes.
func TestSetupConflict(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["DASHBOARDS_URL"] = ""
	var once sync.Once
	s.ism.Before = func(r *http.Request) {
		if r.Method == http.MethodPut {
			once.Do(func() {
				s.ism.Before = nil
				s.setup(exitOK, "--skip=templates", "--delete-after=90d")
			})
		}
	}
	out := s.setup(exitOK, "--skip=templates")
	s.wantLines(out, "policy PREFIX: changed\n")
	if !strings.Contains(out, `"91d" → "31d"`) {
		t.Errorf("the replaced value is not reported:\n%s", out)
	}
	once = sync.Once{}
	s.ism.Before = func(r *http.Request) {
		if r.Method == http.MethodPut {
			once.Do(func() {
				s.ism.Before = nil
				s.setup(exitOK, "--skip=templates", "--delete-after=5d")
			})
		}
	}
	s.wantLines(s.setup(exitOK, "--skip=templates", "--delete-after=5d"), "policy PREFIX: in place\n")
}

// setup reports each failure with its remedy, and does the rest.
func TestSetup_Failure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	answer := func(part string, status int, body string) {
		s.refuse = func(r *http.Request) (int, string) {
			if strings.Contains(r.URL.Path, part) {
				return status, body
			}
			return 0, ""
		}
	}
	f := func(name string, env map[string]string, want ...string) {
		t.Helper()
		kept := map[string]string{}
		for k, v := range env {
			kept[k], s.env[k] = s.env[k], v
		}
		out := s.setup(exitFailure)
		for k, v := range kept {
			s.env[k] = v
		}
		for _, w := range want {
			if !regexp.MustCompile(`(?m)^` + w).MatchString(out) {
				t.Errorf("%s: no %s in\n%s", name, w, out)
			}
		}
		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		s.dashboards.NotReady, s.dashboards.Refuse = false, nil
		s.ism.Path = fakedomain.Path
	}
	const others = `index-pattern PREFIX: (installed|in place)$`
	answer("/_ism/", http.StatusBadRequest, `{"error":"no handler found for uri [/_plugins/_ism/policies/x] and method [GET]"}`)
	f("no plugin", nil, `policy PREFIX: failed: OpenSearch has no Index State Management: .*--skip=policy`, others, `logsluice: 1 of \d+ could not be set up$`)
	const denied = `{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/index_template/put] and User [name=x]"},"status":403}`
	answer("/_index_template/", http.StatusForbidden, denied)
	f("403", nil, `template PREFIX: failed: .*403 Forbidden: .*indices:admin/index_template/put.*: give the user the role`, `policy PREFIX: (installed|in place)$`, others)
	answer("/", http.StatusUnauthorized, "Unauthorized")
	f("401", nil, `OpenSearch: failed: .*401 Unauthorized: .*OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD`, `templates: left out: OpenSearch cannot be used`, `policy: left out: OpenSearch`, others)
	answer("/", http.StatusNotFound, "404 page not found")
	f("another server", nil, `OpenSearch: failed: .*404 Not Found: 404 page not found: correct OPENSEARCH_URL`, `templates: left out`, others)
	answer("/", http.StatusOK, "<html>")
	f("HTML", nil, `OpenSearch: failed: the server at http://.* is not OpenSearch: correct OPENSEARCH_URL`, others)
	f("down", map[string]string{"OPENSEARCH_URL": "http://127.0.0.1:1"}, `OpenSearch: failed: .*connection refused: check that it is running.*OPENSEARCH_URL`, others)
	secure := httptest.NewUnstartedServer(s.dashboards)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	f("certificate", map[string]string{"OPENSEARCH_URL": secure.URL}, `OpenSearch: failed: .*unknown authority: set OPENSEARCH_CA_FILE`, others)
	s.dashboards.NotReady = true
	f("not ready", nil, `dashboards: failed: read the saved objects: OpenSearch Dashboards answers 503 .*: check the domain's health`, `policy PREFIX: in place$`)
	f("path", map[string]string{"DASHBOARDS_URL": strings.TrimSuffix(s.env["DASHBOARDS_URL"], "/_dashboards")}, `dashboards: failed: .*404.*: correct DASHBOARDS_URL`)
	f("OpenSearch instead of Dashboards", map[string]string{"DASHBOARDS_URL": s.search.URL}, `dashboards: failed: .*no handler found.*: correct DASHBOARDS_URL`)
	f("Dashboards down", map[string]string{"DASHBOARDS_URL": "http://127.0.0.1:1"}, `dashboards: failed: .*connection refused: check that it is running.*DASHBOARDS_URL`)

	s.dashboards.Delete("dashboard:" + s.prefix + "-operations")
	s.dashboards.Delete("search:" + s.prefix + "-lines")
	s.dashboards.Refuse = map[string]string{"search:" + s.prefix + "-lines": "too long"}
	f("an object", nil, `search PREFIX-lines: failed: import the saved object: OpenSearch Dashboards answers unknown: too long$`, `dashboard PREFIX-operations: installed$`)
	s.wantLines(s.setup(exitOK), "search PREFIX-lines: installed\n")

	s.env["DASHBOARDS_URL"] = ""
	s.wantLines(s.setup(exitOK), "dashboards: left out: DASHBOARDS_URL (--dashboards-url) is not set\n")
}

// In Open Distro the plugin has another path.
func TestSetupOpenDistro(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ism.Path = "/_opendistro/_ism/"
	s.ism.CreateIndex(s.prefix+"-2018-12-10", "")
	s.wantLines(s.setup(exitOK, "--existing"), "policy PREFIX: installed\nindices PREFIX: changed\n")
	// Open Distro shows the version that an index has only after the plugin's next run.
	s.wantLines(s.setup(exitOK), "  PREFIX-2018-12-10: an earlier version of PREFIX → this one\n")
	s.ism.Turn()
	s.wantLines(s.setup(exitOK), "policy PREFIX: in place\nindices PREFIX: in place\n")
}

// setup reports invalid settings as run does.
func TestSetupSettings_Failure(t *testing.T) {
	t.Parallel()
	f := func(want string, env map[string]string, args ...string) {
		t.Helper()
		t.Run(want, func(t *testing.T) {
			all := map[string]string{"OPENSEARCH_URL": "http://127.0.0.1:1", "INDEX_PREFIX": "p", "AWS_REGION": "us-east-1"}
			for k, v := range env {
				all[k] = v
			}
			code, out, errOut := command(t, all, nil, append([]string{"setup"}, args...)...)
			if code != exitSettings || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, want) {
				t.Errorf("exit %d, %q, %q", code, out, errOut)
			}
		})
	}
	f("OPENSEARCH_URL", map[string]string{"OPENSEARCH_URL": ""})
	f("INDEX_PREFIX", map[string]string{"INDEX_PREFIX": ""})
	f("DASHBOARDS_URL", map[string]string{"DASHBOARDS_URL": "ftp://host"})
	f("DELETE_AFTER", map[string]string{"DELETE_AFTER": "1m"})
	f("DELETE_AFTER", map[string]string{"DELETE_AFTER": "soon"})
	f("MERGE_AFTER", map[string]string{"MERGE_AFTER": "60d"})
	f("AWS_REGION", map[string]string{"OPENSEARCH_SIGV4": "es", "AWS_REGION": ""})
	f("OPENSEARCH_SIGV4", map[string]string{"OPENSEARCH_SIGV4": "es", "OPENSEARCH_USERNAME": "u"})
	f("--skip", nil, "--skip=all")
}

// Requests to Dashboards are authenticated like those to OpenSearch, go below its base
// path, and name the tenant.
func TestSetupDashboardsRequests(t *testing.T) {
	t.Parallel()
	dashboards := &fakedomain.Dashboards{BasePath: "/_dashboards"}
	server := httptest.NewTLSServer(dashboards)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(name, path string, env map[string]string, authorization, tenant string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			all := map[string]string{
				"OPENSEARCH_URL": "http://127.0.0.1:1", "INDEX_PREFIX": "p", "DASHBOARDS_URL": server.URL + path, "OPENSEARCH_CA_FILE": ca,
				"AWS_REGION": "ap-northeast-1", "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET",
			}
			for k, v := range env {
				all[k] = v
			}
			dashboards.Delete("index-pattern:p")
			dashboards.Take()
			if code, out, errOut := command(t, all, nil, "setup", "--skip=templates,policy"); code != exitOK {
				t.Errorf("exit %d: %s%s", code, out, errOut)
			}
			requests := dashboards.Take()
			if len(requests) != 2 {
				t.Fatalf("%d requests", len(requests))
			}
			for _, r := range requests {
				if got := r.Header.Get("Authorization"); !strings.Contains(got, authorization) || got != "" && authorization == "" {
					t.Errorf("%s: Authorization %q", r.URL, got)
				}
				if got := r.Header.Get("securitytenant"); got != tenant || !strings.HasPrefix(r.URL.Path, "/_dashboards/api/") {
					t.Errorf("%s: tenant %q", r.URL, got)
				}
			}
		})
	}
	f("none", "/_dashboards", nil, "", "global") // otherwise Dashboards uses the private tenant of the user
	f("a slash", "/_dashboards/", nil, "", "global")
	f("basic", "/_dashboards", map[string]string{"OPENSEARCH_USERNAME": "user", "OPENSEARCH_PASSWORD": "word", "DASHBOARDS_TENANT": "team"}, "Basic dXNlcjp3b3Jk", "team")
	f("signed", "/_dashboards", map[string]string{"OPENSEARCH_SIGV4": "es"}, "/ap-northeast-1/es/aws4_request", "global")
}
