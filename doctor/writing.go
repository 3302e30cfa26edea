package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"logsluice/indexer"
	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// The link writing: whether documents are accepted, in a scratch index and in the indices that
// exist.

// ScratchIndex returns the index of scratch documents for a prefix, which the templates and the
// permissions of a worker cover. An index with this name, a dash and a suffix is deleted again.
func ScratchIndex(prefix string) string { return prefix + "-doctor" }

// writing checks whether documents can be written: a new one, and one for each existing index.
func (w *walk) writing(ctx context.Context, f *Finding) {
	if w.refused != "" { // doctor's index would have the wrong kind, too
		f.skip("run writes nothing: %s", w.refused)
		return
	}
	if w.scratch(ctx, f) && !w.NoIDs && !w.Naming.DataStream {
		w.others(ctx, f)
	}
}

// scratch creates a document as a worker does, reads it, and deletes it with its index. If it
// has no permission to delete indices, all scratch documents go to one index. It reports whether
// bulk requests are answered.
func (w *walk) scratch(ctx context.Context, f *Finding) (answers bool) {
	id := strings.ToLower(rand.Text())
	index := ScratchIndex(w.Naming.Prefix) + "-" + id
	var mayDelete bool
	err := bounded(ctx, func(ctx context.Context) (err error) {
		mayDelete, err = opensearch.MayDelete(ctx, w.Search, index)
		return err
	})
	if err != nil {
		f.note("whether indices may be deleted cannot be checked: %s", answered(err))
	}
	if !mayDelete {
		index = ScratchIndex(w.Naming.Prefix)
	}
	operations := []opensearch.Operation{{Action: "create", Where: map[string]any{"_index": index, "_id": id}, Document: map[string]any{
		"@timestamp": time.Now().UTC().Format(time.RFC3339Nano), "message": "logsluice doctor checks whether documents can be written",
	}}}
	if w.NoIDs {
		operations[0].Action, operations[0].Where = "index", map[string]any{"_index": index}
	}
	if w.current != "" && !w.NoIDs && !w.Naming.DataStream {
		operations = append(operations, probe(w.current))
	}
	defer w.remove(ctx, f, index, mayDelete)
	var items []opensearch.Item
	err = bounded(ctx, func(ctx context.Context) (err error) {
		items, err = opensearch.Bulk(ctx, w.Search, operations...)
		return err
	})
	if err != nil {
		w.reportFailed(f, index, err)
		return false
	}
	if len(items) > 1 && items[1].Status != http.StatusConflict {
		w.reportRefused(f, w.current, items[1])
	}
	if items[0].Status != http.StatusCreated {
		w.reportRefused(f, index, items[0])
		return true
	}
	w.readBack(ctx, f, index, id)
	return true
}

// probe returns an operation that shows whether an index accepts documents but writes nothing:
// it has a condition that is never true, and OpenSearch reports blocks of the index before it
// checks the condition. The index must exist, otherwise OpenSearch creates it.
func probe(index string) opensearch.Operation {
	return opensearch.Operation{
		Action: "index", Where: map[string]any{"_index": index, "_id": "logsluice-doctor", "if_seq_no": int64(1) << 52, "if_primary_term": 1}, Document: struct{}{},
	}
}

// maxIndices is how many indices are checked, the newest by name.
const maxIndices = 200

// others checks the indices other than the current one. Only the workers know which indices
// their documents wait for, so all are tried. The link is broken if an index refuses documents
// that are certain to come: those of today and yesterday, those outside the window, dead
// letters, and those for an index whose documents became dead letters in the last day. An older
// index can be read-only on purpose.
func (w *walk) others(ctx context.Context, f *Finding) {
	prefix, letters := w.Naming.Prefix, deadletter.Index(w.Naming.Prefix)
	var names []string
	err := bounded(ctx, func(ctx context.Context) (err error) {
		names, err = opensearch.IndexNames(ctx, w.Search, prefix)
		return err
	})
	if err != nil {
		f.warn(permissionRemedy(err, "indices:admin/aliases/get for "+prefix+"-*"), "indices other than that of today are not checked: %s", answered(err))
		return
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == w.current || name != letters && !w.Naming.Owns(name)
	})
	if more := len(names) - maxIndices; more > 0 {
		// The names without a date come last.
		names = names[more:]
		f.note("%d older indices are not checked", more)
	}
	if len(names) == 0 {
		return
	}
	operations := make([]opensearch.Operation, len(names))
	for i, name := range names {
		operations[i] = probe(name)
	}
	var items []opensearch.Item
	err = bounded(ctx, func(ctx context.Context) (err error) {
		items, err = opensearch.Bulk(ctx, w.Search, operations...)
		return err
	})
	if err != nil {
		f.warn("check the domain's health, and try again", "indices other than that of today cannot be checked: %s", answered(err))
		return
	}
	w.reportOthers(f, names, items)
}

