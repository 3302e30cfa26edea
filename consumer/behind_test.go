package consumer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A shard whose answers stay away falls behind with the time.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehind()
		f := func(want ...string) {
			t.Helper()
			text := ""
			if len(want) > 0 {
				text = "# HELP logsluice_lag_seconds How far reading is behind the tip of a shard.\n# TYPE logsluice_lag_seconds gauge\n" + strings.Join(want, "\n") + "\n"
			}
			if err := testutil.CollectAndCompare(b, strings.NewReader(text)); err != nil {
				t.Error(err)
			}
		}
		f()
		b.set("s1", 1500*time.Millisecond)
		b.set("s2", 0)
		f(`logsluice_lag_seconds{shard="s1"} 1.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		time.Sleep(betweenAnswers)
		b.set("s2", 0)
		f(`logsluice_lag_seconds{shard="s1"} 1.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		time.Sleep(time.Second)
		f(`logsluice_lag_seconds{shard="s1"} 7.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		b.forget("s1")
		time.Sleep(time.Minute)
		f(`logsluice_lag_seconds{shard="s2"} 61`)

		// What nobody can read falls behind, too: since its last answer, or since it fails.
		b.set("s2", time.Second)
		b.fail("s2")
		b.fail("s3")
		failing := map[string]time.Time{"s2": time.Now(), "s3": time.Now().Add(-time.Hour)}
		b.failing(failing)
		time.Sleep(time.Minute)
		b.failing(failing)
		f(`logsluice_lag_seconds{shard="s2"} 61`, `logsluice_lag_seconds{shard="s3"} 3660`)
		b.set("s2", 0) // it is read here
		delete(failing, "s3")
		b.failing(map[string]time.Time{})
		f(`logsluice_lag_seconds{shard="s2"} 0`)
		b.fail("s2") // and was read elsewhere at once
		b.failing(map[string]time.Time{})
		f()
	})
}
