package indexer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
)

// EnsureTemplate installs a composable index template if OpenSearch does not
// have it just so, and tells whether it did. The body's settings must be
// spelled as OpenSearch gives them back.
// See https://docs.opensearch.org/latest/im-plugin/index-templates/.
func EnsureTemplate(ctx context.Context, client Client, name string, body []byte) (changed bool, err error) {
	inPlace, err := TemplateInPlace(ctx, client, name, body)
	if err != nil || inPlace {
		return false, err
	}
	doing := "install index template " + name
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, templatePath(name), bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Stream(req)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, newAnswerError(doing, resp)
	}
	return true, nil
}

// TemplateInPlace tells whether OpenSearch has an index template just so.
func TemplateInPlace(ctx context.Context, client Client, name string, body []byte) (bool, error) {
	doing := "read index template " + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, templatePath(name), nil)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	resp, err := client.Stream(req)
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return false, nil
	case http.StatusOK:
	default:
		return false, newAnswerError(doing, resp)
	}
	var found struct {
		Templates []struct {
			Template map[string]any `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	var wanted map[string]any
	if err := json.Unmarshal(body, &wanted); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	return len(found.Templates) == 1 && sameTemplate(wanted, found.Templates[0].Template), nil
}

func templatePath(name string) string { return "/_index_template/" + name }

// sameTemplate compares what we set; a server may add members of its own.
func sameTemplate(wanted, found map[string]any) bool {
	for key, value := range wanted {
		if !reflect.DeepEqual(value, found[key]) {
			return false
		}
	}
	return true
}
