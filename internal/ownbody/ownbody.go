// Package ownbody keeps the AWS SDK from breaking its own connections.
package ownbody

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Client sends requests from bodies that nobody else closes. The SDK closes its own
// as soon as an answer begins. The transport may not have seen the end of it by
// then, where the service is near or the processors are busy; it takes that for a
// failed write and closes the connection under the answer. The SDK tries again,
// after a pause of a second or two.
func Client(client aws.HTTPClient) aws.HTTPClient { return ownBody{client} }

type ownBody struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (o ownBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context()) // the SDK keeps its own
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return o.HTTPClient.Do(r)
}
