package indexer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/indexer/deadletter"
)

// streams is a client made from a function.
type streams func(*http.Request) (*http.Response, error)

func (f streams) Stream(r *http.Request) (*http.Response, error) { return f(r) }

// itemsOf returns a response with the statuses, in turn, for n documents.
func itemsOf(n int, statuses ...int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"create":{"status":%d}}`, statuses[i%len(statuses)]))
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}

// The result of a request: the outcomes of its documents, and the load of OpenSearch.
func TestResultOfRequest(t *testing.T) {
	const pressure = `{"error":{"type":"rejected_execution_exception","reason":"[coordinating_operation_bytes=%d, max_coordinating_and_primary_bytes=%d]"}}`
	f := func(name string, documents int, a answering, want []outcome, pushback, full bool, failed, rejected float64) {
		t.Helper()
		d := idleDispatcher(t, func(c *Config) { c.BatchDocuments = 10 })
		d.ix.client = &a
		p, _ := taken(d, t.Context(), 0, documents)
		r := d.ix.send([]part{p})
		var got []outcome
		for _, v := range r.outcomes {
			got = append(got, v.outcome)
		}
		if !slices.Equal(got, want) || r.stats.pushback != pushback || r.stats.full != full {
			t.Errorf("%s: outcomes %v, pushback %v, full %v", name, got, r.stats.pushback, r.stats.full)
		}
		if n, m := testutil.ToFloat64(d.ix.metrics.failedRequests), testutil.ToFloat64(d.ix.metrics.rejected); n != failed || m != rejected {
			t.Errorf("%s: %v requests failed, %v documents were rejected", name, n, m)
		}
		if a.err == nil && a.closed != a.requests {
			t.Errorf("%s: %d responses, %d closed", name, a.requests, a.closed)
		}
	}
	f("accepted", 4, answering{status: 200, body: itemsOf(4, 201)}, []outcome{indexed}, false, false, 0, 0)
	f("half of a batch", 5, answering{status: 200, body: itemsOf(5, 201)}, []outcome{indexed}, false, true, 0, 0)
	f("half of a batch, none accepted", 5, answering{status: 200, body: itemsOf(5, 400)}, []outcome{refused, refused, refused, refused, refused}, false, false, 0, 0)
	f("some busy", 4, answering{status: 200, body: itemsOf(4, 201, 429)}, []outcome{indexed, busy, indexed, busy}, true, false, 0, 2)
	f("no status", 2, answering{status: 200, body: itemsOf(2, 0)}, []outcome{busy}, false, false, 0, 0)
	f("busy", 2, answering{status: 429, body: "{}"}, []outcome{unanswered}, true, false, 1, 2)
	f("unavailable", 2, answering{status: 503, body: "{}"}, []outcome{unanswered}, true, false, 1, 0)
	f("no response", 2, answering{err: io.ErrUnexpectedEOF}, []outcome{unanswered}, true, false, 1, 0)
	f("forbidden", 2, answering{status: 403, body: "{}"}, []outcome{unanswered}, false, false, 1, 0)
	f("too large", 1, answering{status: 413}, []outcome{refused}, false, false, 0, 0)
	f("two too large", 2, answering{status: 413}, []outcome{refused, refused}, false, false, 0, 0)
	f("too large for a node", 1, answering{status: 429, body: fmt.Sprintf(pressure, 1001, 1000)}, []outcome{refused}, false, false, 0, 1)
	f("too large for now", 1, answering{status: 429, body: fmt.Sprintf(pressure, 1000, 1000)}, []outcome{unanswered}, true, false, 1, 1)
}

// A batch with half of the maximum bytes counts as full.
func TestFullByBytes(t *testing.T) {
	size := len(record(nil, 0, 2).Body)
	for limit, want := range map[int]bool{2 * size: true, 2*size + 2: false} {
		d := idleDispatcher(t, func(c *Config) { c.BatchBytes = limit })
		p, _ := taken(d, t.Context(), 0, 2)
		if full := d.ix.isFull([]part{p.slice(0, 1), p.slice(1, 2)}); full != want {
			t.Errorf("%d of %d bytes: full: %v", size, limit, full)
		}
	}
}

// The halves of a batch that was too large contain all of its documents and do not count
// as full.
func TestHalves(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.BatchDocuments = 4 })
	p, _ := taken(d, t.Context(), 0, 4)
	var sizes []int
	d.ix.client = streams(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		if n := strings.Count(string(body), "\n") / 2; r.ContentLength != int64(len(body)) {
			t.Errorf("content length %d, body %d bytes", r.ContentLength, len(body))
		} else if sizes = append(sizes, n); n <= 2 {
			return respond(200, itemsOf(n, 201)), nil
		}
		return respond(413, ""), nil
	})
	r := d.ix.send([]part{p.slice(0, 1), p.slice(1, 2), p.slice(2, 4)})
	n := 0
	for _, v := range r.outcomes {
		n += v.count()
	}
	if n != 4 || r.stats.full || !slices.Equal(sizes, []int{4, 1, 3, 1, 2}) && !slices.Equal(sizes, []int{4, 1, 3, 1, 1, 1}) {
		t.Errorf("%d documents have outcomes, full: %v, requests of %v", n, r.stats.full, sizes)
	}
}

// A dead letter that is too large is cut and sent again.
func TestLetterTooLarge(t *testing.T) {
	d := idleDispatcher(t, nil)
	d.ix.client = &answering{status: 413}
	p, _ := taken(d, t.Context(), 0, 1)
	p = p.letter(deadletter.StageIndex, 400, noOutcome)
	before := p.fallback.keep
	if r := d.ix.send([]part{p}); len(r.outcomes) != 1 || r.outcomes[0].outcome != busy || p.fallback.keep != before/2 || r.stats.pushback {
		t.Errorf("%+v, %d bytes of %d are kept", r, p.fallback.keep, before)
	}
	p.fallback.keep = 0
	if r := d.ix.send([]part{p}); len(r.outcomes) != 1 || r.outcomes[0].outcome != blocked || r.outcomes[0].index != deadletter.Index(d.ix.cfg.Prefix) {
		t.Errorf("a letter without payload: %+v", r)
	}
}

// Documents that are sent again are not left behind by others, even if a request has one document.
func TestBatchOfOne(t *testing.T) {
	d := idleDispatcher(t, nil)
	d.ix.cfg.BatchDocuments = 1
	again, _ := taken(d, t.Context(), 0, 1)
	d.requeued.put(again, time.Now())
	fresh, _ := taken(d, t.Context(), 1, 2)
	d.fresh.put(fresh, time.Now())
	if batch := d.nextBatch(time.Now()); len(batch) != 1 || batch[0].docs != again.docs {
		t.Errorf("%+v", batch)
	}
}

// When a request fails, the documents of a probe are separated by index.
func TestProbeFails(t *testing.T) {
	d := idleDispatcher(t, nil)
	docs := NewDocuments(Source{}, 0)
	for i, index := range []string{"app-x", "app-x", "app-y"} {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"7\"}}\n{}\n", index)
		docs.Next(i)
	}
	p := part{docs: docs, to: 3}
	if all := d.ix.sameOutcome([]part{p}, unanswered, 503, errors.New("away")); len(all) != 1 || all[0].count() != 3 || all[0].index != "" || all[0].reason.kind != "bulk_request_refused" {
		t.Errorf("%+v", all)
	}
	p.probe = true
	all := d.ix.sameOutcome([]part{p}, unanswered, 503, errors.New("away"))
	if len(all) != 2 || all[0].index != "app-x" || all[0].count() != 2 || all[1].index != "app-y" || all[1].count() != 1 {
		t.Errorf("a probe: %+v", all)
	}
}

// A request without a response times out.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDispatcher(t, nil)
		d.ix.client = &answering{hangs: true}
		p, _ := taken(d, t.Context(), 0, 1)
		begun := time.Now()
		go func() {
			time.Sleep(time.Hour)
			d.ix.cancel()
		}()
		if d.ix.send([]part{p}); time.Since(begun) != d.ix.cfg.RequestTimeout {
			t.Errorf("after %s", time.Since(begun))
		}
		time.Sleep(time.Hour)
	})
}

// Memory that the transport has released is reused.
func TestBodyIsReturned(t *testing.T) {
	for _, returns := range []bool{true, false} {
		d := idleDispatcher(t, nil)
		p, _ := taken(d, t.Context(), 0, 1)
		d.ix.client = streams(func(r *http.Request) (*http.Response, error) {
			if returns {
				r.Body.Close()
			}
			return respond(200, itemsOf(1, 201)), nil
		})
		if d.ix.send([]part{p}); p.docs.retained.Load() == returns {
			t.Errorf("returned: %v, retained: %v", returns, p.docs.retained.Load())
		}
	}
}
