package opensearch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// Operations are sent as lines. Each gets the item at its position, with complete
// reasons.
func TestBulk(t *testing.T) {
	t.Parallel()
	reason := strings.Repeat("r", 5000)
	var path, kind, lines, answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		path, kind, lines = r.Method+" "+r.URL.String(), r.Header.Get("Content-Type"), string(body)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(ClientConfig{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	send := func() ([]Item, error) {
		return Bulk(t.Context(), client,
			Operation{Action: "create", Where: map[string]any{"_index": "i", "_id": "1"}, Document: map[string]any{"message": "<a>"}},
			Operation{Action: "index", Where: map[string]any{"_index": "i", "if_seq_no": int64(1) << 52}, Document: struct{}{}})
	}
	answer = `{"took":1,"errors":true,"items":[{"create":{"_index":"i","status":201}},{"index":{"status":409,"error":{"type":"t","reason":"` + reason + `"}}}]}`
	items, err := send()
	if want := []Item{{Status: 201}, {Status: 409, Error: &Cause{Type: "t", Reason: reason}}}; err != nil || !reflect.DeepEqual(items, want) {
		t.Errorf("%+v, %v", items, err)
	}
	const body = `{"create":{"_id":"1","_index":"i"}}` + "\n" + `{"message":"\u003ca\u003e"}` + "\n" + `{"index":{"_index":"i","if_seq_no":4503599627370496}}` + "\n{}\n"
	if path != "POST /_bulk?timeout=2s" || kind != "application/x-ndjson" || lines != body {
		t.Errorf("%s, %s: %s", path, kind, lines)
	}
	answer = `{"items":[{"create":{"status":201}}]}`
	if items, err := send(); err == nil || !strings.HasPrefix(err.Error(), "send a bulk request: ") {
		t.Errorf("one item for two operations: %+v, %v", items, err)
	}
}
