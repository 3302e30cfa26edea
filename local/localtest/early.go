package localtest

import (
	"io"
	"net/http"
)

// Early is an HTTP client that refuses a request before it has read it, and keeps
// its body: what a service does that answers while the end is still being sent.
type Early struct{ Body io.Reader }

// Do refuses a request.
func (e *Early) Do(r *http.Request) (*http.Response, error) {
	e.Body = r.Body
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: http.NoBody}, nil
}
