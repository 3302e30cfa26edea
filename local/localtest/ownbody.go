package localtest

import (
	"bytes"
	"io"
	"net/http"
)

// OwnBody sends requests from a body that nobody else closes. The AWS SDK closes
// its own when the answer begins; net/http may still be reading the end of it
// then, takes that for a failure and closes the connection under the answer.
// Services that answer within microseconds meet this, and a client that does not
// retry shows it.
func OwnBody(transport http.RoundTripper) http.RoundTripper { return ownBody{transport} }

type ownBody struct{ http.RoundTripper }

func (o ownBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return o.RoundTripper.RoundTrip(r)
}
