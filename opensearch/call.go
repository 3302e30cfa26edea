package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// call sends a request for doing what it says, with a body of JSON unless that is
// nil, and decodes the answer unless answer is nil.
func call(ctx context.Context, client Client, doing, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return exchange(client, doing, req, answer)
}

// exchange is call for a request that is made already.
func exchange(client Client, doing string, req *http.Request, answer any) error {
	resp, err := send(client, doing, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	if err := decode(resp, answer); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// send sends a request and returns the answer, whose body is to be closed. It fails
// unless the status is 200 or 201.
func send(client Client, doing string, req *http.Request) (*http.Response, error) {
	resp, err := client.Stream(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		defer resp.Body.Close()
		return nil, NewAnswerError(doing, resp)
	}
	return resp, nil
}

// maxAnswer bounds an answer in bytes. The largest are mappings: a data stream of 100
// indices, each with 1,000 fields, has 6 MB.
const maxAnswer = 32 << 20

func decode(resp *http.Response, answer any) error {
	return json.NewDecoder(Bounded(resp.Body, maxAnswer)).Decode(answer)
}

// Bounded returns the body of an answer. Reading more than most bytes of it fails. A
// compressed answer counts as it is inflated.
func Bounded(body io.ReadCloser, most int64) io.Reader {
	return bounded{http.MaxBytesReader(nil, body, most)}
}

type bounded struct{ io.Reader }

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		err = fmt.Errorf("the answer has more than %d bytes, which is the most that is read", tooLong.Limit)
	}
	return n, err
}
