package domain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	resp, err := client.Stream(req)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return NewAnswerError(doing, resp)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
