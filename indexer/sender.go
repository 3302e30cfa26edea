package indexer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"logsluice/internal/garbage"
	"logsluice/opensearch"
)

// One bulk request: its body, the call, and each document's outcome.

// maxString bounds in bytes what is kept of each string in a response. Reasons are cut
// further.
const maxString = 2 * maxReason

// send posts a batch. It returns the outcome of each document and how the request went.
func (ix *Indexer) send(batch []part) result {
	start := time.Now()
	items, status, err := ix.post(batch)
	took := time.Since(start)
	ix.metrics.requestSeconds.Observe(took.Seconds())

	var outcomes []partOutcome
	switch {
	case err == nil:
		outcomes = ix.outcomesOf(batch, items)
	case tooLarge(status, err) && documents(batch) > 1:
		// Send halves, down to the one document that does not fit.
		first, second := halve(batch)
		result := ix.send(first)
		result.outcomes = append(result.outcomes, ix.send(second).outcomes...)
		result.stats.full = false // it was at most half of the batch
		return result
	case tooLarge(status, err) && !batch[0].isLetter():
		outcomes = ix.sameOutcome(batch, refused, status, err)
	case tooLarge(status, err) && batch[0].fallback.keep == 0:
		// It waits for its index, as even a letter without payload is too large.
		outcomes = ix.sameOutcome(batch, blocked, status, err)
		outcomes[0].narrow(ix.cfg.Prefix)
	case tooLarge(status, err):
		batch[0].fallback.cutPayload()
		outcomes = ix.sameOutcome(batch, busy, status, err)
	default:
		ix.metrics.failedRequests.Inc()
		outcomes = ix.sameOutcome(batch, unanswered, status, err)
	}
	overCapacity := rejected(batch, items, status)
	ix.metrics.rejected.Add(float64(overCapacity))
	ix.report(outcomes, status, err)
	ix.noteSettings(status, items, err)
	return result{outcomes: outcomes, stats: requestStats{
		sent: start, took: took,
		// OpenSearch has no capacity, or does not answer.
		pushback: (overCapacity > 0 || status == 0 || status >= 500) && !tooLarge(status, err),
		full:     ix.isFull(batch) && slices.ContainsFunc(items, isAcceptedItem),
	}}
}

// sameOutcome returns the same outcome for all documents of a batch.
func (ix *Indexer) sameOutcome(batch []part, how outcome, status int, err error) []partOutcome {
	why := ix.reasons.share(causeOf(err))
	outcomes := make([]partOutcome, 0, len(batch))
	for _, p := range batch {
		o := partOutcome{part: p, outcome: how, status: status, reason: why}
		if !p.probe {
			outcomes = append(outcomes, o)
			continue
		}
		for o.part = p; p.count() > 0; p = p.slice(o.count(), p.count()) {
			o.part = p
			o.narrow(ix.cfg.Prefix)
			outcomes = append(outcomes, o)
		}
	}
	return outcomes
}

// isFull reports whether a batch is so large that its size no longer decides how long it
// takes.
func (ix *Indexer) isFull(batch []part) bool {
	bytes := 0
	for _, p := range batch {
		bytes += p.size()
	}
	return bytes >= ix.cfg.BatchBytes/2 || documents(batch) >= ix.cfg.BatchDocuments/2
}

// pressureLimit matches the reason of a refusal for indexing pressure: the bytes that a
// node would have to keep in memory for the request, and the bytes that it may.
// See https://www.elastic.co/guide/en/elasticsearch/reference/7.10/index-modules-indexing-pressure.html.
var pressureLimit = regexp.MustCompile(`coordinating_operation_bytes=(\d+), max_coordinating_and_primary_bytes=(\d+)`)

// tooLarge reports whether a request exceeds what OpenSearch or a proxy accepts (413), or
// what a node may keep in memory (429). Retrying such a request never succeeds.
func tooLarge(status int, err error) bool {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusTooManyRequests:
		found := pressureLimit.FindStringSubmatch(causeOf(err).Reason)
		if found == nil {
			return false
		}
		size, _ := strconv.ParseInt(found[1], 10, 64) // digits
		most, _ := strconv.ParseInt(found[2], 10, 64)
		return size > most
	}
	return false
}

