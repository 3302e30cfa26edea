package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// sink takes every document of bulk requests, and adds up what it got.
type sink struct {
	want int
	full chan struct{} // closed when as many different events came as are wanted
	read reading

	mu   sync.Mutex
	got  checksum
	seen map[uint64]struct{} // the events, by their sums
}

// reading finds the event in a document: its id is the document's own, or stands
// in the source.
type reading func(documentID string, source []byte) (id, message string, err error)

func newSink(want int) *sink {
	return &sink{want: want, full: make(chan struct{}), read: readOurs, seen: make(map[uint64]struct{}, want)}
}

func readOurs(documentID string, source []byte) (id, message string, err error) {
	var document struct{ Message string }
	err = json.Unmarshal(source, &document)
	return documentID, document.Message, err
}

// ServeHTTP answers as OpenSearch does to logsluice's requests.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		s.bulk(w, r.Body)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound) // no template is in place
	default:
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
	}
}

func (s *sink) bulk(w http.ResponseWriter, body io.Reader) {
	var sums []uint64
	err := events(body, s.read, func(sum uint64) { sums = append(sums, sum) })
	switch {
	case errors.Is(err, errDocument):
		http.Error(w, `{"error":{"type":"parse_exception","reason":"not a document"}}`, http.StatusBadRequest)
		return
	case err != nil:
		return // the client is gone
	}
	answer := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, len(sums)), ",")
	_, _ = io.WriteString(w, `{"errors":false,"items":[`+answer+`]}`)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.seen)
	for _, sum := range sums {
		s.got.add(sum)
		s.seen[sum] = struct{}{}
	}
	if before < s.want && len(s.seen) >= s.want {
		close(s.full)
	}
}

var errDocument = errors.New("not a document")

// events tells the sum of each event that a bulk request holds.
func events(request io.Reader, read reading, tell func(sum uint64)) error {
	lines := bufio.NewReader(request)
	for {
		action, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(action) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		source, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		var operation map[string]struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(action, &operation); err != nil {
			return fmt.Errorf("%w: %w", errDocument, err)
		}
		for _, target := range operation {
			id, message, err := read(target.ID, source)
			if err != nil {
				return fmt.Errorf("%w: %w", errDocument, err)
			}
			tell(sumOf(id, message))
		}
	}
}

func (s *sink) result() checksum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// distinct is how many different events came.
func (s *sink) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}
