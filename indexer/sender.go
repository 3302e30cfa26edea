package indexer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"logsluice/opensearch"
)

// One bulk request: its body, the call, and the outcome of each document by its answer.

// maxString bounds in bytes what is kept of a string of an answer: of reasons even less
// is shown.
const maxString = 2 * maxReason

// send posts a batch, gives each of its documents a verdict, and tells how
// OpenSearch fared with it.
func (ix *Indexer) send(batch []part) result {
	start := time.Now()
	items, status, err := ix.post(batch)
	took := time.Since(start)
	ix.metrics.requestSeconds.Observe(took.Seconds())

	var verdicts []verdict
	switch {
	case err == nil:
		verdicts = ix.judge(batch, items)
	case tooLarge(status, err) && documents(batch) > 1:
		// Halves, down to the one document that does not fit.
		first, second := halve(batch)
		result := ix.send(first)
		result.verdicts = append(result.verdicts, ix.send(second).verdicts...)
		result.trip.full = false // it was half of it at the most
		return result
	case tooLarge(status, err) && !batch[0].isLetter():
		verdicts = ix.all(batch, refusedForGood, status, err)
	case tooLarge(status, err):
		batch[0].form.cutPayload()
		verdicts = ix.all(batch, busy, status, err)
	default:
		ix.metrics.failedRequests.Inc()
		verdicts = ix.all(batch, unanswered, status, err)
	}
	refused := rejected(batch, items, status)
	ix.metrics.rejected.Add(float64(refused))
	ix.report(verdicts, status, err)
	ix.note(status, items, err)
	return result{verdicts: verdicts, trip: trip{
		sent: start, took: took,
		// It has no room for work, or does not answer.
		pushback: (refused > 0 || status == 0 || status >= 500) && !tooLarge(status, err),
		full:     ix.isFull(batch) && slices.ContainsFunc(items, isTaken),
	}}
}

// all gives all documents of a batch the same outcome.
func (ix *Indexer) all(batch []part, how outcome, status int, err error) []verdict {
	why := ix.reasons.share(causeOf(err))
	verdicts := make([]verdict, 0, len(batch))
	for _, p := range batch {
		v := verdict{part: p, outcome: how, status: status, reason: why}
		if !p.probe {
			verdicts = append(verdicts, v)
			continue
		}
		for v.part = p; p.count() > 0; p = p.slice(v.count(), p.count()) {
			v.part = p
			v.narrow(ix.cfg.Prefix)
			verdicts = append(verdicts, v)
		}
	}
	return verdicts
}

// isFull tells that a batch is as good as full: its size no longer decides how
// long it takes.
func (ix *Indexer) isFull(batch []part) bool {
	bytes := 0
	for _, p := range batch {
		bytes += p.size()
	}
	return bytes >= ix.cfg.BatchBytes/2 || documents(batch) >= ix.cfg.BatchDocuments/2
}

// heldAtOnce finds how much a node would have to hold at once for a request, and
// how much it does, in the reason of a refusal for indexing pressure.
// See https://www.elastic.co/guide/en/elasticsearch/reference/7.10/index-modules-indexing-pressure.html.
var heldAtOnce = regexp.MustCompile(`coordinating_operation_bytes=(\d+), max_coordinating_and_primary_bytes=(\d+)`)

// tooLarge tells that a request is larger than OpenSearch or a proxy before it
// takes (413), or than a node holds at once (429): however long one waits, it is
// never taken.
func tooLarge(status int, err error) bool {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusTooManyRequests:
		found := heldAtOnce.FindStringSubmatch(causeOf(err).Reason)
		if found == nil {
			return false
		}
		size, _ := strconv.ParseInt(found[1], 10, 64) // digits
		most, _ := strconv.ParseInt(found[2], 10, 64)
		return size > most
	}
	return false
}

// rejected counts the documents that OpenSearch had no room for.
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

// post sends one bulk request. Unless it was answered with 200 and a verdict
// for each document, it returns an error; status is 0 when no answer came.
func (ix *Indexer) post(batch []part) (items []opensearch.Item, status int, err error) {
	if isLarge(batch[0]) {
		runtime.GC() // the memory limit alone is exceeded by one large buffer
	}
	ctx, cancel := context.WithTimeout(ix.ctx, ix.cfg.RequestTimeout)
	defer cancel()
	readers, size := make([]io.Reader, len(batch)), 0
	for i, p := range batch {
		written := ix.written(p)
		readers[i] = bytes.NewReader(written)
		size += len(written)
	}
	ix.metrics.requestBytes.Add(float64(size))
	most := opensearch.MaxBulkAnswer(documents(batch), size)
	body := &requestBody{Reader: io.MultiReader(readers...)}
	lend := func() {
		for _, p := range batch {
			p.docs.lent.Store(true)
		}
	}
	if ix.cfg.Gzip {
		// The documents are read here and now; what may be lent is the copy.
		packed, err := pack(body.Reader)
		if err != nil {
			return nil, 0, fmt.Errorf("compress a bulk request: %w", err)
		}
		body.Reader, size = bytes.NewReader(packed.body.Bytes()), packed.body.Len()
		returned := true
		lend = func() { returned = false }
		defer func() {
			if returned {
				packers.Put(packed)
			}
		}()
	}
	defer body.lend(lend)
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
	// The least effort takes off most of what there is to take off of logs.
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that there is
	return &packer{writer: w}
}}

func pack(r io.Reader) (*packer, error) {
	p := packers.Get().(*packer)
	p.body.Reset()
	p.writer.Reset(&p.body)
	_, err := io.Copy(p.writer, r)
	return p, errors.Join(err, p.writer.Close())
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

// lend marks buffers that the transport may still be reading.
func (b *requestBody) lend(mark func()) {
	if !b.closed.Load() {
		mark()
	}
}

// causeOf is why a bulk request was refused, in OpenSearch's own words if it has any.
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
