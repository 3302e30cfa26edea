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

// Cause is why OpenSearch refuses something, in its own words.
type Cause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	// Index is the index that it is about, "" where none is named.
	Index string `json:"index,omitempty"`
	// CausedBy is what lies behind it, nil where nothing does.
	CausedBy *Cause `json:"caused_by,omitempty"`
}

// maxCause bounds the text of a cause in bytes.
const maxCause = 2000

// String returns the cause and what lies behind it on one line.
func (c *Cause) String() string {
	var text []string
	for ; c != nil; c = c.CausedBy {
		text = append(text, strings.TrimSuffix(c.Type+": "+c.Reason, ": "))
	}
	line := strings.Join(strings.Fields(strings.Join(text, "; caused by ")), " ")
	return strings.ToValidUTF8(line[:min(len(line), maxCause)], "")
}

// AnswerError is an answer that is not the one hoped for.
type AnswerError struct {
	// Status is that of the answer.
	Status int

	doing, status string
	who           string // answers
	said          string // the beginning of what the server says
	cause         *Cause // nil in answers of others
}

// NewAnswerError reads the error of an answer to a request that was for doing what
// it says.
func NewAnswerError(doing string, resp *http.Response) *AnswerError {
	const most, enough = 64 << 10, 500
	said, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	var answer struct {
		Error *Cause `json:"error"`
	}
	// What cannot be read is not from OpenSearch, or too long to tell.
	_ = json.Unmarshal(said, &answer)
	if answer.Error != nil {
		answer.Error.Reason = safetext.CutToken(answer.Error.Reason)
	}
	return &AnswerError{
		who: "OpenSearch", doing: doing, status: resp.Status, Status: resp.StatusCode, cause: answer.Error,
		said: safetext.CutToken(strings.ToValidUTF8(string(bytes.TrimSpace(said[:min(len(said), enough)])), "\uFFFD")),
	}
}

// Error implements error.
func (e *AnswerError) Error() string {
	said := e.said
	if e.cause != nil && e.cause.Type != "" {
		said = e.cause.String()
	}
	return strings.TrimRight(fmt.Sprintf("%s: %s answers %s: %s", e.doing, e.who, e.status, said), ": ")
}

// HasStatus reports whether an error is an answer of a status.
func HasStatus(err error, status int) bool {
	var e *AnswerError
	return errors.As(err, &e) && e.Status == status
}

// CauseOf is why something was refused. It has no type, and the error's text as its
// reason, where OpenSearch has not said so itself.
func CauseOf(err error) Cause {
	var e *AnswerError
	if errors.As(err, &e) && e.cause != nil && e.cause.Type != "" {
		return *e.cause
	}
	return Cause{Reason: err.Error()}
}
