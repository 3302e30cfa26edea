// Package inspect reads the documents of an OpenSearch, for the demo and the tests.
package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Client sends a request to OpenSearch. The request's URL has only a path.
type Client interface {
	Stream(*http.Request) (*http.Response, error)
}

// Document is a hit of a search.
type Document struct {
	Index  string          `json:"_index"`
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
}

// Ask sends a request and decodes the response into answer, unless that is nil. A status other
// than 200 and 201 is an error with the beginning of the response.
func Ask(ctx context.Context, client Client, method, path, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Stream(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, raw)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(raw, answer)
}

// Count refreshes indices and returns the number of their documents. Indices that do not exist
// count as empty.
func Count(ctx context.Context, client Client, indices string) (int, error) {
	const options = "?ignore_unavailable=true&allow_no_indices=true"
	if err := Ask(ctx, client, http.MethodPost, "/"+indices+"/_refresh"+options, "", nil); err != nil {
		return 0, err
	}
	var answer struct{ Count int }
	err := Ask(ctx, client, http.MethodGet, "/"+indices+"/_count"+options, "", &answer)
	return answer.Count, err
}

// Each calls visit for all documents of indices.
func Each(ctx context.Context, client Client, indices string, visit func(Document)) error {
	type page struct {
		ScrollID string `json:"_scroll_id"`
		Hits     struct{ Hits []Document }
	}
	var p page
	err := Ask(ctx, client, http.MethodPost, "/"+indices+"/_search?scroll=1m&ignore_unavailable=true", `{"size":5000,"sort":["_doc"]}`, &p)
	for err == nil && len(p.Hits.Hits) > 0 {
		for _, d := range p.Hits.Hits {
			visit(d)
		}
		next, _ := json.Marshal(map[string]string{"scroll": "1m", "scroll_id": p.ScrollID})
		p = page{}
		err = Ask(ctx, client, http.MethodPost, "/_search/scroll", string(next), &p)
	}
	return err
}
