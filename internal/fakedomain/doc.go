// Package fakedomain has those parts of an OpenSearch domain in process that a bare
// OpenSearch is without: Index State Management and OpenSearch Dashboards. They answer
// as the sources of the plugin and of Dashboards have it.
package fakedomain

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// record is what requests were made.
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
	_ = json.NewEncoder(w).Encode(body) // what does not arrive is the client's to tell
}
