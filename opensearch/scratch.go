package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// What doctor does with its scratch index: it writes, reads and deletes.

// MayDelete tells whether indices of a name may be deleted. There must be none: it is
// found out by what a deletion is refused for.
func MayDelete(ctx context.Context, client Client, index string) (bool, error) {
	err := DeleteIndex(ctx, client, index)
	switch {
	case HasStatus(err, http.StatusNotFound):
		return true, nil
	case HasStatus(err, http.StatusForbidden):
		return false, nil
	}
	return false, err
}

// DeleteIndex deletes an index.
func DeleteIndex(ctx context.Context, client Client, index string) error {
	return call(ctx, client, "delete index "+index, http.MethodDelete, "/"+index, nil, nil)
}

// HasDocument tells whether a document is there, without waiting for a refresh.
func HasDocument(ctx context.Context, client Client, index, id string) (bool, error) {
	err := call(ctx, client, "read document "+id+" of "+index, http.MethodGet, "/"+index+"/_doc/"+id, nil, nil)
	if HasStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Item is what became of one operation of a bulk request.
type Item struct {
	// Status is that of the item: 201 created, 409 refused as its condition fails.
	Status int    `json:"status"`
	Error  *Cause `json:"error"`
}

// Operation is one of a bulk request: an action such as create, with what it says
// where, and its document.
type Operation struct {
	Action   string
	Where    map[string]any
	Document any
}

// Bulk sends operations as a worker sends documents, and returns what became of each.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func Bulk(ctx context.Context, client Client, operations ...Operation) ([]Item, error) {
	const doing = "send a bulk request"
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, o := range operations {
		for _, line := range []any{map[string]any{o.Action: o.Where}, o.Document} {
			if err := lines.Encode(line); err != nil {
				return nil, fmt.Errorf(doing+": %w", err)
			}
		}
	}
	// An index whose shards are not there answers after the time-out, and the others with it.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/_bulk?timeout=2s", &body)
	if err != nil {
		return nil, fmt.Errorf(doing+": %w", err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	var answer struct{ Items []map[string]Item }
	if err := exchange(client, doing, req, &answer); err != nil {
		return nil, err
	}
	items := make([]Item, len(operations))
	if len(answer.Items) != len(items) {
		return nil, fmt.Errorf(doing+": %d items are answered with %d", len(items), len(answer.Items))
	}
	for i, of := range answer.Items {
		for _, item := range of { // there is one
			items[i] = item
		}
	}
	return items, nil
}
