package opensearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"logsluice/internal/safetext"
)

// Cause is why OpenSearch refused something, as OpenSearch reports it.
type Cause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	// Index is the index concerned, or "" if OpenSearch reported none.
	Index string `json:"index,omitempty"`
	// CausedBy is the underlying cause, or nil.
	CausedBy *Cause `json:"caused_by,omitempty"`
}

// maxCause limits the text of a cause in bytes.
const maxCause = 2000

// String returns the cause and its underlying causes on one line.
func (c *Cause) String() string {
	var text []string
	for ; c != nil; c = c.CausedBy {
		text = append(text, strings.TrimSuffix(c.Type+": "+c.Reason, ": "))
	}
	line := strings.Join(strings.Fields(strings.Join(text, "; caused by ")), " ")
	return strings.ToValidUTF8(line[:min(len(line), maxCause)], "")
}

// AnswerError is returned for a response with an unexpected status.
type AnswerError struct {
	// Status is the HTTP status code.
	Status int

	doing, status string
	server        string // the server that responded
	body          string // the beginning of the response body
	cause         *Cause // nil if the response is not from OpenSearch
}

// NewAnswerError returns the error for a response. doing is what the request was for, and
// begins the error's text.
func NewAnswerError(doing string, resp *http.Response) *AnswerError {
	const most, enough = 64 << 10, 500
	text, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	var answer struct {
		Error *Cause `json:"error"`
	}
	// A body that cannot be parsed is not from OpenSearch or is too long.
	_ = json.Unmarshal(text, &answer)
	if answer.Error != nil {
		answer.Error.Reason = safetext.CutToken(answer.Error.Reason)
	}
	return &AnswerError{
		server: "OpenSearch", doing: doing, status: resp.Status, Status: resp.StatusCode, cause: answer.Error,
		body: safetext.CutToken(strings.ToValidUTF8(string(bytes.TrimSpace(text[:min(len(text), enough)])), "\uFFFD")),
	}
}

// Error implements error.
func (e *AnswerError) Error() string {
	text := e.body
	if e.cause != nil && e.cause.Type != "" {
		text = e.cause.String()
	}
	return strings.TrimRight(fmt.Sprintf("%s: %s answers %s: %s", e.doing, e.server, e.status, text), ": ")
}

// HasStatus reports whether an error is a response with a status.
func HasStatus(err error, status int) bool {
	var e *AnswerError
	return errors.As(err, &e) && e.Status == status
}

// CauseOf returns the cause that OpenSearch reported in an error. If it reported none,
// the cause has no type and the error's text as its reason.
func CauseOf(err error) Cause {
	var e *AnswerError
	if errors.As(err, &e) && e.cause != nil && e.cause.Type != "" {
		return *e.cause
	}
	return Cause{Reason: err.Error()}
}
