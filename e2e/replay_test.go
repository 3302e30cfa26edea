package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/loggen"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// lossy is a cluster whose index of one day refused documents, which became dead letters,
// and whose index of the day before was deleted.
type lossy struct {
	*cluster
	archive []byte // the records, back to back, as the Firehose writes them
	refused string // the index that refused documents and accepts them again
	letters int
	kept    int // documents that are still there
}

func newLossy(t *testing.T) *lossy {
	t.Helper()
	c := &lossy{cluster: newCluster(t, 1)}
	day := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	put := func(before, after int) {
		var events []loggen.Event
		for i := range before + after {
			e := loggen.Event{ID: fmt.Sprintf("9%055d", len(c.expected)), Timestamp: day.UnixMilli(), Message: fmt.Sprintf(`{"level":"info","msg":"line %d"}`, i)}
			if i >= before {
				e.Timestamp = day.AddDate(0, 0, 1).UnixMilli()
			}
			c.expected[e.ID] = e
			events = append(events, e)
		}
		envelope, err := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "owner": "o", "logGroup": "g", "logStream": "l", "logEvents": events})
		if err != nil {
			t.Fatal(err)
		}
		record := localtest.Gzip(envelope)
		c.archive = append(c.archive, record...)
		c.put("k", record)
	}
	ask := func(method, path, body string) {
		if err := inspect.Ask(t.Context(), c.search, method, path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := c.start("w", "WAIT_FOR_INDEX=1s")
	c.kept = 3
	put(20, c.kept)
	c.indexed()
	deleted := c.prefix + "-2026-01-15"
	c.refused = c.prefix + "-2026-01-16"
	ask(http.MethodPut, "/"+c.refused+"/_settings", `{"index.blocks.write":true}`)
	for range 5 {
		put(20, 2)
		c.letters += 2
	}
	c.eventually("the refused documents are dead letters", func() bool { return c.count(deadletter.Index(c.prefix)) == c.letters })
	c.eventually("the others are found", func() bool { return c.count(deleted) == 6*20 })
	w.stop()
	ask(http.MethodPut, "/"+c.refused+"/_settings", `{"index.blocks.write":null}`)
	ask(http.MethodDelete, "/"+deleted, "")
	if n := c.found(); n != c.kept {
		t.Fatalf("%d documents are left, want %d", n, c.kept)
	}
	return c
}

// whole checks that each event is found once, and that the dead letters are still there.
func (c *lossy) whole() {
	c.t.Helper()
	if n := c.found(); n != len(c.expected) {
		c.t.Errorf("%d events found of %d", n, len(c.expected))
	}
	if n := c.count(deadletter.Index(c.prefix)); n != c.letters {
		c.t.Errorf("%d dead letters, want %d", n, c.letters)
	}
}

// bulk sends the lines of a bulk request in pieces, and counts the statuses of the documents.
func (c *lossy) bulk(lines string) map[int]int {
	c.t.Helper()
	statuses := map[int]int{}
	all := strings.SplitAfter(strings.TrimSuffix(lines, "\n")+"\n", "\n")
	for len(all) > 1 { // the last one is empty
		piece := all[:min(len(all)-1, 10)]
		all = all[len(piece):]
		var answer struct {
			Items []map[string]struct{ Status int }
		}
		if err := inspect.Ask(c.t.Context(), c.search, http.MethodPost, "/_bulk", strings.Join(piece, ""), &answer); err != nil {
			c.t.Fatal(err)
		}
		for _, item := range answer.Items {
			statuses[item["create"].Status]++
		}
	}
	return statuses
}

// What decode prints of the archive creates the documents that are missing, those of dead
// letters included, and changes no other. See docs/incidents.md.
func TestReplayByDecode(t *testing.T) {
	t.Parallel()
	c := newLossy(t)
	code, lines, errOut := command(t, nil, c.archive, "decode", "--index-prefix="+c.prefix, "-")
	if code != exitOK || errOut != "" {
		t.Fatalf("exit %d, %s", code, errOut)
	}
	for _, want := range []map[int]int{
		{http.StatusCreated: len(c.expected) - c.kept, http.StatusConflict: c.kept},
		{http.StatusConflict: len(c.expected)},
	} {
		if got := c.bulk(lines); !maps.Equal(got, want) {
			t.Errorf("documents by status: %v, want %v", got, want)
		}
		c.whole()
	}
}

// A running worker that reads the stream again creates the same documents.
func TestReplayByReset(t *testing.T) {
	t.Parallel()
	c := newLossy(t)
	w := c.start("again")
	c.eventually("the shard has a reader", func() bool { return c.held("again") == 1 })
	env := map[string]string{
		"STREAM_NAME": "s", "APPLICATION_NAME": c.application, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
		"AWS_ENDPOINT_URL_KINESIS": c.kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB": c.dynamoDBURL,
	}
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	if code, out, errOut := command(t, env, nil, "leases", "reset", "--to="+since, "--force", "--yes"); code != exitOK {
		t.Fatalf("exit %d, %s%s", code, out, errOut)
	}
	c.indexed()
	w.stop()
	c.whole()
	if n := w.total("documents_already_there"); n < float64(c.kept) {
		t.Errorf("%.0f documents were found there, want %d or more", n, c.kept)
	}
}
