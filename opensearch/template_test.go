package opensearch_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

func TestEnsureTemplate(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	name := prefix
	body := []byte(`{"index_patterns":["` + prefix + `"],"priority":1000,"template":{"settings":{"index":{"number_of_shards":"1","refresh_interval":"1s"}},` +
		`"mappings":{"dynamic":"false","properties":{"@timestamp":{"type":"date"},"error":{"properties":{"type":{"type":"keyword","ignore_above":1024}}}}}}}`)
	f := func(when string, body []byte, want bool) {
		t.Helper()
		_, changes, err := opensearch.EnsureTemplate(t.Context(), client, opensearch.Template{Name: name, Bodies: [][]byte{body}})
		if err != nil || len(changes) > 0 != want {
			t.Errorf("%s: changes %v, %v", when, changes, err)
		}
	}
	f("first", body, true)
	f("again", body, false)
	other := []byte(strings.Replace(string(body), `"refresh_interval":"1s"`, `"refresh_interval":"5s"`, 1))
	f("another", other, true)
	f("another again", other, false)
	f("back", body, true)
	// A manual change is detected too.
	if err := inspect.Ask(t.Context(), client, http.MethodPut, "/_index_template/"+name, string(other), nil); err != nil {
		t.Fatal(err)
	}
	f("after a manual change", body, true)
	version := func(n string) []byte { return append([]byte(`{"version":`+n+`,`), body[1:]...) }
	f("version 2", version("2"), true)
	f("version 2 again", version("2"), false)
	f("version 1, while workers are replaced", version("1"), false)
	f("version 3", version("3"), true)
}

// TemplateChanges returns the changes for the body nearest to the installed template.
func TestTemplateChanges(t *testing.T) {
	client := localtest.Client(t)
	name := localtest.Prefix(t, client)
	body := func(codec, refresh string) []byte {
		return []byte(`{"index_patterns":["` + name + `"],"template":{"settings":{"index":{"codec":"` + codec + `","refresh_interval":"` + refresh + `"}}}}`)
	}
	f := func(want []string, bodies ...[]byte) {
		t.Helper()
		got, err := opensearch.TemplateChanges(t.Context(), client, opensearch.Template{Name: name, Bodies: bodies})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	f([]string{opensearch.Installed}, body("zstd", "1s"), body("default", "1s"))
	if _, _, err := opensearch.EnsureTemplate(t.Context(), client, opensearch.Template{Name: name, Bodies: [][]byte{body("default", "1s")}}); err != nil {
		t.Fatal(err)
	}
	f(nil, body("default", "1s"))
	f(nil, body("zstd", "1s"), body("default", "1s"))
	f([]string{`template.settings.index.refresh_interval: "1s" → "2s"`}, body("zstd", "2s"), body("default", "2s"), body("best_compression", "2s"))
}

func TestEnsureTemplate_Failure(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	template := opensearch.Template{Name: prefix, Bodies: [][]byte{[]byte(`{"index_patterns":["` + prefix + `"],"nonsense":1}`)}}
	if _, _, err := opensearch.EnsureTemplate(t.Context(), client, template); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("want OpenSearch's reason, got %v", err)
	}
}
