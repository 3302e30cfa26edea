package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Template is a composable index template to be installed on a domain.
// See https://docs.opensearch.org/latest/im-plugin/index-templates/.
type Template struct {
	Name string
	// Bodies are alternatives for PUT _index_template/NAME, the best first. A server that
	// lacks a field type or a codec accepts a later one. Settings are written as
	// OpenSearch returns them (nested, values as strings), so that an installed template
	// can be compared.
	Bodies [][]byte
	// Indices returns the indices that receive documents at a time. Missing fields of the
	// template are added to them. It may be nil.
	Indices func(time.Time) []string
}

// EnsureTemplate installs an index template unless OpenSearch has one of its bodies. If
// the server refuses a body, the next one is tried. It returns the body in use and what
// was changed. A template with a later version is left in place.
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
	return nil, nil, refusals[len(refusals)-1] // of the body with the fewest requirements
}

// TemplateChanges returns the differences between the installed template and the closest
// body, or nil if one matches. If no template exists, the change is Installed.
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
			return fmt.Errorf("index template %s is missing or was changed: a worker installs it when it starts", t.Name)
		}
	}
	return nil
}

func templatePath(name string) string { return "/_index_template/" + name }

// template returns an index template from OpenSearch, or nil if it does not exist.
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

// differences returns what must change for the members of a template to be as wanted; a
// server may add other members. A template with a later version is left alone: while
// workers are replaced, one of the earlier version that starts must not undo it.
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
		changes = append(changes, diff(key, found[key], value, true)...)
	}
	slices.Sort(changes)
	return changes, nil
}
