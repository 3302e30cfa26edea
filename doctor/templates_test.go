package doctor

import (
	"strings"
	"testing"
)

// alongside returns the answer to GET /_index_template on a domain with one more template.
func alongside(name, body string) string {
	return strings.TrimSuffix(searchAnswers["GET /_index_template"], "]}") + "," + installed(name, body) + "]}"
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	// current is the index of today if it exists. refusal is the reason why nothing is written.
	f := func(name string, change func(*chain), current, refusal string, state State, found string, remedies ...string) {
		t.Helper()
		c := checkLink(t, (*walk).templates, change)
		expect(t, name, c.found, state, found, remedies...)
		if c.current != current || c.refused != refusal {
			t.Errorf("%s: current index %q, refused as %q", name, c.current, c.refused)
		}
	}
	const (
		list      = "GET /_index_template"
		ours      = "GET /_index_template/app"
		mapping   = "GET /" + today + "/_mapping"
		installed = "app is in place; app-dead-letter is in place"
		fields    = "; " + today + " has the fields"
	)
	f("fine", nil, today, "", OK, installed+fields)
	f("missing", answer(ours, "404 {}"), today, "", Warning, "template app does not exist; app-dead-letter is in place"+fields, setUp+", or start run, which installs it")
	f("both missing", all(answer(ours, "404 {}"), answer(ours+"-dead-letter", "404 {}")), today, "", Warning, "template app does not exist; template app-dead-letter does not exist"+fields, setUp)
	f("changed", answer(ours+"-dead-letter", `200 {"index_templates":[{"index_template":{"index_patterns":["app-dead-letter"],"priority":5}}]}`), today, "", Warning,
		"app is in place; template app-dead-letter differs: priority: 5 → 1000"+fields, setUp+", or restart run, which restores it")
	f("denied", answer(ours, forbidden), today, "", Broken, "template app cannot be read: OpenSearch answers 403: …; app-dead-letter is in place"+fields,
		"allow indices:admin/index_template/get and put (docs/permissions-opensearch.md): nothing is read without the templates")
	f("unavailable", answer(ours, "503"), today, "", Broken, "template app cannot be read: read index template app: OpenSearch answers 503 Service Unavailable; …"+fields, isHealthy+": nothing is read without the templates")

	// Names and templates of other applications.
	const overriding = `{"index_patterns":["app-*"],"priority":300}`
	overridden := answer(list, alongside("o", overriding))
	const isOverridden = "index template o (priority 300) takes precedence over app (priority 103) for app-outside, " + yesterday + ", " + today + ", app-2000-01-02: …"
	simulated := answer("POST /_index_template/_simulate_index/app-outside", `200 {"template":{"settings":{"index":{"default_pipeline":"p"}}}}`)
	f("overridden", overridden, today, "", Warning, installed+"; "+isOverridden+fields, "delete o, narrow its index_patterns")
	f("pipeline", simulated, today, "", Warning, installed+"; new indices app-outside, …, app-2000-01-02 get ingest pipeline p (index.default_pipeline)"+fields, "see that p changes no field")
	f("overridden, pipeline", all(overridden, simulated), today, "", Warning, installed+"; "+isOverridden+"; new indices …"+fields, "delete o", "see that p changes no field")
	f("names unknown", answer("GET /app-outside/_settings", "refused"), today, "", Warning,
		installed+"; names and other index templates cannot be checked: dial tcp: connection refused"+fields, isHealthy)
	f("names denied", answer("GET /app-outside/_settings", forbidden), today, "", Warning, installed+"; whether app-outside is an index or a data stream, …"+fields, "allow indices:monitor/settings/get")

	// If nothing must be written, the templates are not read.
	f("data stream by another template", answer(list, alongside("o", `{"index_patterns":["app-*"],"priority":300,"data_stream":{}}`)), "", string(KindDiffers), Broken,
		"DATA_STREAM (--data-stream) is false, but index template o (priority 300) creates a data stream for app-outside, …", "delete o, narrow")
	f("name taken", answer("GET /app/_settings", `200 {".ds-app-000001":{"settings":{}}}`), "", string(NameTaken), Broken,
		"DATA_STREAM (--data-stream) is false, but app is a data stream", "set DATA_STREAM to true")
	f("same priority, names denied", all(answer("GET /app-outside/_settings", forbidden), answer(list, alongside("o", `{"index_patterns":["app-2*"],"priority":103}`))), today, "", Warning,
		installed+"; whether …"+fields, "allow indices:monitor")
	f("same priority", answer(list, `200 {"index_templates":[{"name":"o","index_template":{"index_patterns":["app-*"],"priority":103}}]}`), "", string(SamePriority), Broken,
		"index template o (priority 103) has the priority of app, so OpenSearch refuses app", "delete o, narrow")
	f("name taken, denied", all(answer("GET /app-outside/_settings", `200 {".ds-app-outside-000001":{"settings":{}}}`), answer("GET /"+yesterday+"/_settings", forbidden)), "", string(NameTaken), Broken,
		"DATA_STREAM …, but app-outside is a data stream; whether "+yesterday+" is an index …", "set DATA_STREAM to true", "allow indices:monitor/settings/get")

	// The fields of today's index.
	has := func(properties string) func(*chain) {
		return answer(mapping, `200 {"`+today+`":{"mappings":{"properties":{`+properties+`}}}}`)
	}
	f("no index yet", answer(mapping, "404 {}"), "", "", OK, installed+"; "+today+" does not exist yet")
	f("mapping denied", answer(mapping, forbidden), "", "", Warning, installed+"; the fields of "+today+" cannot be read", "allow indices:admin/mappings/get")
	f("mapping unavailable", answer(mapping, "503"), "", "", Warning, installed+"; the fields of "+today+" cannot be read: …503 Service Unavailable", isHealthy)
	f("lacks fields", has(`"message":{"type":"text"}`), today, "", Warning, installed+"; "+today+" lacks fields: @timestamp", "restart run, which adds them")
	f("other type", has(`"@timestamp":{"type":"date"},"message":{"type":"keyword"}`), today, "", Warning, installed+"; "+today+" has fields of another type: message is keyword there and not text", "wait for the next index")
	f("lacks and other type", has(`"message":{"type":"keyword"}`), today, "", Warning, installed+"; "+today+" lacks fields: @timestamp; "+today+" has fields of another type: …", "restart run", "wait for the next index")
	f("other type, overridden", all(overridden, has(`"@timestamp":{"type":"date"},"message":{"type":"keyword"}`)), today, "", Warning, installed+"; "+isOverridden+"; "+today+" has fields of another type: …",
		"delete o", "reindex when no template takes precedence over ours")
	f("data stream", func(c *chain) {
		c.Naming.DataStream = true
		c.Templates[0].Bodies = [][]byte{[]byte(`{"priority":103,"data_stream":{}}`)}
		c.search.answers[ours] = `200 {"index_templates":[{"index_template":{"priority":103,"data_stream":{}}}]}`
		c.search.answers[list] = `200 {}`
		c.search.answers["GET /app/_mapping"] = `200 {".ds-app-000001":{"mappings":{}}}`
	}, "app", "", OK, installed+"; app has the fields")
}
