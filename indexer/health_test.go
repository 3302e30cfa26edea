package indexer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"logsluice/opensearch"
)

func TestAlive(t *testing.T) {
	ix := start(t, new(fakeBulk), nil)
	for range 3 {
		if err := ix.Alive(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ix.Close()
	if ix.Alive(t.Context()) == nil {
		t.Error("a closed indexer is alive")
	}
	// An indexer whose dispatcher is stuck.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stuck := &Indexer{ctx: t.Context(), pings: make(chan struct{})}
	if err := stuck.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stuck dispatcher: %v", err)
	}
}

// A setting that is known to be wrong makes the indexer unready until OpenSearch accepts
// a document.
func TestReady(t *testing.T) {
	ix := new(Indexer)
	f := func(want string, status int, err error, items ...int) {
		t.Helper()
		var results []opensearch.Item
		for _, status := range items {
			results = append(results, opensearch.Item{Status: status, Error: &opensearch.Cause{Type: "type", Reason: "because"}})
		}
		ix.noteSettings(status, results, err)
		got := ix.Ready()
		if want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), want)) {
			t.Errorf("after %d, %v, %v: %v, want %q", status, err, items, got, want)
		}
	}
	because := errors.New("because")
	f("", http.StatusOK, nil, 201)
	f("403: because", http.StatusForbidden, because)
	f("403: because", http.StatusTooManyRequests, because)
	f("403: because", 0, because)
	f("403: because", http.StatusOK, nil, 429, 503, 400)
	f("401: because", http.StatusUnauthorized, because)
	f("", http.StatusOK, nil, 429, 409)
	f("400: because", http.StatusBadRequest, because)
	f("", http.StatusOK, nil, 201)
	f("404: type: because", http.StatusOK, nil, 201, 404, 201)
	f("", http.StatusOK, nil, 201)
	f("403: type: because", http.StatusOK, nil, 403)
}

// A wrong setting is forgotten when nothing was sent for a long time.
func TestReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ix := new(Indexer)
		ix.noteSettings(http.StatusForbidden, nil, errors.New("because"))
		time.Sleep(wrongSettingTTL - time.Second)
		if ix.Ready() == nil {
			t.Error("ready when documents are about to be sent again")
		}
		time.Sleep(time.Second)
		if err := ix.Ready(); err != nil {
			t.Errorf("nothing was sent for %s: %v", wrongSettingTTL, err)
		}
	})
}
