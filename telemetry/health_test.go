package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// Checks run concurrently, each with its own timeout. Those that fail are reported in their
// order, one per line.
func TestProbe(t *testing.T) {
	fine := Check{"fine", func(context.Context) error { return nil }}
	bad := Check{"bad", func(context.Context) error { return errors.New("one\ntwo") }}
	slow := Check{"slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	second := Check{"second", func(context.Context) error { time.Sleep(time.Second); return nil }}
	f := func(name string, checks []Check, status int, text string, took time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				w := httptest.NewRecorder()
				probe(checks)(w, httptest.NewRequest(http.MethodGet, "/", nil))
				if w.Code != status || w.Body.String() != text || time.Since(begun) != took {
					t.Errorf("%d %q after %s", w.Code, w.Body, time.Since(begun))
				}
			})
		})
	}
	f("none", nil, 200, "ok\n", 0)
	f("all pass", []Check{fine, fine}, 200, "ok\n", 0)
	f("concurrent", []Check{second, second}, 200, "ok\n", time.Second)
	f("one fails", []Check{fine, bad}, 503, "bad: one; two\n", 0)
	f("in order", []Check{slow, bad, slow}, 503,
		"slow: context deadline exceeded\nbad: one; two\nslow: context deadline exceeded\n", checkTimeout)
}
