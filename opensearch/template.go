package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Template is a composable index template that is to be on a domain.
// See https://docs.opensearch.org/latest/im-plugin/index-templates/.
type Template struct {
	Name string
	// Bodies are as for PUT _index_template/NAME. One of them is to be in place, the best
	// first: a server that lacks a field type or a codec takes one of the others. Settings
	// are spelled as OpenSearch returns them (nested, values as strings), so that an
	// installed template can be compared.
	Bodies [][]byte
	// Indices returns the indices that are written to at a time, which get the fields that
	// they lack and the template has; nil for none.
	Indices func(time.Time) []string
}

// EnsureTemplate installs an index template if OpenSearch does not have it exactly so. A
// body that the server refuses is followed by the next. It returns the body that is in
// place and what was changed for it. A template of a later version counts as being in
// place.
func EnsureTemplate(ctx context.Context, client Client, t Template) (body []byte, changes []string, err error) {
	found, err := template(ctx, client, t.Name)
	if err != nil {
		return nil, nil, err
	}
	var refusals []error
	for _, body := range t.Bodies {
		changes, err := differences(body, found)
		if err != nil || len(changes) == 0 {
			return body, nil, err
		}
		err = call(ctx, client, "install index template "+t.Name, http.MethodPut, templatePath(t.Name), body, nil)
		switch {
		case err == nil:
			return body, changes, nil
		case HasStatus(err, http.StatusBadRequest):
			refusals = append(refusals, err)
		default:
			return nil, nil, err
		}
	}
	return nil, nil, refusals[len(refusals)-1] // which asks for the least
}

// TemplateChanges lists what would have to change for OpenSearch to have one of the
// bodies of an index template just so: for that which is nearest to what it has, and
// nothing if it has one. A template that is not there is Installed.
func TemplateChanges(ctx context.Context, client Client, t Template) ([]string, error) {
	found, err := template(ctx, client, t.Name)
	if err != nil {
		return nil, err
	}
	var least []string
	for i, body := range t.Bodies {
		changes, err := differences(body, found)
		if err != nil || len(changes) == 0 {
			return nil, err
		}
		if i == 0 || len(changes) < len(least) {
			least = changes
		}
	}
	return least, nil
}

// CheckTemplates returns an error unless OpenSearch has all index templates.
func CheckTemplates(ctx context.Context, client Client, templates ...Template) error {
	for _, t := range templates {
		changes, err := TemplateChanges(ctx, client, t)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			return fmt.Errorf("index template %s is missing or was changed: a worker installs it at its start", t.Name)
		}
	}
	return nil
}

func templatePath(name string) string { return "/_index_template/" + name }

// template is an index template as OpenSearch has it, nil if it has none.
func template(ctx context.Context, client Client, name string) (map[string]any, error) {
	var found struct {
		Templates []struct {
			Template map[string]any `json:"index_template"`
		} `json:"index_templates"`
	}
	err := call(ctx, client, "read index template "+name, http.MethodGet, templatePath(name), nil, &found)
	if HasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil || len(found.Templates) != 1 {
		return nil, err
	}
	return found.Templates[0].Template, nil
}

// differences lists what would have to change for the members of a template to be
// as wanted; a server may add members of its own. One of a later version stays: a
// worker of the earlier one that starts while they are replaced must not undo it.
func differences(wanted []byte, found map[string]any) ([]string, error) {
	var members map[string]any
	if err := json.Unmarshal(wanted, &members); err != nil {
		return nil, fmt.Errorf("read an index template: %w", err)
	}
	if found == nil {
		return []string{Installed}, nil
	}
	wantedVersion, _ := members["version"].(float64)
	if version, _ := found["version"].(float64); version > wantedVersion {
		return nil, nil
	}
	var changes []string
	for key, value := range members {
		changes = append(changes, changed(key, found[key], value, true)...)
	}
	slices.Sort(changes)
	return changes, nil
}
