package indexer

import (
	"net/http"
	"slices"
	"strings"
)

// verdict is what became of a run of documents in one request: they are to be
// sent again, or replaced by their dead letter, or else settled.
type verdict struct {
	part
	again  bool
	letter *Documents
	reason itemError // of again and letter
}

// bulkAnswer is the answer to a bulk request.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
type bulkAnswer struct {
	Items []map[string]itemResult `json:"items"`
}

type itemResult struct {
	Status int       `json:"status"`
	Error  itemError `json:"error"`
}

type itemError struct {
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	CausedBy *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"caused_by,omitempty"`
}

// text is the reason with its cause, which often alone names the culprit.
func (e itemError) text() string {
	if e.CausedBy == nil || e.CausedBy.Reason == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.CausedBy.Type + ": " + e.CausedBy.Reason
}

// results are the items without the operation each is filed under.
func (a bulkAnswer) results() []itemResult {
	results := make([]itemResult, len(a.Items))
	for i, item := range a.Items {
		for _, result := range item {
			results[i] = result
		}
	}
	return results
}

type outcome int

const (
	indexed outcome = iota
	alreadyThere
	retriable
	refusedForGood
)

// passing are error types that are no fault of the document, though their
// status says so: something in the cluster or in a setting has to change, and
// the document waits for that. Blocks (read-only, flood-stage watermark) and
// missing permissions come with statuses of their own.
var passing = []string{"index_not_found_exception", "index_closed_exception"}

// outcomeOf judges the status of one create operation.
func outcomeOf(r itemResult) outcome {
	switch {
	case r.Status >= 200 && r.Status < 300:
		return indexed
	case r.Status == http.StatusConflict:
		return alreadyThere
	case r.Status == http.StatusTooManyRequests, r.Status >= 500, r.Status == 0,
		r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		return retriable
	}
	if slices.Contains(passing, r.Error.Type) {
		return retriable
	}
	return refusedForGood
}

// judge turns the items of an answer into verdicts, one for each run of
// documents of a record that fare alike.
func (ix *Indexer) judge(batch []part, items []itemResult) []verdict {
	var verdicts []verdict
	for _, p := range batch {
		from := p.from
		for from < p.to {
			item := items[from-p.from]
			kind := outcomeOf(item)
			to := from + 1
			for kind != refusedForGood && to < p.to && outcomeOf(items[to-p.from]) == kind {
				to++
			}
			run := part{docs: p.docs, from: from, to: to, attempts: p.attempts}
			n := float64(to - from)
			switch {
			case kind == retriable:
				verdicts = append(verdicts, verdict{part: run, again: true, reason: item.Error})
			case kind == refusedForGood:
				verdicts = append(verdicts, ix.refused(run, item.Status, item.Error))
			case p.docs.letter != nil:
				ix.metrics.deadLetters.Add(n)
				verdicts = append(verdicts, verdict{part: run})
			case kind == indexed:
				ix.metrics.indexed.Add(n)
				verdicts = append(verdicts, verdict{part: run})
			case kind == alreadyThere:
				ix.metrics.alreadyThere.Add(n)
				verdicts = append(verdicts, verdict{part: run})
			}
			from = to
		}
		items = items[p.to-p.from:]
	}
	return verdicts
}

// refused is the verdict on one document that OpenSearch will never take. A
// dead letter has nowhere else to go and is sent until it is taken.
func (ix *Indexer) refused(one part, status int, reason itemError) verdict {
	if one.docs.letter != nil {
		return verdict{part: one, again: true, reason: reason}
	}
	return verdict{part: one, letter: ix.letterOf(one, status, reason), reason: reason}
}

// again sends a whole batch once more.
func again(batch []part) []verdict {
	verdicts := make([]verdict, len(batch))
	for i, p := range batch {
		verdicts[i] = verdict{part: p, again: true}
	}
	return verdicts
}

// report logs what went wrong in a request: one line, whatever the number of
// documents.
func (ix *Indexer) report(verdicts []verdict, status int, err error) {
	var retried, dead int
	var reasons []string
	seen := make(map[string]bool)
	for _, v := range verdicts {
		switch {
		case v.letter != nil:
			dead += v.to - v.from
		case v.again:
			retried += v.to - v.from
		default:
			continue
		}
		if reason := v.reason.Type + ": " + v.reason.text(); v.reason.Type != "" && !seen[v.reason.Type] {
			seen[v.reason.Type] = true
			reasons = append(reasons, reason)
		}
	}
	if retried == 0 && dead == 0 {
		return
	}
	ix.metrics.retried.Add(float64(retried))
	event := ix.cfg.Log.Warn()
	if dead > 0 || status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound {
		event = ix.cfg.Log.Error()
	}
	if err != nil {
		event = event.Err(err)
	}
	event.Int("retried", retried).Int("dead_letters", dead).Str("reasons", strings.Join(reasons, "; ")).
		Msg("OpenSearch did not take all documents")
}
