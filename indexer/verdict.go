package indexer

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// verdict is the outcome of one request for a run of documents with the same outcome.
type verdict struct {
	part
	outcome outcome
	status  int
	reason  *reason // why they were not accepted, nil if they were
	// index is where the documents belong. It is set for those that are blocked or
	// failing, and for all while any index does not accept documents.
	index string
	flood bool // the disk's flood stage blocks the index
}

type outcome int

const (
	indexed outcome = iota
	alreadyThere
	// busy documents were refused for want of room (429), or are letters whose
	// payload is to be cut: they are sent again.
	busy
	// unanswered documents got no outcome, as their whole request failed.
	unanswered
	// blocked documents are refused for what is wrong with their index or with a
	// setting.
	blocked
	// failedAlone documents met an error of the server (5xx) that others do not.
	failedAlone
	// refusedForGood documents are refused for their content or their size.
	refusedForGood
	// conflicting documents have an id under which another event is indexed.
	conflicting
)

func (o outcome) isAccepted() bool { return o <= alreadyThere }

// isAgain reports whether documents are to be sent again as they are.
func (o outcome) isAgain() bool { return o >= busy && o <= failedAlone }

// blocks are error types that are not the document's fault, whatever their status
// says: something in the cluster or in a setting has to change. A
// validation_exception is a new index beyond cluster.max_shards_per_node.
var blocks = []string{
	"cluster_block_exception", "index_create_block_exception", "index_closed_exception",
	"unavailable_shards_exception", "index_not_found_exception", "validation_exception",
}

// blockReasons find the same among the errors of type illegal_argument_exception:
// an alias without a write index, and a pipeline that was deleted.
var blockReasons = regexp.MustCompile(`^no write index is defined for alias|has more than one ind(ex|ices) associated with it|^pipeline with id \[.*\] does not exist$`)

// floodBlock is the id of the block that OpenSearch sets when a disk is nearly
// full: index.blocks.read_only_allow_delete.
// See https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/cluster-settings/.
const floodBlock = "/12/"

func isBlock(e *opensearch.Cause) bool {
	if e == nil {
		return false
	}
	return slices.Contains(blocks, e.Type) || e.Type == "illegal_argument_exception" && blockReasons.MatchString(e.Reason)
}

// isStateOfIndex reports whether a block is one that people or the lifecycle policy
// set on an index, or that OpenSearch did, and not a setting of ours.
func isStateOfIndex(e *opensearch.Cause) bool {
	return isBlock(e) && e.Type != "index_not_found_exception"
}

func isFlood(e *opensearch.Cause) bool {
	return e != nil && e.Type == "cluster_block_exception" && strings.Contains(e.Reason, floodBlock)
}

// outcomeOf judges the result of one operation.
func outcomeOf(r opensearch.Item) outcome {
	switch {
	case r.Status >= 200 && r.Status < 300:
		return indexed
	case isBlock(r.Error), isSetting(r.Status):
		return blocked
	case r.Status == http.StatusConflict:
		return alreadyThere
	case r.Status == http.StatusTooManyRequests, r.Status == 0:
		return busy
	case r.Status >= 500:
		return failedAlone
	}
	return refusedForGood
}

// Waits reports whether documents wait for an index that answers one of them like this.
func Waits(status int, cause *opensearch.Cause) bool {
	o := outcomeOf(opensearch.Item{Status: status, Error: cause})
	return o == blocked || o == failedAlone
}

// isTaken reports whether OpenSearch has done the work on a document.
func isTaken(r opensearch.Item) bool { return outcomeOf(r).isAccepted() }

// judge turns the items of an answer into verdicts, one for each run of documents
// of a set with the same outcome.
func (ix *Indexer) judge(batch []part, items []opensearch.Item) []verdict {
	watched := ix.watched.Load()
	conflicts := ix.conflicts(batch, items)
	var verdicts []verdict
	at := 0 // of the part in items
	for _, p := range batch {
		for from := 0; from < p.count(); {
			v := verdict{outcome: outcomeOf(items[at+from])}
			to := from + 1
			switch {
			case conflicts[at+from]:
				v.outcome = conflicting
			case v.outcome != refusedForGood:
				for to < p.count() && outcomeOf(items[at+to]) == v.outcome && !conflicts[at+to] {
					to++
				}
			}
			v.part = p.slice(from, to)
			if v.outcome == blocked || v.outcome == failedAlone || watched || v.isLetter() {
				v.narrow(ix.cfg.Prefix)
			}
			v.explain(ix, items[at+from])
			ix.count(v)
			verdicts = append(verdicts, v)
			from += v.count()
		}
		at += p.count()
	}
	return verdicts
}

// narrow limits a verdict to the documents of one index.
func (v *verdict) narrow(prefix string) {
	if v.isLetter() {
		v.index = deadletter.Index(prefix)
		return
	}
	to, index := v.indexRun(0)
	v.part, v.index = v.slice(0, to), string(index)
}

// explain notes why documents were not accepted.
func (v *verdict) explain(ix *Indexer, r opensearch.Item) {
	v.status, v.flood = r.Status, isFlood(r.Error)
	switch v.outcome {
	case indexed, alreadyThere:
	case conflicting:
		v.reason = ix.reasons.share(&opensearch.Cause{Type: "id_conflict", Reason: "another event is indexed under this id", CausedBy: causedBy(r.Error)})
	default:
		v.reason = ix.reasons.share(r.Error)
	}
	if v.isLetter() && v.outcome > unanswered {
		v.outcome = blocked // a letter has nowhere else to go
	}
}

// causedBy is an error as the cause of another.
func causedBy(e *opensearch.Cause) *opensearch.Cause {
	if e == nil {
		return nil
	}
	return &opensearch.Cause{Type: e.Type, Reason: e.Reason}
}

// count counts documents that are accepted.
func (ix *Indexer) count(v verdict) {
	n := float64(v.count())
	switch {
	case v.outcome == alreadyThere:
		ix.metrics.alreadyThere.Add(n)
	case v.outcome == conflicting:
		ix.metrics.conflicts.Add(n)
	case v.outcome != indexed:
	case v.isLetter():
		ix.metrics.deadLetters.Add(n)
	default:
		ix.metrics.indexed.Add(n)
		if v.form != nil {
			ix.metrics.plain.Add(n)
		}
	}
}

// otherForms are the forms in which a document goes out that is refused for good:
// first as text only; if that is refused too, as a dead letter and, with it, in
// the form that may be refused. Log group and log stream are left out when a form
// is refused that has them: the index may have these fields with another type, or
// no room for them.
func (v verdict) otherForms() []part {
	p := v.part
	switch {
	case v.outcome == conflicting:
		return []part{p.letter(deadletter.StageIndex, v.status, v.reason)}
	case p.form == nil:
		return []part{p.formOf(form{kind: plain, reason: v.reason, origin: p.hasOrigin()})}
	case p.form.origin:
		return []part{p.formOf(form{kind: p.form.kind, reason: p.form.reason})}
	case p.form.kind == plain:
		// The reason is why the document itself is not accepted.
		return []part{p.letter(deadletter.StageIndex, v.status, p.form.reason), p.formOf(form{kind: bare, origin: p.hasOrigin()})}
	}
	return nil
}

// hasOrigin reports whether it is known where the one document comes from.
func (p part) hasOrigin() bool { return p.docs.facts.originOf(p.from).LogGroup != nil }
