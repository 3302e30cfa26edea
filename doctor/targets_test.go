package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	f := func(n schema.Naming, body string, want ...Target) {
		t.Helper()
		n.Prefix, n.Zone = "app", time.UTC
		templates := []opensearch.Template{{Name: "app", Bodies: [][]byte{[]byte(body)}}, {Name: "app-dead-letter", Bodies: [][]byte{[]byte(`{"priority":1000}`)}}}
		got, err := Targets(templates, n, time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, Target{Name: "app-dead-letter", Template: "app-dead-letter", Priority: 1000, AnyKind: true})
		if !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
	}
	dated := func(name string) Target { return Target{Name: name, Template: "app", Priority: 103} }
	f(schema.Naming{}, `{"priority":103}`,
		dated("app-outside"), dated("app-2026-01-14"), dated("app-2026-01-15"), dated("app-2026-01-16"), Target{Name: "app"})
	f(schema.Naming{DataStream: true}, `{"priority":103,"data_stream":{}}`, Target{Name: "app", Template: "app", Priority: 103, DataStream: true})
}

// expectConcerns compares the problem, the finding and the beginning of the remedy of each
// concern. In texts, "…" stands for anything.
func expectConcerns(t *testing.T, name string, got []Concern, err error, want []Concern, fails string) {
	t.Helper()
	same := len(got) == len(want) && (err == nil) == (fails == "")
	for i := range min(len(got), len(want)) {
		same = same && got[i].Problem == want[i].Problem && matches(got[i].Found, want[i].Found) && matches(got[i].Remedy, want[i].Remedy+"…")
	}
	if !same || err != nil && !strings.Contains(err.Error(), fails) {
		t.Errorf("%s\ngot  %q, %v\nwant %q, %s", name, got, err, want, fails)
	}
}

func TestCheckNames(t *testing.T) {
	t.Parallel()
	f := func(name string, answers map[string]string, targets []Target, fails string, want ...Concern) {
		t.Helper()
		got, err := CheckNames(t.Context(), newDomain(answers), targets)
		expectConcerns(t, name, got, err, want, fails)
	}
	index, stream := Target{Name: "a", Template: "t"}, Target{Name: "a", Template: "t", DataStream: true}
	settings := func(name, settings string) string {
		return `200 {"` + name + `":{"settings":{"index":{` + settings + `}}}}`
	}
	at := func(answer string) map[string]string { return map[string]string{"GET /a/_settings": answer} }
	isIndex, isAlias, isStream := at(settings("a", "")), at(settings("b", "")), at(settings(".ds-a-000001", ""))
	f("nothing there", nil, []Target{index, stream}, "")
	f("index", isIndex, []Target{index}, "")
	f("alias", isAlias, []Target{index}, "")
	f("data stream", isStream, []Target{stream}, "")
	f("any kind", isStream, []Target{{Name: "a", AnyKind: true}}, "")
	f("index and not data stream", isIndex, []Target{stream}, "", Concern{NameTaken, "DATA_STREAM (--data-stream) is true, but a is an index",
		"set DATA_STREAM to false, choose another INDEX_PREFIX (--index-prefix), or reindex a under another name and delete it"})
	f("alias and not data stream", isAlias, []Target{stream}, "", Concern{NameTaken, "DATA_STREAM (--data-stream) is true, but a is an alias", "set DATA_STREAM to false, … or remove the alias"})
	f("data stream and not index", isStream, []Target{index}, "", Concern{NameTaken, "DATA_STREAM (--data-stream) is false, but a is a data stream",
		"set DATA_STREAM to true, … or delete the data stream with its documents: DELETE /_data_stream/a"})

	for _, status := range []string{"400", "403", "405", "500"} { // of the first of two names
		f(status, at(status+" no"), []Target{index, {Name: "b"}}, "", Concern{NotChecked, "whether a is an index or a data stream, and which ingest pipelines it has, cannot be checked: look up a: OpenSearch answers " + status + " …: no", ""})
	}
	f("denied", at(forbidden), []Target{index}, "", Concern{NotChecked, "…cannot be checked: OpenSearch answers 403: …", "allow indices:monitor/settings/get, es:ESHttpGet for /a/_settings"})
	f("server's fault", at("500"), []Target{index}, "", Concern{NotChecked, "…cannot be checked: …", isHealthy})
	f("unavailable", at("503"), []Target{index}, "503 Service Unavailable")
	f("unauthorized", at("401"), []Target{index}, "401 Unauthorized")
	f("nothing there", at("refused"), []Target{index}, "connection refused")

	const defaulted, final = `"default_pipeline":"p"`, `"final_pipeline":"q"`
	for range 20 { // their order is always the same
		f("pipelines", at(settings("a", defaulted+","+final)), []Target{index}, "",
			Concern{PipelineSet, "documents written to a pass ingest pipeline p (index.default_pipeline)", `see that p changes no field of the schema … or remove it: PUT /a/_settings {"index.default_pipeline":"_none"}`},
			Concern{PipelineSet, "documents written to a pass ingest pipeline q (index.final_pipeline)", `see that q changes … PUT /a/_settings {"index.final_pipeline":"_none"}`})
	}
	f("pipeline of two", map[string]string{"GET /a/_settings": settings("a", defaulted), "GET /b/_settings": settings("b", defaulted)}, []Target{index, index, {Name: "b", Template: "t"}}, "",
		Concern{PipelineSet, "documents written to a, b pass ingest pipeline p (index.default_pipeline)", "see that p changes … PUT /a,b/_settings"})
	f("pipeline of a name that is not written to", at(settings("a", defaulted)), []Target{{Name: "a"}}, "")
	f("taken, with a pipeline, and denied", map[string]string{"GET /a/_settings": settings("a", defaulted), "GET /b/_settings": forbidden}, []Target{stream, {Name: "b"}}, "",
		Concern{NameTaken, "…", ""}, Concern{NotChecked, "whether b is …", "allow"}, Concern{PipelineSet, "documents written to a pass …", ""})
}

