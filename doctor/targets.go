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

	"logsluice/domain"
)

// Target is a name that documents are written to.
type Target struct {
	Name string
	// Template is the index template that is to make it, "" where nothing is written to
	// the name, which must not be a data stream.
	Template string
	Priority int64
	// DataStream reports whether it is to be a data stream.
	DataStream bool
	// AnyKind reports whether it does not matter what the name stands for.
	AnyKind bool
}

// Targets returns the targets that an index template, whose body is as for PUT
// _index_template/NAME, is to make.
func Targets(template string, body []byte, names ...string) ([]Target, error) {
	var t struct {
		Priority   int64
		DataStream *struct{} `json:"data_stream"`
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, fmt.Errorf("read an index template: %w", err)
	}
	var targets []Target
	for _, name := range names {
		targets = append(targets, Target{Name: name, Template: template, Priority: t.Priority, DataStream: t.DataStream != nil})
	}
	return targets, nil
}

const dataStreamSetting = "DATA_STREAM (--data-stream)"

// CheckNames looks what targets stand for on a domain: NameTaken is told where it is not
// what they are to be, and PipelineSet where documents pass an ingest pipeline.
func CheckNames(ctx context.Context, client domain.Client, targets []Target) ([]Concern, error) {
	var concerns []Concern
	pipelines := pipelineUse{}
	for _, t := range targets {
		kind, found, err := domain.LookUp(ctx, client, t.Name)
		switch {
		case isUnanswered(err):
			return append(concerns, Concern{NotAsked, "whether " + t.Name + " is an index or a data stream, and which ingest pipelines it has, cannot be asked: " + answered(err),
				permit(err, "indices:monitor/settings/get, es:ESHttpGet for /"+t.Name+"/_settings")}), nil
		case err != nil:
			return nil, err
		case !t.AnyKind && kind != domain.NoKind && t.isWrong(kind):
			concerns = append(concerns, t.taken(kind))
		}
		if t.Template != "" {
			pipelines.add(found, t.Name)
		}
	}
	return append(concerns, pipelines.concerns("documents written to %s pass", `PUT /INDEX/_settings {"%s":"_none"}`)...), nil
}

// isUnanswered reports whether the domain refuses a question, or cannot answer it: a
// worker does without. It waits for a domain that does not know it, or is away.
func isUnanswered(err error) bool {
	var answer *domain.AnswerError
	return errors.As(err, &answer) && slices.Contains([]int{
		http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError,
	}, answer.Status)
}

// isWrong reports whether a target is not to be of a kind. An alias can lead to an index.
func (t Target) isWrong(kind domain.Kind) bool {
	return t.DataStream != (kind == domain.DataStreamKind)
}

func (t Target) taken(kind domain.Kind) Concern {
	c := Concern{Problem: NameTaken, Found: fmt.Sprintf("%s: it is set, and %s is %s", dataStreamSetting, t.Name, kind),
		Remedy: fmt.Sprintf("set it to false, choose another INDEX_PREFIX, or reindex %[1]s under another name and delete it", t.Name)}
	if !t.DataStream {
		c.Found = fmt.Sprintf("%s: it is not set, and %s is %s", dataStreamSetting, t.Name, kind)
		c.Remedy = fmt.Sprintf("set it to true, choose another INDEX_PREFIX, or delete it: DELETE /_data_stream/%s", t.Name)
	}
	return c
}

// CheckTemplates looks by which index templates targets would be made, and tells where
// it is another than theirs, or gives them an ingest pipeline. Legacy templates
// (_template) are for names that no index template is for.
func CheckTemplates(ctx context.Context, client domain.Client, targets []Target) ([]Concern, error) {
	listed, err := domain.ListTemplates(ctx, client)
	if isUnanswered(err) {
		return []Concern{{NotAsked, "whether other index templates come before ours cannot be asked: " + answered(err),
			permit(err, "indices:admin/index_template/get, es:ESHttpGet for /_index_template")}}, nil
	}
	if err != nil {
		return nil, err
	}
	var concerns []Concern
	pipelines := pipelineUse{}
	for _, maker := range makers(listed, targets) {
		concerns = append(concerns, maker.concerns()...)
		found, err := domain.SimulateIndex(ctx, client, maker.targets[0].Name, maker.Name)
		if isUnanswered(err) {
			concerns = append(concerns, Concern{NotAsked, "which ingest pipelines the next indices get cannot be asked: " + answered(err),
				permit(err, "indices:admin/index_template/simulate_index and simulate, es:ESHttpPost for /_index_template/_simulate_index/NAME")})
			break
		}
		if err != nil {
			return nil, err
		}
		for _, t := range maker.targets {
			pipelines.add(found, t.Name)
		}
	}
	return append(concerns, pipelines.concerns("an index made as %s gets", "take %s out of its index template and that template's components")...), nil
}

