package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Health has the checks of the probes.
type Health struct {
	// Alive checks fail only if a restart can help, because a supervisor then kills the process.
	Alive []Check
	// Ready checks fail while the process cannot do its work.
	Ready []Check
}

// Check is one check. Func returns a short error if it fails. It is called from several
// goroutines, and must return when its context ends.
type Check struct {
	Name string
	Func func(context.Context) error
}

// checkTimeout bounds a check. Probes need a longer timeout.
const checkTimeout = 2 * time.Second

// Healthy is the response to a probe whose checks all pass.
const Healthy = "ok"

// probe returns a handler that responds with 200 if all checks pass, and otherwise with 503 and
// a line for each failed check.
func probe(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		lines := make([]string, len(checks))
		var running sync.WaitGroup
		for i, c := range checks {
			running.Go(func() {
				if err := c.Func(ctx); err != nil {
					lines[i] = fmt.Sprintf("%s: %s\n", c.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
				}
			})
		}
		running.Wait()
		status, text := http.StatusOK, Healthy+"\n"
		if failed := strings.Join(lines, ""); failed != "" {
			status, text = http.StatusServiceUnavailable, failed
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}
