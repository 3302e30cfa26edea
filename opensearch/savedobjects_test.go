package opensearch

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"logsluice/internal/fakedomain"
)

// After some imports Dashboards reports that it wrote objects although it did not. Each
// object that does not exist has an error, its own if possible.
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
	f("a reference to a missing object", []string{"left out because others were refused", "nswers missing_references: index-pattern d does not exist"}, pattern, lost)
	f("an unsupported type", []string{"none", "Unsupported saved object type"}, pattern, unknown)
	f("all imported", []string{"none", "none"}, pattern, search)
	fake.Edit("search:b", func(o map[string]any) { o["references"] = []any{} })
	f("a removed reference", []string{"none", "none"}, pattern, search)
	fake.Edit("search:b", func(o map[string]any) {
		if references := o["references"].([]any); len(references) != 1 {
			t.Errorf("references: %v", references)
		}
	})
}
