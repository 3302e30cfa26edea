package indexer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// A conflict is a success only if the event's own document exists.
func TestConflicts(t *testing.T) {
	conflict := func(id, index string) *refusal {
		return &refusal{409, "version_conflict_engine_exception", "[" + id + "]: version conflict, document already exists (current version [1])", index}
	}
	f := func(name string, want bool, index string, refuse func(index, id string) *refusal) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.set(func(i, id string) *refusal {
					if i == "app-dead-letter" {
						return nil
					}
					return refuse(i, id)
				})
				v.put("a", index)
				v.put("a", index)
				v.put("a", index)
				time.Sleep(time.Minute)
				letters := v.letters(t)
				if n := len(letters); (n == 3) != want || n != 0 && n != 3 || v.open("a") > 0 {
					t.Fatalf("dead letters: %v, %d records open", letters, v.open("a"))
				}
				if n := testutil.ToFloat64(v.metrics.conflicts); (n == 3) != want {
					t.Errorf("%v conflicts are counted", n)
				}
				for _, letter := range letters {
					if letter.Stage != deadletter.StageIndex || letter.Cause.Type != "id_conflict" || letter.Cause.Status != 409 {
						t.Errorf("dead letter %+v", letter)
					}
				}
			})
		})
	}
	f("a re-delivery", false, live, func(index, id string) *refusal { return conflict(id, index) })
	f("by an alias", false, "alias-"+live, func(_, id string) *refusal { return conflict(id, live) })
	f("without a reason", false, live, func(string, string) *refusal {
		return &refusal{409, "version_conflict_engine_exception", "because", ""}
	})
	f("under another id", true, live, func(index, _ string) *refusal { return conflict("constant", index) })
	f("in another index", true, live, func(_, id string) *refusal { return conflict(id, "elsewhere") })
}

// Two messages under one id in one request become a document and a dead letter. The same
// message twice is a re-delivery.
func TestTwoTextsUnderOneID(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		docs := NewDocuments(Source{Stream: "stream", Shard: "a", SequenceNumber: "1"}, 0)
		for i, text := range []string{"one", "one", "two", "three"} {
			docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"7\"}}\n{\"message\":%q}\n", live, text)
			docs.Next(i)
		}
		settled := false
		if err := v.Put(t.Context(), docs, 0, func(ok bool) { settled = ok }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		texts := make(map[string]bool)
		created, _ := v.state()
		for key, source := range created {
			if key != live+"/7" {
				texts[letterIn(t, source).Payload] = true
			}
		}
		want := map[string]bool{
			`{"_id":"7","id":"7","timestamp":1544400000000,"message":"two","position":2}`:   true,
			`{"_id":"7","id":"7","timestamp":1544400000000,"message":"three","position":3}`: true,
		}
		if !settled || fmt.Sprint(texts) != fmt.Sprint(want) || created[live+"/7"] != `{"message":"one"}` {
			t.Errorf("settled: %v, dead letters %v, document %s", settled, texts, created[live+"/7"])
		}
		if n := testutil.ToFloat64(v.metrics.conflicts); n != 2 {
			t.Errorf("%v conflicts are counted", n)
		}
	})
}

// A conflict without a reason is a conflict with the event's own document.
func TestConflictWithoutReason(t *testing.T) {
	ix := &Indexer{}
	p := part{docs: record(nil, 0, 1), to: 1}
	if ix.hasOtherKey(p, nil) || ix.hasOtherKey(p, &opensearch.Cause{Index: "app-2018-12-10"}) {
		t.Error("it counts as a conflict with another event")
	}
}

