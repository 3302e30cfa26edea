package domain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// EnsureTemplate installs a composable index template if OpenSearch does not
// have it just so. The bodies are the same template, the best first: one that the
// server refuses, as it lacks a field type or a codec, is followed by the next. It
// returns the one that is in place and what was changed for it. A template of a
// later version counts as being in place. Settings must be
// spelled as OpenSearch gives them back.
// See https://docs.opensearch.org/latest/im-plugin/index-templates/.
func EnsureTemplate(ctx context.Context, client Client, name string, bodies ...[]byte) (body []byte, changes []string, err error) {
	found, err := template(ctx, client, name)
	if err != nil {
		return nil, nil, err
	}
	var refusals []error
	for _, body := range bodies {
		changes, err := differences(body, found)
		if err != nil || len(changes) == 0 {
			return body, nil, err
		}
		err = putJSON(ctx, client, "install index template "+name, templatePath(name), body)
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

// TemplateInPlace tells whether OpenSearch has one of the bodies of an index
// template just so.
func TemplateInPlace(ctx context.Context, client Client, name string, bodies ...[]byte) (bool, error) {
	found, err := template(ctx, client, name)
	if err != nil {
		return false, err
	}
	for _, body := range bodies {
		if changes, err := differences(body, found); err != nil || len(changes) == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

func templatePath(name string) string { return "/_index_template/" + name }

// template is an index template as OpenSearch has it, nil if it has none.
func template(ctx context.Context, client Client, name string) (map[string]any, error) {
	var found struct {
		Templates []struct {
			Template map[string]any `json:"index_template"`
		} `json:"index_templates"`
	}
	err := getJSON(ctx, client, "read index template "+name, templatePath(name), &found)
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
		return []string{"installed"}, nil
	}
	wantedVersion, _ := members["version"].(float64)
	if version, _ := found["version"].(float64); version > wantedVersion {
		return nil, nil
	}
	var changes []string
	for key, value := range members {
		changes = append(changes, changed(key, found[key], value)...)
	}
	slices.Sort(changes)
	return changes, nil
}

// changed lists what is different between two values, by paths.
func changed(path string, was, is any) (changes []string) {
	before, wasObject := was.(map[string]any)
	after, isObject := is.(map[string]any)
	if !wasObject || !isObject {
		if reflect.DeepEqual(was, is) {
			return nil
		}
		return []string{path + ": " + brief(was) + " → " + brief(is)}
	}
	for key, value := range after {
		changes = append(changes, changed(path+"."+key, before[key], value)...)
	}
	for key, value := range before {
		if _, stays := after[key]; !stays {
			changes = append(changes, changed(path+"."+key, value, nil)...)
		}
	}
	return changes
}

// brief is a value for people.
func brief(v any) string {
	if v == nil {
		return "none"
	}
	const most = 100
	text, _ := json.Marshal(v) // it was JSON
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return string(text)
}

// getJSON reads a JSON answer, or nothing if there is nothing of that name.
func getJSON(ctx context.Context, client Client, doing, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	resp, err := client.Stream(req)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return nil
	case http.StatusOK:
	default:
		return NewAnswerError(doing, resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func putJSON(ctx context.Context, client Client, doing, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Stream(req)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return NewAnswerError(doing, resp)
	}
	return nil
}
