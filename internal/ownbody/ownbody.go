// Package ownbody prevents the AWS SDK from breaking its own connections.
package ownbody

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Client returns a client that sends requests with bodies that only the transport closes.
// The SDK closes its body as soon as a response begins. If the service is near or the
// processors are busy, the transport may not have read the end of the body by then. It
// treats that as a failed write and closes the connection while the response is read. The
// SDK retries after a pause of a second or two.
func Client(client aws.HTTPClient) aws.HTTPClient { return ownBody{client} }

type ownBody struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (o ownBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context()) // do not change the SDK's request
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return o.HTTPClient.Do(r)
}
