package doctor

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"logsluice/indexer/deadletter"
)

// store implements Store by a function.
type store func(context.Context) error

func (s store) Check(ctx context.Context) error { return s(ctx) }

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	// blocked has the number of documents passed on to the link writing, by index.
	f := func(name string, change func(*chain), blocked map[string]int, state State, found string, remedies ...string) {
		t.Helper()
		c := checkLink(t, (*walk).deadLetters, change)
		expect(t, name, c.found, state, found, remedies...)
		if !maps.Equal(c.blocked, blocked) {
			t.Errorf("%s: blocked %v", name, c.blocked)
		}
	}
	const (
		search = "POST /app-dead-letter/_search"
		lookAt = "look at the dead letters in app-dead-letter by stage"
	)
	// letters has the search answer with a count, reasons and blocked indices.
	letters := func(total, reasons, blocked string) func(*chain) {
		return answer(search, `200 {"hits":{"total":{"value":`+total+`}},"aggregations":{"types":{"buckets":[`+reasons+`]},"blocked":{"indices":{"buckets":[`+blocked+`]}}}}`)
	}
	reason := func(kind, count, example string) string {
		return `{"key":"` + kind + `","doc_count":` + count + `,"example":{"hits":{"hits":[{"_source":{"error":{"reason":"` + example + `"}}}]}}}`
	}
	f("none", nil, nil, OK, "none in the last day")
	f("no index", answer(search, `404 {"error":{"type":"index_not_found_exception"}}`), nil, OK, "none in the last day")
	f("some", letters("3", reason("mapper_parsing_exception", "2", "failed to parse")+","+reason("parse_error", "1", "r"), ""), nil, Warning,
		"3 in the last day: 2 mapper_parsing_exception (failed to parse), 1 parse_error (r)", lookAt)
	long := strings.Repeat("é", maxExample)
	f("long reason", letters("1", reason("x", "1", "a"+long), ""), nil, Warning, "1 in the last day: 1 x (a"+long[:maxExample-2]+"…)", lookAt)
	f("given up", letters("5", reason("cluster_block_exception", "5", "r"), `{"key":"`+yesterday+`","doc_count":4},{"key":"app-outside","doc_count":1}`), map[string]int{yesterday: 4, "app-outside": 1}, Warning,
		"5 in the last day: 5 cluster_block_exception (r); documents were given up after waiting for "+yesterday+" (4), app-outside (1)", lookAt)
	f("denied", answer(search, forbidden), nil, Warning, "app-dead-letter cannot be searched: permission denied", "allow indices:data/read/search for app-dead-letter to have them counted")
	f("unavailable", answer(search, "503"), nil, Warning, "app-dead-letter cannot be searched: count the dead letters of app-dead-letter: OpenSearch answers 503 Service Unavailable", isHealthy)
	f("hangs", answer(search, "hangs"), nil, Warning, "app-dead-letter cannot be searched: no answer in time", isHealthy)

	kept := func(check store) func(*chain) { return func(c *chain) { c.Store = check } }
	fails := func(err error) func(*chain) { return kept(func(context.Context) error { return err }) }
	const noStore = "none in the last day; DEAD_LETTER_URL (--dead-letter-url) cannot be written to: "
	f("store", fails(nil), nil, OK, "none in the last day; DEAD_LETTER_URL can be written to")
	f("store, letters", all(fails(nil), answer(search, forbidden)), nil, Warning, "app-dead-letter cannot be searched: permission denied; DEAD_LETTER_URL can be written to", "allow indices:data/read/search")
	f("store with a remedy", fails(&deadletter.StoreError{Err: errors.New("write"), Remedy: "REMEDY"}), nil, Warning, noStore+"write", "REMEDY")
	f("store denied", fails(&smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}), nil, Warning, noStore+"AccessDenied: no", allowRemedy("s3:PutObject"))
	f("store hangs", kept(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }), nil, Warning, noStore+"no answer in time", noRoute)
}

// The search counts the letters of the last day and returns three reasons.
func TestDeadLettersQuery(t *testing.T) {
	t.Parallel()
	var query []byte
	checkLink(t, (*walk).deadLetters, func(c *chain) {
		c.Search = answers(func(r *http.Request) (*http.Response, error) {
			query, _ = io.ReadAll(r.Body) // from memory
			return refused(r)
		})
	})
	for _, want := range []string{`{"@timestamp":{"gte":"now-86400s"}}`, `{"field":"error.type","size":3}`} {
		if !strings.Contains(string(query), want) {
			t.Errorf("%s does not have %s", query, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("x", maxExample)
	for text, want := range map[string]string{"": "", short: short, short + "y": short + "…", short[1:] + "é": short[1:] + "…"} {
		if got := cut(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