// Only a document that already exists is in conflict, and only with another document.
func TestConflictsOfItems(t *testing.T) {
	ix := &Indexer{cfg: Config{Fallback: testFallback{}}}
	docs := NewDocuments(Source{}, 0)
	for i, text := range []string{"one", "two", "three"} {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":\"app-x\",\"_id\":\"7\"}}\n{\"message\":%q}\n", text)
		docs.Next(i)
	}
	letter := NewDeadLetter(Record{}, deadletter.StageParse, io.EOF, docs.Body)
	all := part{docs: docs, to: 3}
	f := func(name string, batch []part, statuses []int, want ...int) {
		t.Helper()
		items := make([]opensearch.Item, len(statuses))
		for i, status := range statuses {
			items[i].Status = status
		}
		found := ix.conflicts(batch, items)
		for _, i := range want {
			if !found[i] {
				t.Errorf("%s: item %d is not a conflict", name, i)
			}
		}
		if len(found) != len(want) {
			t.Errorf("%s: conflicts %v", name, found)
		}
	}
	f("none", []part{all}, []int{201, 201, 201})
	f("one is busy", []part{all}, []int{201, 429, 409}, 2)
	f("of a later part", []part{all.slice(0, 2), all.slice(2, 3)}, []int{201, 201, 409}, 2)
	f("a dead letter with the text of documents", []part{{docs: letter, to: 1, fallback: letter.fallback}, all.slice(1, 2)}, []int{409, 409})
}

// answering is a client that returns one response.
type answering struct {
	status   int
	body     string
	err      error
	hangs    bool
	requests int
	closed   int
}

func (a *answering) Stream(r *http.Request) (*http.Response, error) {
	a.requests++
	if a.hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Body: countedBody{strings.NewReader(a.body), a}}, nil
}

type countedBody struct {
	io.Reader
	of *answering
}

func (b countedBody) Close() error {
	b.of.closed++
	return nil
}

// OpenSearch decides what a name resolves to. Without an answer, it resolves to any index.
func TestLookUpName(t *testing.T) {
	f := func(name string, a answering, want bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			if got := lookUpName(t.Context(), &a, "alias", "index"); got != want {
				t.Errorf("%s: %v", name, got)
			}
			if took := time.Since(begun); took > lookupTimeout || a.closed != 1 && a.err == nil && !a.hangs {
				t.Errorf("%s: after %s, closed %d times", name, took, a.closed)
			}
		})
	}
	f("to it", answering{status: 200, body: `{"other":{},"index":{}}`}, true)
	f("elsewhere", answering{status: 200, body: `{"other":{}}`}, false)
	f("nowhere", answering{status: 404, body: `{}`}, false)
	f("forbidden", answering{status: 403, body: `{}`}, true)
	f("invalid JSON", answering{status: 200, body: `<html>`}, true)
	f("no response", answering{err: io.ErrUnexpectedEOF}, true)
	f("no answer in time", answering{hangs: true}, true)
}

// A response that never ends is not read indefinitely.
func TestEndlessLookup(t *testing.T) {
	body := &endless{begin: `{"`, text: "x"}
	client := streams(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.LimitReader(body, 64<<20))}, nil
	})
	if !lookUpName(t.Context(), client, "alias", "index") || body.read > 16<<20 {
		t.Errorf("%d bytes are read", body.read)
	}
}

// Lookups are cached for a while, and only for a bounded number of names.
func TestLookupsAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a aliases
		client := &answering{status: 200, body: `{"index":{}}`}
		f := func(what, name, index string, want bool, wantRequests int) {
			t.Helper()
			if got := a.resolvesTo(t.Context(), client, name, index); got != want || client.requests != wantRequests {
				t.Errorf("%s: %v, %d requests", what, got, client.requests)
			}
		}
		f("first", "alias", "index", true, 1)
		client.body = `{}`
		f("again", "alias", "index", true, 1)
		f("another index", "alias", "other", false, 2)
		time.Sleep(lookupTTL - time.Nanosecond)
		f("later", "alias", "index", true, 2)
		time.Sleep(time.Nanosecond)
		f("too late", "alias", "index", false, 3)
		for i := range 3 * maxLookups {
			a.resolvesTo(t.Context(), client, fmt.Sprint(i), "index")
		}
		if n := len(a.known); n > maxLookups {
			t.Errorf("%d lookups are cached", n)
		}
	})
}

// endless returns begin, then repeats a text.
type endless struct {
	begin, text string
	read        int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if e.read < len(e.begin) {
			p[n] = e.begin[e.read]
		} else {
			p[n] = e.text[(e.read-len(e.begin))%len(e.text)]
		}
		n, e.read = n+1, e.read+1
	}
	return n, nil
}
