// Package fakedomain implements those parts of an OpenSearch domain in process that a minimal
// OpenSearch lacks: Index State Management and OpenSearch Dashboards. Their responses follow
// the sources of the plugin and of Dashboards.
package fakedomain

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// record keeps the requests.
type record struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (r *record) note(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
}

// Take returns the requests since the last call.
func (r *record) Take() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := slices.Clone(r.requests)
	r.requests = nil
	return taken
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone notices itself
}
