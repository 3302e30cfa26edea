package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// Objects on the domain that affect the indices: what the written names stand for, templates of
// other applications, and ingest pipelines.

// Target is a name that documents are written to.
type Target struct {
	Name string
	// Template is the index template that should create the target. If it is "", nothing is
	// written to the name, and the name must not be a data stream.
	Template string
	Priority int64
	// DataStream reports whether the target should be a data stream.
	DataStream bool
	// AnyKind reports whether the target can be an index, an alias or a data stream.
	AnyKind bool
}

// Targets returns the names that are written to at a time and soon after it: those of the
// documents, for the template named by the prefix, and that of the dead letters.
func Targets(templates []opensearch.Template, n schema.Naming, now time.Time) ([]Target, error) {
	var all []Target
	for _, t := range templates {
		var body struct {
			Priority   int64
			DataStream *struct{} `json:"data_stream"`
		}
		if err := json.Unmarshal(t.Bodies[0], &body); err != nil {
			return nil, fmt.Errorf("read index template %s: %w", t.Name, err)
		}
		target := Target{Template: t.Name, Priority: body.Priority, DataStream: body.DataStream != nil}
		if t.Name == deadletter.Index(n.Prefix) {
			target.Name, target.AnyKind = t.Name, true // the kind is checked when the index is created
			all = append(all, target)
			continue
		}
		names := n.Indices(now)
		if next := n.Next(now); next != "" {
			names = append(names, next)
		}
		for _, name := range names {
			target.Name = name
			all = append(all, target)
		}
		if !n.DataStream { // the prefix itself must not be a data stream
			all = append(all, Target{Name: n.Prefix})
		}
	}
	return all, nil
}

const (
	dataStreamName    = "DATA_STREAM"
	dataStreamSetting = dataStreamName + " (--data-stream)"
)

// CheckNames checks what targets stand for on a domain. It returns NameTaken for a target of
// the wrong kind, and PipelineSet if documents pass an ingest pipeline.
func CheckNames(ctx context.Context, client opensearch.Client, targets []Target) ([]Concern, error) {
	var concerns []Concern
	pipelines := pipelineUse{}
	for _, t := range targets {
		kind, found, err := opensearch.LookUp(ctx, client, t.Name)
		if isDeclined(err) {
			concerns = append(concerns, Concern{NotChecked, "whether " + t.Name + " is an index or a data stream, and which ingest pipelines it has, cannot be checked: " + answered(err),
				permissionRemedy(err, "indices:monitor/settings/get, es:ESHttpGet for /"+t.Name+"/_settings")})
			break
		}
		if err != nil {
			return nil, err
		}
		if !t.AnyKind && kind != opensearch.NoKind && t.isWrong(kind) {
			concerns = append(concerns, t.nameTaken(kind))
		}
		if t.Template != "" {
			pipelines.add(found, t.Name)
		}
	}
	return append(concerns, pipelines.concerns("documents written to %s pass", func(setting string, names []string) string {
		return fmt.Sprintf(`remove it: PUT /%s/_settings {"%s":"_none"}`, strings.Join(names, ","), setting)
	})...), nil
}

// isDeclined reports whether the domain refuses a request or cannot answer it, so that a
// worker does without the answer. For other errors (credentials, outages) a worker waits.
func isDeclined(err error) bool {
	var answer *opensearch.AnswerError
	return errors.As(err, &answer) && slices.Contains([]int{
		http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError,
	}, answer.Status)
}

// isAnswer reports whether the domain, or a proxy in front of it, answered with an error.
func isAnswer(err error) bool {
	var answer *opensearch.AnswerError
	return errors.As(err, &answer)
}

// isWrong reports whether a target has the wrong kind. An alias can point to an index.
func (t Target) isWrong(kind opensearch.Kind) bool {
	return t.DataStream != (kind == opensearch.DataStreamKind)
}

func (t Target) nameTaken(kind opensearch.Kind) Concern {
	c := Concern{Problem: NameTaken, Found: fmt.Sprintf("%s is %t, but %s is %s", dataStreamSetting, t.DataStream, t.Name, kind),
		Remedy: fmt.Sprintf("set %s to %t, choose another INDEX_PREFIX (--index-prefix), or ", dataStreamName, !t.DataStream)}
	switch kind {
	case opensearch.DataStreamKind:
		c.Remedy += "delete the data stream with its documents: DELETE /_data_stream/" + t.Name
	case opensearch.AliasKind:
		c.Remedy += "remove the alias"
	default:
		c.Remedy += "reindex " + t.Name + " under another name and delete it"
	}
	return c
}

// CheckTemplates finds the index templates that would create the targets. It returns a concern
// if that is not the target's own template, or if it sets an ingest pipeline. Legacy templates
// (_template) have no effect, because OpenSearch uses them only if no index template matches.
func CheckTemplates(ctx context.Context, client opensearch.Client, targets []Target) ([]Concern, error) {
	listed, err := opensearch.ListTemplates(ctx, client)
	if isDeclined(err) {
		return []Concern{{NotChecked, "whether other index templates take precedence over ours cannot be checked: " + answered(err),
			permissionRemedy(err, "indices:admin/index_template/get, es:ESHttpGet for /_index_template")}}, nil
	}
	if err != nil {
		return nil, err
	}
	var concerns []Concern
	for _, template := range effectiveTemplates(listed, targets) {
		found := template.concerns()
		concerns = append(concerns, found...)
		if slices.ContainsFunc(found, Concern.Stops) { // no index that is written to will come from it
			continue
		}
		use, err := opensearch.SimulateIndex(ctx, client, template.targets[0].Name, template.Name)
		if isAnswer(err) {
			concerns = append(concerns, Concern{NotChecked, "which ingest pipelines the next indices get cannot be checked: " + answered(err),
				permissionRemedy(err, "indices:admin/index_template/simulate_index and simulate, es:ESHttpPost for /_index_template/_simulate_index/NAME")})
			break
		}
		if err != nil {
			return nil, err
		}
		pipelines := pipelineUse{}
		for _, t := range template.targets {
			pipelines.add(use, t.Name)
		}
		concerns = append(concerns, pipelines.concerns("new indices %s get", func(setting string, _ []string) string {
			return fmt.Sprintf("remove %s from index template %s and its component templates", setting, template.Name)
		})...)
	}
	return concerns, nil
}

