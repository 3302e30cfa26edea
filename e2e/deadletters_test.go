package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"logsluice/indexer/deadletter"
	"logsluice/local/inspect"
)

// errorLine waits for an error line of the worker, and returns its error and remedy.
func (w *worker) errorLine(c *cluster, message string) (text string) {
	c.t.Helper()
	c.eventually("an error line: "+message, func() bool {
		for line := range strings.Lines(w.lines()) {
			var l struct{ Level, Message, Error, Remedy string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Level == "error" && l.Message == message {
				text = l.Error + ": " + l.Remedy
				return true
			}
		}
		return false
	})
	return text
}

func (c *cluster) exists(index string) bool {
	return inspect.Ask(c.t.Context(), c.search, http.MethodGet, "/"+index+"/_mapping", "", nil) == nil
}

// The dead-letter index is created before the first letter. A domain without room for it still
// accepts documents, and the index is created once there is room.
func TestRunDeadLetterIndex(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	s := newSink(t, n, 1)
	index := deadletter.Index(s.prefix)
	s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15", "")
	limit := func(shards string) {
		s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.max_shards_per_node":`+shards+`}}`)
	}
	limit("1")
	s.event("a", "there is room for this one")
	s.work()
	if text := s.w.errorLine(s.cluster, "the dead-letter index cannot be created"); !strings.Contains(text, "raise cluster.max_shards_per_node") {
		t.Error(text)
	}
	s.indexed()
	if s.exists(index) {
		t.Error("the dead-letter index exists")
	}
	limit("null")
	s.eventually("the dead-letter index exists", func() bool { return s.exists(index) })
	if s.count(index) != 0 {
		t.Error("dead letters exist")
	}
	s.w.stop()
}

// A worker that cannot write to DEAD_LETTER_URL logs that at its start, and continues.
func TestRunDeadLetterURL(t *testing.T) {
	t.Parallel()
	bucket := s3mem.New()
	if err := bucket.CreateBucket("archive"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(bucket, gofakes3.WithTimeSkewLimit(0)).Server())
	t.Cleanup(server.Close)
	c := newCluster(t, 1)
	f := func(url string, ok bool) {
		t.Helper()
		c.produce(generator(1, 10), 10)
		w := c.start("w", "AWS_ENDPOINT_URL_S3="+server.URL, "DEAD_LETTER_URL="+url)
		if ok {
			c.eventually("the check is written", func() bool {
				_, err := bucket.HeadObject("archive", "dead-letters/_check")
				return err == nil
			})
		} else if text := w.errorLine(c, "DEAD_LETTER_URL cannot be written to"); !strings.Contains(text, "NoSuchBucket") || !strings.Contains(text, "create the bucket") {
			t.Error(text)
		}
		c.indexed()
		w.stop()
		if ok && strings.Contains(w.lines(), "DEAD_LETTER_URL") {
			t.Error("an error about DEAD_LETTER_URL is logged")
		}
	}
	f("s3://nowhere/dead-letters", false)
	f("s3://archive/dead-letters", true)
}
