package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// sink takes every document of bulk requests, and adds up what it got.
type sink struct {
	want int
	full chan struct{} // closed when as many documents came as are wanted

	mu  sync.Mutex
	got checksum
}

func newSink(want int) *sink { return &sink{want: want, full: make(chan struct{})} }

// ServeHTTP answers as OpenSearch does to logsluice's requests.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return // the client is gone
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		s.bulk(w, body)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound) // no template is in place
	default:
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
	}
}

func (s *sink) bulk(w http.ResponseWriter, body []byte) {
	var sum checksum
	for len(body) > 0 {
		var action, source []byte
		action, body, _ = bytes.Cut(body, []byte{'\n'})
		source, body, _ = bytes.Cut(body, []byte{'\n'})
		var operation map[string]struct {
			ID string `json:"_id"`
		}
		var document struct{ Message string }
		if json.Unmarshal(action, &operation) != nil || json.Unmarshal(source, &document) != nil {
			http.Error(w, `{"error":{"type":"parse_exception","reason":"not a document"}}`, http.StatusBadRequest)
			return
		}
		for _, target := range operation {
			sum.add(target.ID, document.Message)
		}
	}
	answer := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, sum.events), ",")
	_, _ = io.WriteString(w, `{"errors":false,"items":[`+answer+`]}`)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.got.events
	s.got.events += sum.events
	s.got.sum += sum.sum
	if before < s.want && s.got.events >= s.want {
		close(s.full)
	}
}

func (s *sink) result() checksum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}
