package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"logsluice/internal/loggen"
)

// acknowledgements is a proxy between logsluice and OpenSearch. It records when the last document
// of each record was acknowledged.
type acknowledgements struct {
	search string // URL
	client *http.Client

	mu      sync.Mutex
	pending map[string]*pending // by the id of the event
	took    []time.Duration     // from put to acknowledgement, per record
	answers []time.Duration     // response times of bulk requests
	err     error
}

// pending is a record whose documents are not all acknowledged.
type pending struct {
	put  time.Time
	left int // documents without acknowledgement
}

// expect records that a record is put now.
func (a *acknowledgements) expect(r loggen.Record) {
	p := &pending{put: time.Now(), left: len(r.Events)}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range r.Events {
		a.pending[e.ID] = p
	}
}

// ServeHTTP forwards a request to OpenSearch.
func (a *acknowledgements) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.forward(w, r); err != nil && r.Context().Err() == nil {
		a.fail(err)
		panic(http.ErrAbortHandler)
	}
}

func (a *acknowledgements) forward(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, a.search+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Accept-Encoding") // so that the response is not compressed
	asked := time.Now()
	resp, err := a.client.Do(out)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if strings.HasSuffix(r.URL.Path, "/_bulk") {
		if !bytes.Contains(answer, []byte(`"errors":false`)) {
			return fmt.Errorf("bulk request: %s: %.300s", resp.Status, answer)
		}
		a.record(body, asked, time.Now())
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // fails only if the client has gone
	return nil
}

// record marks the documents of a bulk request as acknowledged.
func (a *acknowledgements) record(body []byte, asked, answered time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = append(a.answers, answered.Sub(asked))
	for len(body) > 0 {
		var action []byte
		action, body, _ = bytes.Cut(body, []byte{'\n'})
		_, body, _ = bytes.Cut(body, []byte{'\n'}) // the document
		_, id, _ := bytes.Cut(action, []byte(`"_id":"`))
		id, _, _ = bytes.Cut(id, []byte{'"'})
		p := a.pending[string(id)]
		if p == nil {
			continue
		}
		delete(a.pending, string(id))
		if p.left--; p.left == 0 {
			a.took = append(a.took, answered.Sub(p.put))
		}
	}
}

func (a *acknowledgements) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
}

// waiting returns how many documents are not yet acknowledged.
func (a *acknowledgements) waiting() (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pending), a.err
}

// times returns the times recorded since its last call.
func (a *acknowledgements) times() (took, answers []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took, answers = a.took, a.answers
	a.took, a.answers = nil, nil
	return took, answers
}
