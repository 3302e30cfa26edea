package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"logsluice/opensearch"
)

// cause returns an error of OpenSearch in the form of bulk responses.
func cause(kind, reason string) string {
	text, _ := json.Marshal(opensearch.Cause{Type: kind, Reason: reason}) // of strings
	return string(text)
}

// readOnly is the answer for an index that accepts nothing.
var readOnly = "403 " + cause("cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];")

// withToday sets the index of today, as the link index templates does.
func withToday(c *chain) { c.current = today }

func TestWriting(t *testing.T) {
	t.Parallel()
	// operations has the operations of the bulk requests, in the form of domain.
	f := func(name string, change func(*chain), operations []string, state State, found string, remedies ...string) {
		t.Helper()
		c := checkLink(t, (*walk).writing, all(withToday, change))
		expect(t, name, c.found, state, found, remedies...)
		if got := c.search.requests("bulk"); !slices.Equal(got, operations) {
			t.Errorf("%s: operations %q", name, got)
		}
	}
	const (
		created = "create app-doctor-ID"
		scratch = "DELETE /app-doctor-ID"
		bulk    = "POST /_bulk"
		get     = "GET /app-doctor-ID/_doc/ID"
		written = "a document was written and read back"
	)
	all3 := []string{created, "index " + today, "index " + yesterday}
	f("fine", nil, all3, OK, written)
	f("nothing may be written", func(c *chain) { c.refused = string(NameTaken) }, nil, Skipped, "run writes nothing: DATA_STREAM does not fit the domain")
	f("no index of today", func(c *chain) { c.current = "" }, []string{created, "index " + yesterday, "index " + today}, OK, written)
	f("no ids", func(c *chain) { c.NoIDs = true }, []string{"index app-doctor-ID"}, OK, "a document was written")
	f("data stream", all(answer("GET /app-*/_alias", `200 {"app-dead-letter":{"aliases":{}}}`), func(c *chain) { c.Naming.DataStream, c.current = true, "app" }), []string{created}, OK, written)

	// The index of the scratch document.
	const left = "; index app-doctor-ID remains, with doctor's scratch documents: "
	f("not deleted", answer(scratch, "404 {} then 500 no"), all3, Warning, written+strings.Replace(left, "ID", "…", 1)+"…500 Internal Server Error: no", "allow indices:admin/delete for app-doctor-*, or delete it by hand: DELETE /app-doctor-…")
	f("not deleted, refused", all(answer(scratch, "404 {} then 500 no"), answer("bulk app-doctor-ID", readOnly)), all3, Broken, "app-doctor-… accepts no documents: 403 …; index app-doctor-… remains, …", "remove the block", "allow indices:admin/delete")
	f("deleted", answer(scratch, "404 {} then 200 {}"), all3, OK, written)
	fixed := []string{"create app-doctor", "index " + today, "index " + yesterday}
	const keeps = "; index app-doctor remains, with doctor's scratch documents: indices:admin/delete is not allowed"
	f("deletion denied", all(answer(scratch, forbidden), answer("GET /app-doctor/_doc/ID", "200 {}")), fixed, Warning, written+keeps, "allow indices:admin/delete for app-doctor-*, or delete it by hand: DELETE /app-doctor")
	f("deletion denied, refused", all(answer(scratch, forbidden), answer("bulk app-doctor", readOnly)), fixed, Broken, "app-doctor accepts no documents: 403 …", "remove the block: PUT /app-doctor/_settings")
	f("deletion unknown", all(answer(scratch, "500 no"), answer("GET /app-doctor/_doc/ID", "200 {}")), fixed, Warning,
		"whether indices may be deleted cannot be checked: …500 Internal Server Error: no; "+written+keeps, "allow indices:admin/delete")

	// The bulk request as a whole.
	f("bulk denied", answer(bulk, forbidden), nil, Broken, "app-doctor-… accepts no documents: 403 security_exception: no permissions for [x]", "allow it for app-*")
	f("bulk denied on its way", answer(bulk, "403 no"), nil, Broken, "a bulk request fails: send a bulk request: OpenSearch answers 403 Forbidden: no", "allow indices:data/write/bulk, es:ESHttpPost for /_bulk")
	f("bulk too large", answer(bulk, "413 no"), nil, Broken, "a bulk request fails: …413 Request Entity Too Large: no", isHealthy)
	f("bulk without answer", answer(bulk, "refused"), nil, Broken, "a bulk request fails: dial tcp: connection refused", isHealthy)
	f("bulk hangs", answer(bulk, "hangs"), nil, Broken, "a bulk request fails: no answer in time", isHealthy)

	// Its items.
	f("scratch refused", answer("bulk app-doctor-ID", "400 "+cause("validation_exception", "this action would add [2] total shards")), all3, Broken,
		"app-doctor-… accepts no documents: 400 validation_exception: this action would add [2] total shards", "delete old indices")
	f("today refused", answer("bulk "+today, readOnly), all3, Broken, today+" accepts no documents: 403 cluster_block_exception: …; "+written, "remove the block: PUT /"+today+"/_settings")
	f("today refused without a cause", answer("bulk "+today, "500"), all3, Broken, today+" accepts no documents: 500…; "+written, "check the domain's load")
	f("both refused", all(answer("bulk app-doctor-ID", readOnly), answer("bulk "+today, readOnly)), all3, Broken, today+" accepts …; app-doctor-… accepts …", "remove the block: PUT /"+today, "remove the block: PUT /app-doctor")

	f("reading denied", answer(get, forbidden), all3, OK, "a document was written; reading it back is denied (indices:data/read/get), which run does not need")
	f("reading fails", answer(get, "500 no"), all3, Warning, "a document was written, but cannot be read back: …500 Internal Server Error: no", isHealthy)
	f("not there", answer(get, `404 {"found":false}`), all3, Broken, "a document was written and cannot be found", "check the proxy or load balancer in front of the domain, and which nodes were lost")
}

