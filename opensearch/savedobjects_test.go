package opensearch

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"logsluice/internal/fakedomain"
)

// Dashboards says of some imports that it wrote what it did not: each object that is
// not there has an error, its own where it has one.
func TestImport_Failure(t *testing.T) {
	fake := &fakedomain.Dashboards{}
	server := httptest.NewServer(fake)
	defer server.Close()
	client, err := NewClient(ClientConfig{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	d := Dashboards{Client: client}
	f := func(name string, want []string, lines ...string) {
		t.Helper()
		objects := make([][]byte, len(lines))
		for i, line := range lines {
			objects[i] = []byte(line)
		}
		found, err := d.Compare(t.Context(), objects)
		if err == nil {
			err = d.Import(t.Context(), found)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		var got []string
		for _, o := range found {
			text := "none"
			if o.Err != nil {
				text = o.Err.Error()
			}
			got = append(got, text[strings.LastIndex(text, "answers ")+1:])
		}
		if !slices.EqualFunc(got, want, strings.Contains) {
			t.Errorf("%s: %q", name, got)
		}
	}
	const (
		pattern = `{"type":"index-pattern","id":"a","attributes":{"title":"a*"},"references":[]}`
		search  = `{"type":"search","id":"b","attributes":{"title":"b"},"references":[{"name":"i","type":"index-pattern","id":"a"}]}`
		lost    = `{"type":"search","id":"c","attributes":{"title":"c"},"references":[{"name":"i","type":"index-pattern","id":"d"}]}`
		unknown = `{"type":"drawing","id":"e","attributes":{},"references":[]}`
	)
	f("a reference to nothing", []string{"left out, as others were refused", "nswers missing_references: there is no index-pattern d"}, pattern, lost)
	f("a type that is not known", []string{"none", "Unsupported saved object type"}, pattern, unknown)
	f("all well", []string{"none", "none"}, pattern, search)
	fake.Edit("search:b", func(o map[string]any) { o["references"] = []any{} })
	f("a reference that is gone", []string{"none", "none"}, pattern, search)
	fake.Edit("search:b", func(o map[string]any) {
		if references := o["references"].([]any); len(references) != 1 {
			t.Errorf("references: %v", references)
		}
	})
}
