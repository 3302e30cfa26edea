package indexer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// bulkPath asks for no more of the answer than a verdict needs. Each item
// keeps its status, so the filter does not shift positions.
const bulkPath = "/_bulk?filter_path=errors,items.*.status,items.*.error"

// sendBatches asks for batches and sends them until the indexer is closed.
func (ix *Indexer) sendBatches() {
	answer := make(chan []part, 1)
	for {
		select {
		case ix.requests <- answer:
		case <-ix.ctx.Done():
			return
		}
		verdicts := ix.send(<-answer)
		select {
		case ix.verdicts <- verdicts:
		case <-ix.ctx.Done():
			return
		}
	}
}

// send posts a batch and gives each of its documents a verdict.
func (ix *Indexer) send(batch []part) []verdict {
	start := time.Now()
	items, status, err := ix.post(batch)
	ix.metrics.requestSeconds.Observe(time.Since(start).Seconds())

	var verdicts []verdict
	switch {
	case err == nil:
		verdicts = ix.judge(batch, items)
	case unfit(status) && documents(batch) > 1:
		// Halves, down to the one document that does not fit.
		first, second := halve(batch)
		return append(ix.send(first), ix.send(second)...)
	case unfit(status) && batch[0].docs.letter == nil:
		verdicts = []verdict{ix.refused(batch[0], status, itemError{Type: "bulk_request_refused", Reason: err.Error()})}
	default:
		if batch[0].docs.letter != nil && status == http.StatusRequestEntityTooLarge {
			batch[0].docs.cutPayload()
		}
		ix.metrics.failedRequests.Inc()
		verdicts = again(batch)
	}
	ix.report(verdicts, status, err)
	return verdicts
}

// unfit tells that a request as such is not taken, so that the document at
// fault has to be found: 413 when the body is too large for OpenSearch or a
// proxy before it, 400 when it cannot be taken apart.
func unfit(status int) bool {
	return status == http.StatusRequestEntityTooLarge || status == http.StatusBadRequest
}

// post sends one bulk request. Unless it was answered with 200 and a verdict
// for each document, it returns an error; status is 0 when no answer came.
func (ix *Indexer) post(batch []part) (items []itemResult, status int, err error) {
	ctx, cancel := context.WithTimeout(ix.ctx, ix.cfg.RequestTimeout)
	defer cancel()
	readers, size := make([]io.Reader, len(batch)), 0
	for i, p := range batch {
		readers[i] = bytes.NewReader(p.bytes())
		size += len(p.bytes())
	}
	body := &requestBody{Reader: io.MultiReader(readers...)}
	defer body.lend(batch)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, bulkPath, body)
	if err != nil {
		return nil, 0, err
	}
	req.ContentLength = int64(size)
	req.Header.Set("Content-Type", "application/x-ndjson")
	ix.metrics.requestBytes.Add(float64(size))

	resp, err := ix.client.Stream(req)
	if err != nil {
		return nil, 0, fmt.Errorf("bulk request: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode, answerError("bulk request", resp)
	}
	var answer bulkAnswer
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, 0, fmt.Errorf("read the answer to a bulk request: %w", err)
	}
	if want := documents(batch); len(answer.Items) != want {
		return nil, 0, fmt.Errorf("the answer to a bulk request has %d items for %d documents", len(answer.Items), want)
	}
	return answer.results(), http.StatusOK, nil
}

// requestBody reads the records' own buffers. The transport closes it when it
// is done with it, which can be later than the answer.
type requestBody struct {
	io.Reader
	closed atomic.Bool
}

// Close implements io.Closer.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// lend marks the buffers of a batch that the transport may still be reading.
func (b *requestBody) lend(batch []part) {
	if b.closed.Load() {
		return
	}
	for _, p := range batch {
		p.docs.lent.Store(true)
	}
}

// answerError is the error for an answer that is not the one hoped for, with
// the beginning of what the server says.
func answerError(doing string, resp *http.Response) error {
	const enough = 500
	said, _ := io.ReadAll(io.LimitReader(resp.Body, enough))
	return fmt.Errorf("%s: OpenSearch answers %s: %s", doing, resp.Status, strings.TrimSpace(string(said)))
}

func documents(batch []part) int {
	n := 0
	for _, p := range batch {
		n += p.to - p.from
	}
	return n
}

// halve splits a batch of at least two documents.
func halve(batch []part) (first, second []part) {
	if len(batch) > 1 {
		return batch[:len(batch)/2], batch[len(batch)/2:]
	}
	head, rest := batch[0].split(len(batch[0].bytes()), (batch[0].to-batch[0].from)/2)
	return []part{head}, []part{rest}
}
