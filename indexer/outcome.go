package indexer

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// partOutcome is the outcome of one request for a run of documents with the same outcome.
type partOutcome struct {
	part
	outcome outcome
	status  int
	reason  *reason // why they were not accepted, otherwise nil
	// index is the documents' index. It is set for those that are blocked or failing, and
	// for all while any index does not accept documents.
	index string
	flood bool // the disk's flood stage blocks the index
}

type outcome int

const (
	indexed outcome = iota
	alreadyIndexed
	// busy documents were refused for lack of capacity (429), or are letters whose
	// payload must be cut. They are sent again.
	busy
	// unanswered documents got no outcome, because their whole request failed.
	unanswered
	// blocked documents are refused because of their index or of a setting.
	blocked
	// failedAlone documents met a server error (5xx) that others do not.
	failedAlone
	// refused documents were refused permanently, for their content or size.
	refused
	// conflicting documents have an id under which another event is indexed.
	conflicting
)

func (o outcome) isAccepted() bool { return o <= alreadyIndexed }

// isRetryable reports whether documents are to be sent again as they are.
func (o outcome) isRetryable() bool { return o >= busy && o <= failedAlone }

// blockTypes are error types that are not the document's fault, whatever the status:
// something in the cluster or in a setting has to change. A validation_exception is
// returned when a new index would exceed cluster.max_shards_per_node.
var blockTypes = []string{
	"cluster_block_exception", "index_create_block_exception", "index_closed_exception",
	"unavailable_shards_exception", "index_not_found_exception", "validation_exception",
}

// blockReasons matches the reasons of illegal_argument_exceptions that are not the
// document's fault either: an alias without a write index, and a deleted pipeline.
var blockReasons = regexp.MustCompile(`^no write index is defined for alias|has more than one ind(ex|ices) associated with it|^pipeline with id \[.*\] does not exist$`)

// floodBlock is the id of the block that OpenSearch sets when a disk is nearly full:
// index.blocks.read_only_allow_delete.
// See https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/cluster-settings/.
const floodBlock = "/12/"

func isBlock(e *opensearch.Cause) bool {
	if e == nil {
		return false
	}
	return slices.Contains(blockTypes, e.Type) || e.Type == "illegal_argument_exception" && blockReasons.MatchString(e.Reason)
}

// isStateOfIndex reports whether a block was set on the index by a person, a lifecycle
// policy or OpenSearch, and is not caused by one of our settings.
func isStateOfIndex(e *opensearch.Cause) bool {
	return isBlock(e) && e.Type != "index_not_found_exception"
}

func isFlood(e *opensearch.Cause) bool {
	return e != nil && e.Type == "cluster_block_exception" && strings.Contains(e.Reason, floodBlock)
}

// outcomeOf returns the outcome of one item.
func outcomeOf(item opensearch.Item) outcome {
	switch {
	case item.Status >= 200 && item.Status < 300:
		return indexed
	case isBlock(item.Error), isSettingStatus(item.Status):
		return blocked
	case item.Status == http.StatusConflict:
		return alreadyIndexed
	case item.Status == http.StatusTooManyRequests, item.Status == 0:
		return busy
	case item.Status >= 500:
		return failedAlone
	}
	return refused
}

// Waits reports whether a worker keeps documents waiting for an index that refuses one with this
// status and cause.
func Waits(status int, cause *opensearch.Cause) bool {
	o := outcomeOf(opensearch.Item{Status: status, Error: cause})
	return o == blocked || o == failedAlone
}

// isAcceptedItem reports whether OpenSearch accepted a document.
func isAcceptedItem(item opensearch.Item) bool { return outcomeOf(item).isAccepted() }

