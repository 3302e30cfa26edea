package sim

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"logsluice/indexer/deadletter"
)

var deadLetters = deadletter.Index(prefix)

// index implements the bulk requests of OpenSearch: documents by index and id.
type index struct {
	// requestFault returns the fault of a request; status 0 means none.
	requestFault func(p *process) (status int, delay time.Duration)
	// itemFault returns why an item is rejected, nil if it is accepted.
	itemFault func(p *process, i item) *refusal
	// sent is called for each item that arrives, and outcome for each that has a result.
	sent    func(p *process, i item)
	outcome func(p *process, i item, r *refusal, created bool)

	mu        sync.Mutex
	documents map[string]bool // index/id
	letters   map[string]int  // by subject: a document id or a sequence number
	again     int             // items that already existed
	known     map[string]item // by action line
}

// item is an operation of a bulk request.
type item struct {
	operation, index, id string
	letter               *letter // nil unless it is for the dead-letter index
}

func (i item) document() string { return i.index + "/" + i.id }

// letter contains the fields of a dead letter.
type letter struct {
	Stage  string
	Index  string `json:"target_index"`
	ID     string `json:"target_id"`
	Number string `json:"sequence_number"`
}

// about returns the id of the document or the sequence number of the record.
func (l letter) about() string {
	if l.ID != "" {
		return l.ID
	}
	return l.Number
}

// refusal is why an item is rejected.
type refusal struct {
	status       int
	kind, reason string
}

func newIndex() *index {
	return &index{documents: make(map[string]bool), letters: make(map[string]int), known: make(map[string]item)}
}

// refused reports whether OpenSearch never accepts a document.
func refused(id string) bool {
	return id != "" && crc32.ChecksumIEEE([]byte(id))%23 == 0 && len(id) == idDigits
}

func cut(document string) (index, id string, ok bool) { return strings.Cut(document, "/") }

// serve answers a bulk request.
func (x *index) serve(p *process, r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	items, err := x.readItems(body)
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		x.sent(p, i)
	}
	status, delay := x.requestFault(p)
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if status != 0 {
		return answer(r, status, []byte(`{"error":"refused by the story"}`)), nil
	}
	type result struct {
		Status int            `json:"status"`
		Error  map[string]any `json:"error,omitempty"`
	}
	results := make([]map[string]result, 0, len(items))
	for _, i := range items {
		refusal, created, status := x.itemFault(p, i), false, http.StatusCreated
		if refusal == nil {
			created = x.create(i)
		}
		var why map[string]any
		switch {
		case refusal != nil:
			status, why = refusal.status, map[string]any{"type": refusal.kind, "reason": refusal.reason}
		case !created:
			status, why = http.StatusConflict, map[string]any{"type": "version_conflict_engine_exception"}
		}
		x.outcome(p, i, refusal, created)
		results = append(results, map[string]result{i.operation: {status, why}})
	}
	out, err := json.Marshal(map[string]any{"errors": true, "items": results})
	if err != nil {
		return nil, err
	}
	return answer(r, http.StatusOK, out), nil
}

// readItems parses a bulk request. It caches parsed items, because a waiting document is sent
// repeatedly.
func (x *index) readItems(body []byte) (items []item, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for pair := range slices.Chunk(lines, 2) {
		action, source := pair[0], pair[1]
		i, known := x.known[string(action)]
		if !known {
			if i, err = readItem(action, source); err != nil {
				return nil, err
			}
			if i.letter == nil { // different dead letters may have the same id
				x.known[string(action)] = i
			}
		}
		items = append(items, i)
	}
	return items, nil
}

func readItem(action, source []byte) (i item, err error) {
	var operations map[string]struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	}
	if err := json.Unmarshal(action, &operations); err != nil {
		return i, err
	}
	for operation, target := range operations { // exactly one
		i = item{operation: operation, index: target.Index, id: target.ID}
	}
	if i.index == deadLetters {
		i.letter = new(letter)
		err = json.Unmarshal(source, i.letter)
	}
	return i, err
}

func answer(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Request: r}
}

func (x *index) create(i item) (created bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.documents[i.document()] {
		x.again++
		return false
	}
	x.documents[i.document()] = true
	if i.letter != nil {
		x.letters[i.letter.about()]++
	}
	return true
}

func (x *index) has(document string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.documents[document]
}

// letter reports whether a dead letter about a document or a record exists.
func (x *index) letter(about string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.letters[about] > 0
}

// all returns the documents, and the number of dead letters by subject.
func (x *index) all() (documents []string, letters map[string]int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for document := range x.documents {
		if !strings.HasPrefix(document, deadLetters+"/") {
			documents = append(documents, document)
		}
	}
	return documents, maps.Clone(x.letters)
}

// sentAgain returns the number of received documents that already existed.
func (x *index) sentAgain() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.again
}
