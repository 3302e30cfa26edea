package localtest

import (
	"io"
	"net/http"
)

// EarlyResponder is an HTTP client that answers 400 before it has read the request, and keeps
// the request's body. A service does that if it answers while the body is still being sent.
type EarlyResponder struct{ Body io.Reader }

// Do implements aws.HTTPClient.
func (e *EarlyResponder) Do(r *http.Request) (*http.Response, error) {
	e.Body = r.Body
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: http.NoBody}, nil
}
