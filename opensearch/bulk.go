package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Bulk requests of workers and of doctor.

// ItemsOnly is a query for bulk requests that reduces the response to what ReadItems
// reads. Each item keeps its status, so the positions of items do not change.
const ItemsOnly = "filter_path=errors,items.*.status,items.*.error"

// NewBulkRequest returns a bulk request with a query and a body of lines.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func NewBulkRequest(ctx context.Context, query string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/_bulk?"+query, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	return req, nil
}

// AppendAction appends the action line of an operation such as create. where contains the
// index as _index and, unless OpenSearch chooses the id, the id as _id. Package mapping
// writes the action lines of log events, without allocations.
func AppendAction(dst []byte, action string, where map[string]any) ([]byte, error) {
	line, err := json.Marshal(map[string]any{action: where})
	return append(append(dst, line...), '\n'), err
}

// Operation is one operation of a bulk request: an action such as create, its target and
// its document.
type Operation struct {
	Action   string
	Where    map[string]any
	Document any
}

// Item is the result of one operation of a bulk request.
type Item struct {
	// Status is the item's status: 201 if created, 409 if its condition failed.
	Status int    `json:"status"`
	Error  *Cause `json:"error"`
}

// Bulk sends operations in the way a worker sends documents, and returns the result of
// each.
func Bulk(ctx context.Context, client Client, operations ...Operation) ([]Item, error) {
	const doing = "send a bulk request"
	const maxString = 64 << 10 // bytes, as for other errors
	var body []byte
	for _, o := range operations {
		var err error
		if body, err = AppendAction(body, o.Action, o.Where); err != nil {
			return nil, fmt.Errorf(doing+": %w", err)
		}
		document, err := json.Marshal(o.Document)
		if err != nil {
			return nil, fmt.Errorf(doing+": %w", err)
		}
		body = append(append(body, document...), '\n')
	}
	// OpenSearch waits this long for an index with unavailable shards before it responds.
	req, err := NewBulkRequest(ctx, "timeout=2s", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf(doing+": %w", err)
	}
	resp, err := send(client, doing, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	items, err := ReadItems(Bounded(resp.Body, maxAnswer), len(operations), maxString)
	if err != nil {
		return nil, fmt.Errorf(doing+": %w", err)
	}
	return items, nil
}
