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

// call sends a request with a JSON body unless body is nil, and decodes the response
// unless answer is nil. doing begins the text of errors.
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

// exchange is like call for an existing request.
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

// send sends a request and returns the response, whose body the caller must close. It
// fails unless the status is 200 or 201.
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

// maxAnswer limits a response in bytes. The largest are mappings: a data stream of 100
// indices with 1,000 fields each has 6 MB.
const maxAnswer = 32 << 20

func decode(resp *http.Response, answer any) error {
	return json.NewDecoder(Bounded(resp.Body, maxAnswer)).Decode(answer)
}

// Bounded returns a reader of a response body that fails after most bytes. The bytes of a
// compressed response are counted after decompression.
func Bounded(body io.ReadCloser, most int64) io.Reader {
	return bounded{http.MaxBytesReader(nil, body, most)}
}

type bounded struct{ io.Reader }

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		err = fmt.Errorf("the response has more than %d bytes, the maximum that is read", tooLong.Limit)
	}
	return n, err
}