// reportOthers reports the indices that accept no documents, the newest first.
func (w *walk) reportOthers(f *Finding, names []string, items []opensearch.Item) {
	needed := append(w.Naming.Indices(time.Now()), deadletter.Index(w.Naming.Prefix))
	more := 0
	const limit = 5 // older ones that are reported
	for i, name := range slices.Backward(names) {
		given := w.blocked[name]
		switch {
		case !indexer.Waits(items[i].Status, items[i].Error):
		case given > 0:
			w.reportRefused(f, name, items[i])
			f.note("documents for it that became dead letters in the last day: %d", given)
		case slices.Contains(needed, name):
			w.reportRefused(f, name, items[i])
		case more < limit:
			more++
			cause := causeOf(items[i])
			f.warn(RemedyOfRefusal(w.Naming.Prefix, name, items[i].Status, cause)+", unless that is intended: late documents for it wait for WAIT_FOR_INDEX and become dead letters",
				"%s accepts no documents: %d %s: %s", name, items[i].Status, cause.Type, cause.Reason)
		default:
			more++
		}
	}
	if more > limit {
		f.note("nor do %d older indices", more-limit)
	}
}

// causeOf returns why an operation was refused.
func causeOf(item opensearch.Item) opensearch.Cause {
	if item.Error == nil {
		return opensearch.Cause{}
	}
	return *item.Error
}

func (w *walk) readBack(ctx context.Context, f *Finding, index, id string) {
	if w.NoIDs {
		f.note("a document was written")
		return
	}
	var there bool
	err := bounded(ctx, func(ctx context.Context) (err error) {
		there, err = opensearch.HasDocument(ctx, w.Search, index, id)
		return err
	})
	switch {
	case opensearch.HasStatus(err, http.StatusForbidden):
		f.note("a document was written; reading it back is denied (indices:data/read/get), which run does not need")
	case err != nil:
		f.warn("check the domain's health, and try again", "a document was written, but cannot be read back: %s", answered(err))
	case !there:
		f.fail("check the proxy or load balancer in front of the domain, and which nodes were lost", "a document was written and cannot be found")
	default:
		f.note("a document was written and read back")
	}
}

// reportFailed reports why a bulk request failed. It can be refused for the same causes as a
// document.
func (w *walk) reportFailed(f *Finding, index string, err error) {
	var answer *opensearch.AnswerError
	if cause := opensearch.CauseOf(err); errors.As(err, &answer) && cause.Type != "" {
		w.reportRefused(f, index, opensearch.Item{Status: answer.Status, Error: &cause})
		return
	}
	f.fail(permissionRemedy(err, "indices:data/write/bulk, es:ESHttpPost for /_bulk"), "a bulk request fails: %s", answered(err))
}

// reportRefused reports why a document was refused.
func (w *walk) reportRefused(f *Finding, index string, item opensearch.Item) {
	cause := causeOf(item)
	f.fail(RemedyOfRefusal(w.Naming.Prefix, index, item.Status, cause), "%s accepts no documents: %d %s: %s", index, item.Status, cause.Type, cause.Reason)
}

// RemedyOfRefusal returns the remedy if OpenSearch refuses a document for an index of a prefix,
// or refuses to create that index.
func RemedyOfRefusal(prefix, index string, status int, cause opensearch.Cause) string {
	switch text := cause.Type + " " + cause.Reason; {
	case strings.Contains(text, "read-only-allow-delete"):
		return "free disk space or add nodes; OpenSearch then removes the block"
	case strings.Contains(text, "cluster_block_exception") && strings.Contains(text, "index ["):
		return fmt.Sprintf(`remove the block: PUT /%s/_settings {"index.blocks.write":null,"index.blocks.read_only":null}`, index)
	case strings.Contains(text, "cluster_block_exception"):
		return `free disk space or add nodes, or remove the block of the cluster (cluster.blocks.create_index, cluster.blocks.read_only)`
	case strings.Contains(text, "index_closed_exception"):
		return fmt.Sprintf("open it: POST /%s/_open", index)
	case strings.Contains(text, "no write index"):
		return fmt.Sprintf("give the alias %s a write index (is_write_index), or delete it", index)
	case strings.Contains(text, "pipeline with id ["):
		return fmt.Sprintf(`create the pipeline, or remove it: PUT /%s/_settings {"index.default_pipeline":null,"index.final_pipeline":null}`, index)
	case strings.Contains(text, "index_not_found_exception"):
		return fmt.Sprintf("let indices be created automatically: action.auto_create_index must include %s-*", prefix)
	case strings.Contains(text, "this action would add"):
		return "delete old indices (logsluice setup installs a lifecycle policy), add nodes, or raise cluster.max_shards_per_node"
	case status == http.StatusForbidden:
		return "allow it for " + prefix + "-* (docs/permissions-opensearch.md)"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return "check the domain's load, and whether it has all its nodes; a worker tries again"
	}
	return "see OpenSearch's reason"
}

// remove deletes the scratch index, also if the walk was interrupted. It warns if it cannot.
func (w *walk) remove(ctx context.Context, f *Finding, index string, mayDelete bool) {
	err := errors.New("indices:admin/delete is not allowed")
	if mayDelete {
		err = bounded(context.WithoutCancel(ctx), func(ctx context.Context) error { return opensearch.DeleteIndex(ctx, w.Search, index) })
	}
	if err != nil && !opensearch.HasStatus(err, http.StatusNotFound) && (f.State != Broken || mayDelete) {
		f.warn(fmt.Sprintf("allow indices:admin/delete for %s-*, or delete it by hand: DELETE /%s", ScratchIndex(w.Naming.Prefix), index),
			"index %s remains, with doctor's scratch documents: %s", index, answered(err))
	}
}
