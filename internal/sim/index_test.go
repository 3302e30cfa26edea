package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// index is OpenSearch as far as bulk requests go: documents by index and id.
type index struct {
	// fault decides what becomes of a request, for which no item is given, and of
	// an item. Status 0 is no fault.
	fault func(l *life, item string) (status int, delay time.Duration)

	mu        sync.Mutex
	documents map[string]bool // index/id
	letters   map[string]bool // what the dead letters are about: document ids, sequence numbers
	again     int             // items that were there already
}

func newIndex(fault func(*life, string) (int, time.Duration)) *index {
	return &index{fault: fault, documents: make(map[string]bool), letters: make(map[string]bool)}
}

// refused tells that a document is of those that OpenSearch never takes.
func refused(id string) bool {
	return id != "" && crc32.ChecksumIEEE([]byte(id))%23 == 0 && len(id) == idDigits
}

func cut(document string) (index, id string, ok bool) { return strings.Cut(document, "/") }

// serve answers a bulk request.
func (x *index) serve(l *life, r *http.Request) (*http.Response, error) {
	status, delay := x.fault(l, "")
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	if status != 0 {
		return answer(r, status, []byte(`{"error":"refused by the story"}`)), nil
	}
	type item struct {
		Status int            `json:"status"`
		Error  map[string]any `json:"error,omitempty"`
	}
	var items []map[string]item
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, len(body)+1)
	for lines.Scan() {
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil {
			return nil, err
		}
		lines.Scan()
		for op, target := range action {
			result := item{Status: http.StatusCreated}
			if status, _ := x.fault(l, target.ID); status != 0 {
				result = item{Status: status, Error: map[string]any{"type": "story", "reason": "refused"}}
			} else if !x.create(target.Index, target.ID, lines.Bytes()) {
				result = item{Status: http.StatusConflict, Error: map[string]any{"type": "version_conflict_engine_exception"}}
			}
			items = append(items, map[string]item{op: result})
		}
	}
	out, err := json.Marshal(map[string]any{"errors": true, "items": items})
	if err != nil {
		return nil, err
	}
	return answer(r, http.StatusOK, out), nil
}

func answer(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Request: r}
}

func (x *index) create(index, id string, source []byte) (created bool) {
	var letter struct {
		Stage  string
		ID     string `json:"target_id"`
		Number string `json:"sequence_number"`
	}
	isLetter := strings.HasSuffix(index, "-dead-letter")
	if isLetter {
		must(json.Unmarshal(source, &letter))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.documents[index+"/"+id] {
		x.again++
		return false
	}
	x.documents[index+"/"+id] = true
	switch {
	case letter.ID != "":
		x.letters[letter.ID] = true
	case isLetter:
		x.letters[letter.Number] = true
	}
	return true
}

func (x *index) has(document string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.documents[document]
}

// letter tells that there is a dead letter about a document or a record.
func (x *index) letter(about string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.letters[about]
}

// count counts documents and dead letters.
func (x *index) count() (documents, letters int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for document := range x.documents {
		if strings.Contains(document, "-dead-letter/") {
			letters++
		}
	}
	return len(x.documents) - letters, letters
}

// sentAgain counts the documents that came and were there already.
func (x *index) sentAgain() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.again
}
