package localtest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	opensearchgo "github.com/opensearch-project/opensearch-go/v4"

	"logsluice/local/inspect"
	"logsluice/opensearch"
)

// Client returns a client of a real OpenSearch, or skips the test.
func Client(t testing.TB) *opensearchgo.Client {
	t.Helper()
	client, err := opensearch.NewClient(opensearch.ClientConfig{URL: OpenSearch(t), Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return client
}

// Prefix returns a prefix that no other test uses. Its indices and templates are deleted at the
// end of the test.
func Prefix(t testing.TB, client opensearch.Client) string {
	t.Helper()
	prefix := fmt.Sprintf("t%d", time.Now().UnixNano())
	t.Cleanup(func() {
		for _, path := range []string{"/" + prefix + "*", "/_index_template/" + prefix + "*"} {
			// They might not exist.
			_ = inspect.Ask(context.Background(), client, http.MethodDelete, path, "", nil)
		}
	})
	return prefix
}