// CheckTargets combines CheckNames and CheckTemplates.
func CheckTargets(ctx context.Context, client opensearch.Client, targets []Target) ([]Concern, error) {
	names, err := CheckNames(ctx, client, targets)
	if err != nil {
		return nil, err
	}
	templates, err := CheckTemplates(ctx, client, targets)
	return append(names, templates...), err
}

// effectiveTemplate is an index template with the targets that it would create.
type effectiveTemplate struct {
	opensearch.ListedTemplate
	targets []Target
}

// effectiveTemplates returns the templates that would create targets. OpenSearch chooses the
// matching template with the highest priority. A template of lower priority than the target's own
// is left out, because the target's own is installed before anything is written.
func effectiveTemplates(listed []opensearch.ListedTemplate, targets []Target) []*effectiveTemplate {
	var all []*effectiveTemplate
	for _, t := range targets {
		var best *opensearch.ListedTemplate
		for i, l := range listed {
			if t.Template != "" && l.Match(t.Name) && (best == nil || l.Index.Priority > best.Index.Priority) {
				best = &listed[i]
			}
		}
		if best == nil || best.Name != t.Template && best.Index.Priority < t.Priority {
			continue
		}
		i := slices.IndexFunc(all, func(e *effectiveTemplate) bool { return e.Name == best.Name })
		if i < 0 {
			i = len(all)
			all = append(all, &effectiveTemplate{ListedTemplate: *best})
		}
		all[i].targets = append(all[i].targets, t)
	}
	return all
}

// concerns returns concerns about targets that should come from another template.
func (e *effectiveTemplate) concerns() (concerns []Concern) {
	overridden := map[string][]Target{} // by the template that should create them
	for _, t := range e.targets {
		if t.Template != e.Name {
			overridden[t.Template] = append(overridden[t.Template], t)
		}
	}
	for _, template := range slices.Sorted(maps.Keys(overridden)) {
		concerns = append(concerns, e.concern(template, overridden[template]))
	}
	return concerns
}

// concern returns a concern about targets that template should create.
func (e *effectiveTemplate) concern(template string, targets []Target) Concern {
	var names []string
	for _, t := range targets {
		names = append(names, t.Name)
	}
	all, ours := strings.Join(names, ", "), targets[0]
	theirs := fmt.Sprintf("index template %s (priority %d)", e.Name, e.Index.Priority)
	switch isStream := e.Index.DataStream != nil; {
	case e.Index.Priority == ours.Priority:
		return Concern{SamePriority,
			fmt.Sprintf("%s has the priority of %s, so OpenSearch refuses %s", theirs, template, template),
			fmt.Sprintf("delete %s, narrow its index_patterns or give it a priority below %d", e.Name, ours.Priority)}
	case isStream != ours.DataStream && !ours.AnyKind:
		return Concern{KindDiffers,
			fmt.Sprintf("%s is %t, but %s creates %s for %s", dataStreamSetting, ours.DataStream, theirs, kindCreated(isStream), all),
			fmt.Sprintf("delete %s, narrow its index_patterns or give it a priority below %d", e.Name, ours.Priority)}
	}
	return Concern{Overridden,
		fmt.Sprintf("%s takes precedence over %s (priority %d) for %s: an index created from it lacks our fields and settings", theirs, template, ours.Priority, all),
		fmt.Sprintf("delete %s, narrow its index_patterns or give it a priority below %d; indices created from it keep their fields", e.Name, ours.Priority)}
}

func kindCreated(stream bool) opensearch.Kind {
	if stream {
		return opensearch.DataStreamKind
	}
	return opensearch.IndexKind
}

// pipelineUse maps a pipeline to the names whose documents pass it.
type pipelineUse map[opensearch.Pipeline][]string

func (u pipelineUse) add(pipelines []opensearch.Pipeline, name string) {
	for _, p := range pipelines {
		if !slices.Contains(u[p], name) {
			u[p] = append(u[p], name)
		}
	}
}

// concerns returns a concern for each pipeline. where is a format for the names, and remove
// returns how to remove the pipeline.
func (u pipelineUse) concerns(where string, remove func(setting string, names []string) string) (concerns []Concern) {
	for p, names := range u {
		concerns = append(concerns, Concern{PipelineSet,
			fmt.Sprintf(where+" ingest pipeline %s (%s)", strings.Join(names, ", "), p.Name, p.Setting),
			fmt.Sprintf("see that %s changes no field of the schema and sets neither _id nor _index (where it does, events that are delivered again become dead letters), or %s", p.Name, remove(p.Setting, names))})
	}
	slices.SortFunc(concerns, func(a, b Concern) int { return strings.Compare(a.Found, b.Found) })
	return concerns
}
