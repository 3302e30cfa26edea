package opensearch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The client sends only the requests that it is given: a worker's role allows no more.
func TestClientSendsNoOtherRequests(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path] = true
	}))
	defer server.Close()
	client, err := NewClient(ClientConfig{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	t.Parallel()
	const statsEvery = 5 * time.Second
	for end := time.Now().Add(statsEvery + time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/wanted", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Stream(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	for path := range asked {
		if strings.HasPrefix(path, "/_nodes") {
			t.Errorf("it requests %s", path)
		}
	}
}
