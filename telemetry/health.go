package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Health is what a probe asks for.
type Health struct {
	// Alive must hold as long as the process is worth keeping: a supervisor
	// kills it otherwise. What a restart does not cure is no part of it.
	Alive []Check
	// Ready must hold for the process to do its work.
	Ready []Check
}

// Check is one thing that must be so. Func returns an error that says in a few
// words why it is not. It is called from several goroutines, and must return
// when its context ends.
type Check struct {
	Name string
	Func func(context.Context) error
}

// checkTimeout bounds a check. Who probes must be ready to wait longer.
const checkTimeout = 2 * time.Second

// Healthy is the text of an answer to a probe whose checks all hold.
const Healthy = "ok"

// probe answers 200 when all checks hold, else 503 with a line for each that
// does not.
func probe(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		lines := make([]string, len(checks))
		var asking sync.WaitGroup
		for i, c := range checks {
			asking.Go(func() {
				if err := c.Func(ctx); err != nil {
					lines[i] = fmt.Sprintf("%s: %s\n", c.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
				}
			})
		}
		asking.Wait()
		status, text := http.StatusOK, Healthy+"\n"
		if failed := strings.Join(lines, ""); failed != "" {
			status, text = http.StatusServiceUnavailable, failed
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}