// CheckTargets is CheckNames and CheckTemplates.
func CheckTargets(ctx context.Context, client domain.Client, targets []Target) ([]Concern, error) {
	names, err := CheckNames(ctx, client, targets)
	if err != nil {
		return nil, err
	}
	made, err := CheckTemplates(ctx, client, targets)
	return append(names, made...), err
}

// maker is an index template with the targets that it makes.
type maker struct {
	domain.ListedTemplate
	targets []Target
}

// makers returns the templates that make targets, as OpenSearch chooses: of those that
// match, that of the highest priority.
func makers(listed []domain.ListedTemplate, targets []Target) []*maker {
	var all []*maker
	for _, t := range targets {
		var best *domain.ListedTemplate
		for i, l := range listed {
			if t.Template != "" && l.Match(t.Name) && (best == nil || l.Index.Priority > best.Index.Priority) {
				best = &listed[i]
			}
		}
		if best == nil {
			continue
		}
		i := slices.IndexFunc(all, func(m *maker) bool { return m.Name == best.Name })
		if i < 0 {
			i = len(all)
			all = append(all, &maker{ListedTemplate: *best})
		}
		all[i].targets = append(all[i].targets, t)
	}
	return all
}

// concerns tells of targets that the template makes and another is to make. It comes
// before that one if that is not there yet, too.
func (m *maker) concerns() (concerns []Concern) {
	overridden := map[string][]Target{} // by the template that is to make them
	for _, t := range m.targets {
		if t.Template != m.Name && m.Index.Priority >= t.Priority {
			overridden[t.Template] = append(overridden[t.Template], t)
		}
	}
	for _, template := range slices.Sorted(maps.Keys(overridden)) {
		targets := overridden[template]
		var names []string
		for _, t := range targets {
			names = append(names, t.Name)
		}
		theirs := fmt.Sprintf("index template %s (priority %d)", m.Name, m.Index.Priority)
		concerns = append(concerns, Concern{Overridden,
			fmt.Sprintf("%s comes before %s (priority %d) for %s: an index made by it lacks our fields and settings", theirs, template, targets[0].Priority, strings.Join(names, ", ")),
			fmt.Sprintf("delete %s, narrow its index_patterns or give it a priority below %d; indices that it made keep their fields", m.Name, targets[0].Priority)})
		t := targets[0]
		if made := m.Index.DataStream != nil; made != t.DataStream && !t.AnyKind {
			concerns = append(concerns, Concern{KindDiffers,
				fmt.Sprintf("%s: it is %t, and %s makes %s of %s", dataStreamSetting, t.DataStream, theirs, kindMade(made), strings.Join(names, ", ")),
				fmt.Sprintf("delete %s or narrow its index_patterns", m.Name)})
		}
	}
	return concerns
}

func kindMade(stream bool) domain.Kind {
	if stream {
		return domain.DataStreamKind
	}
	return domain.IndexKind
}

// pipelineUse has names by the pipelines that their documents pass.
type pipelineUse map[domain.Pipeline][]string

func (u pipelineUse) add(pipelines []domain.Pipeline, name string) {
	for _, p := range pipelines {
		if !slices.Contains(u[p], name) {
			u[p] = append(u[p], name)
		}
	}
}

// concerns tells of each pipeline, by a text that has the names, and how it is taken away,
// by one that has the setting.
func (u pipelineUse) concerns(where, without string) (concerns []Concern) {
	for p, names := range u {
		concerns = append(concerns, Concern{PipelineSet,
			fmt.Sprintf(where+" ingest pipeline %s (%s)", strings.Join(names, ", "), p.Name, p.Setting),
			"keep it from setting _id and _index, by which events that are delivered again become dead letters, and fields of the schema, or " + fmt.Sprintf(without, p.Setting)})
	}
	slices.SortFunc(concerns, func(a, b Concern) int { return strings.Compare(a.Found, b.Found) })
	return concerns
}
