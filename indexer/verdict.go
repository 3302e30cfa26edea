package indexer

import (
	"net/http"
	"slices"
	"strings"

	"logsluice/domain"
)

// verdict is what became of a run of documents in one request: they are to be
// sent again, or in other forms, or else settled.
type verdict struct {
	part
	again  bool
	away   bool   // for its request got no verdicts at all
	held   bool   // a dead letter was refused; it is to be sent again
	next   []part // other forms of the document
	reason reason // of again and next
}

// reason is why a document was not taken, in OpenSearch's words.
type reason struct{ kind, text string }

// maxReason bounds in bytes what is kept of a reason: it can quote the document.
const maxReason = 500

// reasonOf is an error with its cause, which often alone names the culprit.
func reasonOf(e *domain.Cause) reason {
	if e == nil {
		return reason{}
	}
	text := e.Reason
	if e.CausedBy != nil && e.CausedBy.Reason != "" {
		text += ": " + e.CausedBy.Type + ": " + e.CausedBy.Reason
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return reason{e.Type, text}
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
// the document waits for that. Blocks (read-only, flood-stage watermark), missing
// permissions and missing indices come with statuses of their own. A
// validation_exception is a new index beyond cluster.max_shards_per_node.
var passing = []string{"index_closed_exception", "validation_exception"}

// outcomeOf judges the status of one operation.
func outcomeOf(r itemResult) outcome {
	switch {
	case r.Status >= 200 && r.Status < 300:
		return indexed
	case r.Status == http.StatusConflict:
		return alreadyThere
	case r.Status == http.StatusTooManyRequests, r.Status >= 500, r.Status == 0, isSetting(r.Status):
		return retriable
	}
	if slices.Contains(passing, reasonOf(r.Error).kind) {
		return retriable
	}
	return refusedForGood
}

// isTaken tells that OpenSearch has done the work on a document.
func isTaken(r itemResult) bool { return outcomeOf(r) <= alreadyThere }

// judge turns the items of an answer into verdicts, one for each run of
// documents of a record that fare alike.
func (ix *Indexer) judge(batch []part, items []itemResult) []verdict {
	var verdicts []verdict
	for _, p := range batch {
		n := p.to - p.from
		for from := 0; from < n; {
			item := items[from]
			kind := outcomeOf(item)
			to := from + 1
			for kind != refusedForGood && to < n && outcomeOf(items[to]) == kind {
				to++
			}
			run := p
			run.from, run.to = p.from+from, p.from+to
			switch kind {
			case retriable:
				verdicts = append(verdicts, verdict{part: run, again: true, reason: reasonOf(item.Error)})
			case refusedForGood:
				verdicts = append(verdicts, refused(run, item.Status, reasonOf(item.Error)))
			default:
				ix.count(run, kind)
				verdicts = append(verdicts, verdict{part: run})
			}
			from = to
		}
		items = items[n:]
	}
	return verdicts
}

// count counts documents that are settled.
func (ix *Indexer) count(p part, kind outcome) {
	n := float64(p.to - p.from)
	switch {
	case kind == alreadyThere:
		ix.metrics.alreadyThere.Add(n)
	case p.isLetter():
		ix.metrics.deadLetters.Add(n)
	default:
		ix.metrics.indexed.Add(n)
		if p.form != nil {
			ix.metrics.plain.Add(n)
		}
	}
}

// refused is the verdict on one document that OpenSearch does not take for its
// content or its size: it is tried in its plain form, and if that is refused too,
// kept as a dead letter. A letter has nowhere else to go and is sent until it is
// taken.
func refused(p part, status int, why reason) verdict {
	v := verdict{part: p, reason: why}
	switch {
	case p.form == nil:
		v.next = []part{p.formOf(form{kind: plain, reason: why})}
	case p.form.kind == plain:
		// The reason is why the document itself is not taken.
		v.next = []part{p.formOf(letterOf(p, status, p.form.reason)), p.formOf(form{kind: bare})}
	case p.isLetter():
		v.again, v.held = true, true
	}
	return v
}

// again sends a whole batch once more.
func again(batch []part) []verdict {
	verdicts := make([]verdict, len(batch))
	for i, p := range batch {
		verdicts[i] = verdict{part: p, again: true, away: true}
	}
	return verdicts
}