// Which other indices are tried, and which results are faults.
func TestWritingOthers(t *testing.T) {
	t.Parallel()
	// tried has the indices, in order.
	f := func(name string, change func(*chain), tried []string, state State, found string, remedies ...string) {
		t.Helper()
		c := checkLink(t, (*walk).others, all(withToday, change))
		expect(t, name, c.found, state, found, remedies...)
		if got := c.search.requests("bulk index"); !slices.Equal(got, tried) {
			t.Errorf("%s: tried %q", name, got)
		}
	}
	const list = "GET /app-*/_alias"
	old := func(days int) string {
		return "app-" + time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -days).Format(time.DateOnly)
	}
	// indices has OpenSearch list indices, and give the same answer for all of them.
	indices := func(item string, names ...string) func(*chain) {
		return func(c *chain) {
			var listed []string
			for _, name := range names {
				listed = append(listed, fmt.Sprintf(`%q:{"aliases":{}}`, name))
				if item != "" {
					c.search.answers["bulk "+name] = item
				}
			}
			c.search.answers[list] = "200 {" + strings.Join(listed, ",") + "}"
		}
	}
	f("fine", nil, []string{yesterday}, OK, "")
	f("none", answer(list, "404 {}"), nil, OK, "")
	f("today's alone", indices("", today), nil, OK, "")
	f("denied", answer(list, forbidden), nil, Warning, "indices other than that of today are not checked: OpenSearch answers 403: …", "allow indices:admin/aliases/get for app-*")
	f("unavailable", answer(list, "503"), nil, Warning, "indices other than that of today are not checked: …503 Service Unavailable", isHealthy)
	f("of other applications", indices(readOnly, "app-web-2000-01-01", "app-doctor", "app-x"), nil, OK, "")
	f("bulk fails", answer("POST /_bulk", "502 <html>"), nil, Warning, "indices other than that of today cannot be checked: send a bulk request: OpenSearch answers 502 Bad Gateway: <html>", isHealthy)

	surely := []string{yesterday, "app-dead-letter", "app-outside"}
	f("surely come", indices(readOnly, surely...), surely, Broken, "app-outside accepts no documents: 403 …; app-dead-letter accepts no documents: 403 …; "+yesterday+" accepts no documents: 403 cluster_block_exception: index [x] …",
		"remove the block: PUT /app-outside", "remove the block: PUT /app-dead-letter", "remove the block: PUT /"+yesterday)
	const meant = "…, unless that is intended: late documents for it wait for WAIT_FOR_INDEX"
	f("older", indices(readOnly, old(1)), []string{old(1)}, Warning, old(1)+" accepts no documents: 403 cluster_block_exception: index [x] …", "remove the block: PUT /"+old(1)+"/_settings "+meant)
	f("older unavailable", indices("503 "+cause("unavailable_shards_exception", "x"), old(1)), []string{old(1)}, Warning, old(1)+" accepts no documents: 503 unavailable_shards_exception: x", "check the domain's load"+meant)
	f("busy", indices("429 "+cause("rejected_execution_exception", "x"), yesterday, old(1)), []string{old(1), yesterday}, OK, "")
	f("refused for good", indices("400 "+cause("mapper_parsing_exception", "x"), yesterday), []string{yesterday}, OK, "")
	given := func(index string) func(*chain) { return func(c *chain) { c.blocked = map[string]int{index: 3} } }
	f("given up", all(indices(readOnly, old(1)), given(old(1))), []string{old(1)}, Broken, old(1)+" accepts no documents: 403 …; documents for it that became dead letters in the last day: 3", "remove the block: PUT /"+old(1)+"/_settings …null}")
	f("given up for another", all(indices(readOnly, old(1)), given(old(2))), []string{old(1)}, Warning, old(1)+" accepts no documents: 403 …", "remove the block: …"+meant)
	f("given up, accepts again", all(indices("", old(1)), given(old(1))), []string{old(1)}, OK, "")

	var names []string
	for day := range 201 {
		names = append(names, old(day+1))
	}
	slices.Reverse(names)
	var told, remedies []string
	for day := range 5 {
		told = append(told, old(day+1)+" accepts no documents: 403 cluster_block_exception: index [x] blocked by: [FORBIDDEN/8/index write (api)]")
		remedies = append(remedies, "remove the block: PUT /"+old(day+1))
	}
	five := strings.Join(told, "; ")
	f("five older", indices(readOnly, names[196:]...), names[196:], Warning, five, remedies...)
	f("six older", indices(readOnly, names[195:]...), names[195:], Warning, five+"; nor do 1 older indices", remedies...)
	f("as many as are checked", indices("", names[1:]...), names[1:], OK, "")
	f("more than are checked", indices("", names...), names[1:], OK, "1 older indices are not checked")
	f("more, and refusing", indices(readOnly, names...), names[1:], Warning, "1 older indices are not checked; "+five+"; nor do 195 older indices", remedies...)
}

