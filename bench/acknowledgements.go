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

// acknowledgements stand between logsluice and OpenSearch and note when the last
// document of each record was acknowledged.
type acknowledgements struct {
	search string // URL
	client *http.Client

	mu      sync.Mutex
	flights map[string]*flight // by the id of the event
	took    []time.Duration    // of each record
	answers []time.Duration    // of each bulk request
	err     error
}

// flight is a record between its put and its last acknowledgement.
type flight struct {
	put  time.Time
	left int // documents
}

// expect says that a record is put now.
func (a *acknowledgements) expect(r loggen.Record) {
	f := &flight{put: time.Now(), left: len(r.Events)}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range r.Events {
		a.flights[e.ID] = f
	}
}

// ServeHTTP passes a request on.
func (a *acknowledgements) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.pass(w, r); err != nil && r.Context().Err() == nil {
		a.fail(err)
		panic(http.ErrAbortHandler)
	}
}

func (a *acknowledgements) pass(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, a.search+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Accept-Encoding") // then the answer can be read
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
		a.note(body, asked, time.Now())
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // else the client is gone
	return nil
}

// note counts the documents of a request off their records.
func (a *acknowledgements) note(body []byte, asked, answered time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = append(a.answers, answered.Sub(asked))
	for len(body) > 0 {
		var action []byte
		action, body, _ = bytes.Cut(body, []byte{'\n'})
		_, body, _ = bytes.Cut(body, []byte{'\n'}) // the document
		_, id, _ := bytes.Cut(action, []byte(`"_id":"`))
		id, _, _ = bytes.Cut(id, []byte{'"'})
		f := a.flights[string(id)]
		if f == nil {
			continue
		}
		delete(a.flights, string(id))
		if f.left--; f.left == 0 {
			a.took = append(a.took, answered.Sub(f.put))
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

// waiting is how many documents are not yet acknowledged.
func (a *acknowledgements) waiting() (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.flights), a.err
}

// take gives what was noted since it was called last.
func (a *acknowledgements) take() (took, answers []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took, answers = a.took, a.answers
	a.took, a.answers = nil, nil
	return took, answers
}
