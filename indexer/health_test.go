package indexer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
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
	// One whose dispatcher is stuck.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stuck := &Indexer{ctx: t.Context(), pings: make(chan struct{})}
	if err := stuck.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stuck dispatcher: %v", err)
	}
}

// A setting that is known to be wrong makes the indexer unready until OpenSearch
// takes a document.
func TestReady(t *testing.T) {
	ix := new(Indexer)
	f := func(status int, want string) {
		t.Helper()
		ix.note(status, "because")
		err := ix.Ready()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("after %d: %v, want %q", status, err, want)
		}
	}
	f(http.StatusCreated, "")
	f(http.StatusForbidden, "403: because")
	f(http.StatusTooManyRequests, "403: because")
	f(0, "403: because")
	f(http.StatusUnauthorized, "401: because")
	f(http.StatusConflict, "")
	f(http.StatusNotFound, "404: because")
	f(http.StatusOK, "")
	f(http.StatusServiceUnavailable, "")
}