// rejected returns the number of documents that OpenSearch had no capacity for.
func rejected(batch []part, items []opensearch.Item, status int) int {
	if status == http.StatusTooManyRequests {
		return documents(batch)
	}
	n := 0
	for _, item := range items {
		if outcomeOf(item) == busy && item.Status != 0 {
			n++
		}
	}
	return n
}

// post sends one bulk request. It returns an error unless the response is 200 with an
// item for each document. status is 0 if no response was received.
func (ix *Indexer) post(batch []part) (items []opensearch.Item, status int, err error) {
	if isLarge(batch[0]) {
		garbage.Collect()
	}
	ctx, cancel := context.WithTimeout(ix.ctx, ix.cfg.RequestTimeout)
	defer cancel()
	readers, size := make([]io.Reader, len(batch)), 0
	for i, p := range batch {
		encode := ix.encode(p)
		readers[i] = bytes.NewReader(encode)
		size += len(encode)
	}
	ix.metrics.requestBytes.Add(float64(size))
	most := opensearch.MaxBulkAnswer(documents(batch), size)
	body := &requestBody{Reader: io.MultiReader(readers...)}
	retain := func() {
		for _, p := range batch {
			p.docs.retained.Store(true)
		}
	}
	if ix.cfg.Gzip {
		// The documents are read here, so only the compressed copy may be retained.
		packed, err := pack(body.Reader)
		if err != nil {
			return nil, 0, fmt.Errorf("compress a bulk request: %w", err)
		}
		body.Reader, size = bytes.NewReader(packed.body.Bytes()), packed.body.Len()
		returned := true
		retain = func() { returned = false }
		defer func() {
			if returned {
				packers.Put(packed)
			}
		}()
	}
	defer body.retain(retain)
	req, err := opensearch.NewBulkRequest(ctx, opensearch.ItemsOnly, body)
	if err != nil {
		return nil, 0, err
	}
	req.ContentLength = int64(size)
	if ix.cfg.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}

	resp, err := ix.client.Stream(req)
	if err != nil {
		return nil, 0, fmt.Errorf("bulk request: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode, opensearch.NewAnswerError("bulk request", resp)
	}
	items, err = opensearch.ReadItems(opensearch.Bounded(resp.Body, most), documents(batch), maxString)
	if err != nil {
		return nil, 0, fmt.Errorf("read the answer to a bulk request: %w", err)
	}
	return items, http.StatusOK, nil
}

// packer compresses request bodies.
type packer struct {
	writer *gzip.Writer
	body   bytes.Buffer
}

var packers = sync.Pool{New: func() any {
	// The lowest level already removes most of the redundancy of logs.
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return &packer{writer: w}
}}

func pack(r io.Reader) (*packer, error) {
	p := packers.Get().(*packer)
	p.body.Reset()
	p.writer.Reset(&p.body)
	_, err := io.Copy(p.writer, r)
	return p, errors.Join(err, p.writer.Close())
}

// requestBody reads the records' buffers without copying them. The transport closes it
// when it is done, which can be after the response.
type requestBody struct {
	io.Reader
	closed atomic.Bool
}

// Close implements io.Closer.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// retain calls mark if the transport may still be reading the buffers.
func (b *requestBody) retain(mark func()) {
	if !b.closed.Load() {
		mark()
	}
}

// causeOf returns why a bulk request was refused, as reported by OpenSearch if possible.
func causeOf(err error) *opensearch.Cause {
	cause := opensearch.CauseOf(err)
	if cause.Type == "" {
		cause.Type = "bulk_request_refused"
	}
	return &cause
}

func documents(batch []part) int {
	n := 0
	for _, p := range batch {
		n += p.count()
	}
	return n
}

// halve splits a batch of at least two documents.
func halve(batch []part) (first, second []part) {
	if len(batch) > 1 {
		return batch[:len(batch)/2], batch[len(batch)/2:]
	}
	head, rest := batch[0].split(len(batch[0].bytes()), batch[0].count()/2)
	return []part{head}, []part{rest}
}