// outcomesOf converts the items of a response to outcomes. Adjacent documents of one record
// with the same outcome share one.
func (ix *Indexer) outcomesOf(batch []part, items []opensearch.Item) []partOutcome {
	hasTargets := ix.hasTargets.Load()
	conflicts := ix.conflicts(batch, items)
	var outcomes []partOutcome
	at := 0 // position of the part in items
	for _, p := range batch {
		for from := 0; from < p.count(); {
			o := partOutcome{outcome: outcomeOf(items[at+from])}
			to := from + 1
			switch {
			case conflicts[at+from]:
				o.outcome = conflicting
			case o.outcome != refused:
				for to < p.count() && outcomeOf(items[at+to]) == o.outcome && !conflicts[at+to] {
					to++
				}
			}
			o.part = p.slice(from, to)
			if o.outcome == blocked || o.outcome == failedAlone || hasTargets || o.isLetter() {
				o.narrow(ix.cfg.Prefix)
			}
			o.explain(ix, items[at+from])
			ix.count(o)
			outcomes = append(outcomes, o)
			from += o.count()
		}
		at += p.count()
	}
	return outcomes
}

// narrow sets the index, and limits the outcome to the first documents, which go to it.
func (o *partOutcome) narrow(prefix string) {
	if o.isLetter() {
		o.index = deadletter.Index(prefix)
		return
	}
	to, index := o.indexRun(0)
	o.part, o.index = o.slice(0, to), string(index)
}

// explain sets the reason why documents were not accepted.
func (o *partOutcome) explain(ix *Indexer, item opensearch.Item) {
	o.status, o.flood = item.Status, isFlood(item.Error)
	switch o.outcome {
	case indexed, alreadyIndexed:
	case conflicting:
		o.reason = ix.reasons.share(&opensearch.Cause{Type: "id_conflict", Reason: "another event is indexed under this id", CausedBy: causedBy(item.Error)})
	default:
		o.reason = ix.reasons.share(item.Error)
	}
	if o.isLetter() && o.outcome > unanswered {
		o.outcome = blocked // letters have no fallback
	}
}

// causedBy returns an error for use as the cause of another.
func causedBy(e *opensearch.Cause) *opensearch.Cause {
	if e == nil {
		return nil
	}
	return &opensearch.Cause{Type: e.Type, Reason: e.Reason}
}

// count adds accepted documents to the metrics.
func (ix *Indexer) count(o partOutcome) {
	n := float64(o.count())
	switch {
	case o.outcome == alreadyIndexed:
		ix.metrics.alreadyIndexed.Add(n)
	case o.outcome == conflicting:
		ix.metrics.conflicts.Add(n)
	case o.outcome != indexed:
	case o.isLetter():
		ix.metrics.deadLetters.Add(n)
	default:
		ix.metrics.indexed.Add(n)
		if o.fallback != nil {
			ix.metrics.plain.Add(n)
		}
	}
}

// fallbacks returns what to send for a document that is refused permanently: first the
// document as text only; if that is refused too, a dead letter and a minimal fallback. A
// refused fallback with log group and log stream is first repeated without them, because
// the index may have these fields with another type or no room for them.
func (o partOutcome) fallbacks() []part {
	p := o.part
	switch {
	case o.outcome == conflicting:
		return []part{p.letter(deadletter.StageIndex, o.status, o.reason)}
	case p.fallback == nil:
		return []part{p.withFallback(fallback{kind: plainFallback, reason: o.reason, withOrigin: p.hasOrigin()})}
	case p.fallback.withOrigin:
		return []part{p.withFallback(fallback{kind: p.fallback.kind, reason: p.fallback.reason})}
	case p.fallback.kind == plainFallback:
		// The reason is why the original document was refused.
		return []part{p.letter(deadletter.StageIndex, o.status, p.fallback.reason), p.withFallback(fallback{kind: minimalFallback, withOrigin: p.hasOrigin()})}
	}
	return nil
}

// hasOrigin reports whether the origin of the part's only document is known.
func (p part) hasOrigin() bool { return p.docs.eventData.originOf(p.from).LogGroup != nil }