func TestCheckTemplates(t *testing.T) {
	t.Parallel()
	// templates are name, priority and other members of a template.
	f := func(name string, targets []Target, templates []string, answers map[string]string, fails string, want ...Concern) {
		t.Helper()
		d := newDomain(answers)
		if templates != nil {
			d.answers["GET /_index_template"] = `200 {"index_templates":[` + strings.Join(templates, ",") + `]}`
		}
		got, err := CheckTemplates(t.Context(), d, targets)
		expectConcerns(t, name, got, err, want, fails)
	}
	listed := func(name string, priority int, patterns, more string) string {
		return installed(name, fmt.Sprintf(`{"priority":%d,"index_patterns":[%q]%s}`, priority, patterns, more))
	}
	const isStream = `,"data_stream":{}`
	ours, theirs := listed("app", 103, "app-*", ""), func(priority int, more string) string { return listed("o", priority, "app-*", more) }
	target := func(name string) Target { return Target{Name: name, Template: "app", Priority: 103} }
	a, b := target("app-a"), target("app-b")
	stream, letters := Target{Name: "app", Template: "app", Priority: 103, DataStream: true}, Target{Name: "app-dead-letter", Template: "app-dead-letter", Priority: 1000, AnyKind: true}
	simulated := map[string]string{}
	for _, name := range []string{"app-a", "app-b", "app", "app-dead-letter"} {
		simulated["POST /_index_template/_simulate_index/"+name] = `200 {"template":{"settings":{}}}`
	}
	simulating := func(name, answer string) map[string]string {
		answers := maps.Clone(simulated)
		answers["POST /_index_template/_simulate_index/"+name] = answer
		return answers
	}
	overridden := func(priority, names string) Concern {
		return Concern{Overridden, "index template o (priority " + priority + ") takes precedence over app (priority 103) for " + names + ": an index created from it lacks our fields and settings",
			"delete o, narrow its index_patterns or give it a priority below 103; indices created from it keep their fields"}
	}
	f("no templates", []Target{a}, nil, nil, "")
	f("ours alone", []Target{a, b}, []string{ours}, simulated, "")
	f("others below", []Target{a}, []string{ours, theirs(102, "")}, simulated, "")
	f("others below, ours missing", []Target{a}, []string{theirs(102, isStream)}, nil, "")
	f("others before", []Target{a, b}, []string{theirs(104, ""), ours}, simulated, "", overridden("104", "app-a, app-b"))
	f("others before, ours missing", []Target{a}, []string{theirs(104, "")}, simulated, "", overridden("104", "app-a"))
	f("others before, listed last", []Target{a}, []string{ours, theirs(104, "")}, simulated, "", overridden("104", "app-a"))
	f("others before, for one", []Target{a, b}, []string{ours, listed("o", 104, "*-b", "")}, simulated, "", overridden("104", "app-b"))
	f("others before, for other names", []Target{a}, []string{ours, listed("o", 104, "web-*", "")}, simulated, "")
	f("highest of the others", []Target{a}, []string{theirs(105, ""), listed("p", 104, "app-*", ""), ours}, simulated, "", overridden("105", "app-a"))
	f("not written to", []Target{{Name: "app-c"}}, []string{theirs(104, isStream)}, nil, "")
	f("before documents and letters", []Target{a, letters}, []string{theirs(2000, "")}, simulated, "", overridden("2000", "app-a"),
		Concern{Overridden, "index template o (priority 2000) takes precedence over app-dead-letter (priority 1000) for app-dead-letter: …", "delete o, … below 1000;"})
	f("data stream of letters", []Target{letters}, []string{theirs(2000, isStream)}, simulated, "", Concern{Overridden, "index template o …", "delete o"})

	f("same priority", []Target{a}, []string{theirs(103, isStream)}, nil, "",
		Concern{SamePriority, "index template o (priority 103) has the priority of app, so OpenSearch refuses app", "delete o, narrow its index_patterns or give it a priority below 103"})
	f("creates a data stream", []Target{a, b}, []string{ours, theirs(104, isStream)}, nil, "",
		Concern{KindDiffers, "DATA_STREAM (--data-stream) is false, but index template o (priority 104) creates a data stream for app-a, app-b", "delete o, narrow its index_patterns or give it a priority below 103"})
	f("creates an index", []Target{stream}, []string{listed("o", 104, "app", "")}, nil, "",
		Concern{KindDiffers, "DATA_STREAM (--data-stream) is true, but index template o (priority 104) creates an index for app", "delete o"})
	f("creates a data stream as ours", []Target{stream}, []string{listed("o", 104, "app", isStream)}, simulated, "", overridden("104", "app"))

	const pipeline = `200 {"template":{"settings":{"index":{"default_pipeline":"p"}}}}`
	f("pipeline of ours", []Target{a, b}, []string{ours}, simulating("app-a", pipeline), "",
		Concern{PipelineSet, "new indices app-a, app-b get ingest pipeline p (index.default_pipeline)", "see that p changes … or remove index.default_pipeline from index template app and its component templates"})
	f("pipeline of ours, with another priority", []Target{a}, []string{listed("app", 1, "app-*", "")}, simulating("app-a", pipeline), "", Concern{PipelineSet, "new indices app-a get …", "see that"})
	f("pipeline of others", []Target{a}, []string{theirs(104, "")}, simulating("app-a", pipeline), "", overridden("104", "app-a"),
		Concern{PipelineSet, "new indices app-a get …", "see that … from index template o and its component templates"})
	const notAsked = "which ingest pipelines the next indices get cannot be checked: "
	f("simulation denied", []Target{a, letters}, []string{ours, listed("app-dead-letter", 1000, "app-dead-letter", "")}, simulating("app-a", forbidden), "",
		Concern{NotChecked, notAsked + "OpenSearch answers 403: …", "allow indices:admin/index_template/simulate_index and simulate, es:ESHttpPost for"})
	f("simulation unavailable", []Target{a}, []string{ours}, simulating("app-a", "503"), "", Concern{NotChecked, notAsked + "…503 Service Unavailable", isHealthy})
	f("simulation without answer", []Target{a}, []string{ours}, simulating("app-a", "refused"), "connection refused")
	list := func(answer string) map[string]string { return map[string]string{"GET /_index_template": answer} }
	f("denied", []Target{a}, nil, list(forbidden), "", Concern{NotChecked, "whether other index templates take precedence over ours cannot be checked: OpenSearch answers 403: …", "allow indices:admin/index_template/get, es:ESHttpGet for /_index_template"})
	f("unavailable", []Target{a}, nil, list("503"), "503 Service Unavailable")
	f("without answer", []Target{a}, nil, list("refused"), "connection refused")
}

func TestCheckTargets(t *testing.T) {
	t.Parallel()
	f := func(name string, answers map[string]string, fails string, want ...Concern) {
		t.Helper()
		got, err := CheckTargets(t.Context(), newDomain(answers), []Target{{Name: "a", Template: "t"}})
		expectConcerns(t, name, got, err, want, fails)
	}
	const names, templates = "GET /a/_settings", "GET /_index_template"
	f("both", map[string]string{names: forbidden, templates: forbidden}, "", Concern{NotChecked, "whether a is …", ""}, Concern{NotChecked, "whether other …", ""})
	f("names without answer", map[string]string{names: "refused", templates: forbidden}, "connection refused")
	f("templates without answer", map[string]string{names: forbidden, templates: "refused"}, "connection refused", Concern{NotChecked, "whether a is …", ""})
}
