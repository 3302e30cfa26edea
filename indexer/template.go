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
	path := "/_index_template/" + name
	doing := "index template " + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
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
	case http.StatusOK:
		var found struct {
			Templates []struct {
				Template map[string]any `json:"index_template"`
			} `json:"index_templates"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
			return false, fmt.Errorf("read %s: %w", doing, err)
		}
		var wanted map[string]any
		if err := json.Unmarshal(body, &wanted); err != nil {
			return false, fmt.Errorf("%s: %w", doing, err)
		}
		if len(found.Templates) == 1 && sameTemplate(wanted, found.Templates[0].Template) {
			return false, nil
		}
	default:
		return false, answerError("read "+doing, resp)
	}

	req, err = http.NewRequestWithContext(ctx, http.MethodPut, path, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Content-Type", "application/json")
	put, err := client.Stream(req)
	if err != nil {
		return false, fmt.Errorf("install %s: %w", doing, err)
	}
	defer put.Body.Close()
	if put.StatusCode != http.StatusOK {
		return false, answerError("install "+doing, put)
	}
	return true, nil
}

// sameTemplate compares what we set; a server may add members of its own.
func sameTemplate(wanted, found map[string]any) bool {
	for key, value := range wanted {
		if !reflect.DeepEqual(value, found[key]) {
			return false
		}
	}
	return true
}
