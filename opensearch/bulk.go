package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Bulk requests, of workers and of doctor.

// ItemsOnly is a query of a bulk request: the answer has no more than ReadItems reads.
// Each item keeps its status, so the filter does not shift positions.
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

// AppendAction appends the action line of an operation such as create. where has the
// index as _index and, unless OpenSearch chooses one, the id as _id. The action lines of
// log events are written by package mapping, which allocates nothing for them.
func AppendAction(dst []byte, action string, where map[string]any) ([]byte, error) {
	line, err := json.Marshal(map[string]any{action: where})
	return append(append(dst, line...), '\n'), err
}

// Operation is one of a bulk request: an action such as create, where it takes place, and
// its document.
type Operation struct {
	Action   string
	Where    map[string]any
	Document any
}

// Item is what became of one operation of a bulk request.
type Item struct {
	// Status is that of the item: 201 created, 409 refused as its condition fails.
	Status int    `json:"status"`
	Error  *Cause `json:"error"`
}

// Bulk sends operations as a worker sends documents, and returns what became of each.
func Bulk(ctx context.Context, client Client, operations ...Operation) ([]Item, error) {
	const doing = "send a bulk request"
	const maxString = 64 << 10 // bytes, as of what is read of other errors
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
	// An index whose shards are not there answers after the time-out, and the others with it.
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
