package opensearch

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Kind is what a name refers to on a domain.
type Kind string

// Kinds of names.
const (
	NoKind         Kind = ""
	IndexKind      Kind = "an index"
	AliasKind      Kind = "an alias"
	DataStreamKind Kind = "a data stream"
)

// Pipeline is an ingest pipeline that processes the documents of an index.
type Pipeline struct {
	// Setting is index.default_pipeline or index.final_pipeline.
	Setting, Name string
}

// indexSettings are the settings of an index, nested.
type indexSettings struct {
	Index struct {
		Default string `json:"default_pipeline"`
		Final   string `json:"final_pipeline"`
	}
}

func (s indexSettings) pipelines() (found []Pipeline) {
	for _, p := range []Pipeline{{"index.default_pipeline", s.Index.Default}, {"index.final_pipeline", s.Index.Final}} {
		if p.Name != "" && p.Name != "_none" {
			found = append(found, p)
		}
	}
	return found
}

// LookUp returns what a name refers to, and the ingest pipelines behind it: of an index,
// of all indices of an alias, or of the newest index of a data stream.
// See https://docs.opensearch.org/latest/api-reference/index-apis/get-settings/.
func LookUp(ctx context.Context, client Client, name string) (Kind, []Pipeline, error) {
	var answer map[string]struct{ Settings indexSettings }
	err := call(ctx, client, "look up "+name, http.MethodGet, "/"+name+"/_settings", nil, &answer)
	if HasStatus(err, http.StatusNotFound) {
		return NoKind, nil, nil
	}
	if err != nil || len(answer) == 0 {
		return NoKind, nil, err
	}
	if index, is := answer[name]; is {
		return IndexKind, index.Settings.pipelines(), nil
	}
	indices := slices.Sorted(maps.Keys(answer))
	backing := regexp.MustCompile(`^\.ds-` + regexp.QuoteMeta(name) + `-\d{6,}$`)
	if newest := indices[len(indices)-1]; backing.MatchString(newest) {
		return DataStreamKind, answer[newest].Settings.pipelines(), nil
	}
	var pipelines []Pipeline
	for _, index := range indices {
		pipelines = append(pipelines, answer[index].Settings.pipelines()...)
	}
	return AliasKind, pipelines, nil
}

// ListedTemplate is one of a domain's composable index templates.
type ListedTemplate struct {
	Name  string
	Index struct {
		Patterns   []string  `json:"index_patterns"`
		Priority   int64     `json:"priority"`
		DataStream *struct{} `json:"data_stream"`
	} `json:"index_template"`
}

// ListTemplates returns all composable index templates of a domain.
func ListTemplates(ctx context.Context, client Client) ([]ListedTemplate, error) {
	var answer struct {
		Templates []ListedTemplate `json:"index_templates"`
	}
	const only = "?filter_path=index_templates.name,index_templates.index_template.index_patterns," +
		"index_templates.index_template.priority,index_templates.index_template.data_stream"
	err := call(ctx, client, "list index templates", http.MethodGet, "/_index_template"+only, nil, &answer)
	if HasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	return answer.Templates, err
}

// Match reports whether the template applies to an index or a data stream with a name.
func (t ListedTemplate) Match(name string) bool {
	return slices.ContainsFunc(t.Index.Patterns, func(pattern string) bool {
		expression := "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		return regexp.MustCompile(expression).MatchString(name)
	})
}

// SimulateIndex returns the ingest pipelines that a new index with a name would get from
// its template and component templates. The name of an existing data stream cannot be
// simulated, so the template is simulated instead.
// See https://docs.opensearch.org/latest/api-reference/index-apis/simulate-index-template/.
func SimulateIndex(ctx context.Context, client Client, name, template string) ([]Pipeline, error) {
	var answer struct {
		Template struct{ Settings indexSettings }
	}
	doing := "simulate index " + name
	err := call(ctx, client, doing, http.MethodPost, "/_index_template/_simulate_index/"+name, nil, &answer)
	if err != nil && CauseOf(err).Type == "illegal_state_exception" {
		err = call(ctx, client, doing, http.MethodPost, "/_index_template/_simulate/"+template, nil, &answer)
	}
	return answer.Template.Settings.pipelines(), err
}