// The scratch index is removed if the domain answers, even when the walk is interrupted.
func TestWritingIsRemoved(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), deletions int) {
		t.Helper()
		got := checkLink(t, (*walk).writing, change).search.requests("DELETE")
		if len(got) != deletions || slices.ContainsFunc(got, func(path string) bool { return path != "/app-doctor-ID" }) {
			t.Errorf("%s: deleted %q", name, got)
		}
	}
	f("fine", nil, 2) // the first one checks whether deleting is permitted
	f("interrupted", all(answer("POST /_bulk", "slow items"), interrupted(time.Second/2)), 2)
	f("bulk fails", answer("POST /_bulk", "503"), 2)
	f("deletion denied", answer("DELETE /app-doctor-ID", forbidden), 1)
}

func TestRemedyOfRefusal(t *testing.T) {
	t.Parallel()
	f := func(status int, kind, reason, want string) {
		t.Helper()
		if got := RemedyOfRefusal("app", "app-1", status, opensearch.Cause{Type: kind, Reason: reason}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s: %q, want %q", kind, reason, got, want)
		}
	}
	const block = "cluster_block_exception"
	f(429, block, "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];", "free disk space or add nodes; OpenSearch then removes the block")
	f(403, block, "index [x] blocked by: [FORBIDDEN/8/index write (api)];", `remove the block: PUT /app-1/_settings {"index.blocks.write":null,"index.blocks.read_only":null}`)
	f(403, block, "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];", "free disk space or add nodes, or remove the block of the cluster")
	f(400, "index_closed_exception", "closed", "open it: POST /app-1/_open")
	f(400, "illegal_argument_exception", "no write index is defined for alias [x]", "give the alias app-1 a write index (is_write_index), or delete it")
	f(400, "illegal_argument_exception", "pipeline with id [p] does not exist", `create the pipeline, or remove it: PUT /app-1/_settings {"index.default_pipeline":null`)
	f(404, "index_not_found_exception", "no such index [app-1] and [action.auto_create_index] is [false]", "let indices be created automatically: action.auto_create_index must include app-*")
	f(400, "validation_exception", "Validation Failed: 1: this action would add [2] total shards", "delete old indices (logsluice setup installs a lifecycle policy)")
	f(403, "security_exception", "no permissions for [indices:data/write/index]", "allow it for app-* (docs/permissions-opensearch.md")
	f(429, "rejected_execution_exception", "x", "check the domain's load, and whether it has all its nodes")
	f(500, "x", "x", "check the domain's load")
	f(503, "unavailable_shards_exception", "x", "check the domain's load")
	f(499, "x", "x", "see OpenSearch's reason")
	f(400, "mapper_parsing_exception", "failed to parse", "see OpenSearch's reason")
}
