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
	"time"
)

// sink accepts every document of bulk requests, and computes the checksum of the events.
type sink struct {
	want int
	full chan struct{} // closed when want different events have arrived
	read reading

	mu   sync.Mutex
	got  checksum
	seen map[uint64]struct{} // sums of the events
}

// reading extracts the event from a document for an index and an id.
type reading func(index, id string, source []byte) (event, error)

func newSink(want int) *sink {
	return &sink{want: want, full: make(chan struct{}), read: readOurs, seen: make(map[uint64]struct{}, want)}
}

func readOurs(index, id string, source []byte) (event, error) {
	var d struct {
		Time      time.Time `json:"@timestamp"`
		Message   string    `json:"message"`
		LogGroup  string    `json:"log_group"`
		LogStream string    `json:"log_stream"`
		Owner     string    `json:"owner"`
	}
	err := json.Unmarshal(source, &d)
	return event{index, id, d.Message, d.LogGroup, d.LogStream, d.Owner, d.Time.UnixMilli()}, err
}

// ServeHTTP responds to logsluice's requests as OpenSearch does.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		s.bulk(w, r.Body)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound) // no template exists
	default:
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
	}
}

func (s *sink) bulk(w http.ResponseWriter, body io.Reader) {
	var came []event
	err := events(body, s.read, func(e event) { came = append(came, e) })
	switch {
	case errors.Is(err, errDocument):
		http.Error(w, `{"error":{"type":"parse_exception","reason":"not a document"}}`, http.StatusBadRequest)
		return
	case err != nil:
		return // the client has gone
	}
	answer := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, len(came)), ",")
	_, _ = io.WriteString(w, `{"errors":false,"items":[`+answer+`]}`)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.seen)
	for _, e := range came {
		s.got.add(e)
		s.seen[e.sum()] = struct{}{}
	}
	if before < s.want && len(s.seen) >= s.want {
		close(s.full)
	}
}

var errDocument = errors.New("not a document")

// events calls visit for each event in a bulk request.
func events(request io.Reader, read reading, visit func(event)) error {
	lines := bufio.NewReaderSize(request, 1<<20)
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
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(action, &operation); err != nil {
			return fmt.Errorf("%w: %w", errDocument, err)
		}
		for _, target := range operation {
			e, err := read(target.Index, target.ID, source)
			if err != nil {
				return fmt.Errorf("%w: %w", errDocument, err)
			}
			visit(e)
		}
	}
}

func (s *sink) result() checksum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// distinct returns how many different events have arrived.
func (s *sink) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}
