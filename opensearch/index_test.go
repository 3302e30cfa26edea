package opensearch_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// When several workers start at once, one creates the index by its template, and none
// fails. Existing documents are kept.
func TestEnsureIndex(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	name := prefix + "-dead-letter"
	ask := func(method, path, body string, answer any) {
		t.Helper()
		if err := inspect.Ask(t.Context(), client, method, path, body, answer); err != nil {
			t.Fatal(err)
		}
	}
	template := `{"index_patterns":["` + name + `"],"priority":1000,"template":{"mappings":{"dynamic":"false","properties":{"stage":{"type":"keyword"}}}}}`
	if _, _, err := opensearch.EnsureTemplate(t.Context(), client, opensearch.Template{Name: name, Bodies: [][]byte{[]byte(template)}}); err != nil {
		t.Fatal(err)
	}
	var creators atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			created, err := opensearch.EnsureIndex(t.Context(), client, name)
			if err != nil {
				t.Error(err)
			}
			if created {
				creators.Add(1)
			}
		})
	}
	workers.Wait()
	if n := creators.Load(); n != 1 {
		t.Errorf("%d workers created the index", n)
	}
	var mappings map[string]struct {
		Mappings struct{ Dynamic string }
	}
	ask(http.MethodGet, "/"+name+"/_mapping", "", &mappings)
	if mappings[name].Mappings.Dynamic != "false" {
		t.Errorf("it differs from its template: %+v", mappings)
	}

	ask(http.MethodPut, "/"+name+"/_doc/1?refresh=true", `{"stage":"index"}`, nil)
	if created, err := opensearch.EnsureIndex(t.Context(), client, name); created || err != nil {
		t.Error(created, err)
	}
	var documents struct{ Count int }
	if ask(http.MethodGet, "/"+name+"/_count", "", &documents); documents.Count != 1 {
		t.Errorf("%d documents", documents.Count)
	}
}

// An obstacle to creating an index is reported. The error has a kind if retrying is
// useless.
func TestEnsureIndex_Failure(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	ask := func(method, path, body string) {
		t.Helper()
		if err := inspect.Ask(t.Context(), client, method, path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	f := func(name string, taken bool, want string) {
		t.Helper()
		created, err := opensearch.EnsureIndex(t.Context(), client, name)
		if created || err == nil || errors.Is(err, opensearch.ErrNameTaken) != taken || !strings.Contains(err.Error(), "create index "+name+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %t, %v", name, created, err)
		}
	}
	ask(http.MethodPut, "/"+prefix+"-a", `{"aliases":{"`+prefix+`-alias":{}}}`)
	f(prefix+"-alias", true, "already exists as alias")
	ask(http.MethodPut, "/_index_template/"+prefix+"-ds", `{"index_patterns":["`+prefix+`-ds"],"data_stream":{},"priority":2000}`)
	f(prefix+"-ds", true, "data stream")
	ask(http.MethodPut, "/_data_stream/"+prefix+"-ds", "")
	defer ask(http.MethodDelete, "/_data_stream/"+prefix+"-ds", "")
	f(prefix+"-ds", true, "data stream")
	f(strings.ToUpper(prefix), false, "must be lowercase")
}
