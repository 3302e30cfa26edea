package localtest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"

	"logsluice/domain"
	"logsluice/local/inspect"
)

// Client returns a client of a real OpenSearch, or skips the test.
func Client(t testing.TB) *opensearch.Client {
	t.Helper()
	client, err := domain.NewClient(domain.ClientConfig{URL: OpenSearch(t), Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return client
}

// Prefix returns a prefix no other test uses; what is under it is deleted at the end.
func Prefix(t testing.TB, client domain.Client) string {
	t.Helper()
	prefix := fmt.Sprintf("t%d", time.Now().UnixNano())
	t.Cleanup(func() {
		for _, path := range []string{"/" + prefix + "*", "/_index_template/" + prefix + "*"} {
			// There may be none.
			_ = inspect.Ask(context.Background(), client, http.MethodDelete, path, "", nil)
		}
	})
	return prefix
}
