package indexer

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// A response that never ends fails its request, which is sent again. This includes a
// small compressed response that inflates without end.
func TestEndlessAnswerFails(t *testing.T) {
	text := []byte(`{"items":[{"create":{"status":400,"error":{"reason":"` + strings.Repeat("x", 64<<20))
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	f := func(encoding string, body []byte) {
		t.Run(encoding, func(t *testing.T) {
			var log bytes.Buffer
			var once sync.Once
			ix := start(t, &fakeBulk{answer: func(w http.ResponseWriter, _ string) (answered bool) {
				once.Do(func() {
					answered = true
					w.Header().Set("Content-Encoding", encoding)
					_, _ = w.Write(body)
				})
				return answered
			}}, func(c *Config) { c.RequestTimeout, c.Log = 10*time.Minute, zerolog.New(&log) })
			put(t, ix, record(ix, 1, 1))
			ix.Close()
			if n := testutil.ToFloat64(ix.metrics.failedRequests); n != 1 || testutil.ToFloat64(ix.metrics.indexed) != 1 {
				t.Errorf("%v requests failed", n)
			}
			if !strings.Contains(log.String(), "the maximum that is read") {
				t.Errorf("the log has no reason: %s", &log)
			}
		})
	}
	f("identity", text)
	f("gzip", bomb.Bytes())
}
