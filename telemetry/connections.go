package telemetry

import (
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// maxConnections bounds the server's connections. It is far more than probes and scrapers need,
// and far below the usual limits on open files, so that enough files are left for the worker.
const maxConnections = 32

// connections bounds the number of open connections. A connection beyond maxConnections
// replaces the one that has been idle longest, or the oldest if all are busy. A limited
// listener would instead let probes wait behind idle connections.
type connections struct {
	log zerolog.Logger

	mu   sync.Mutex
	open []connection // ordered by the last change of state
}

type connection struct {
	net.Conn
	busy bool // a request is being served
}

// change implements http.Server.ConnState.
func (c *connections) change(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open, func(o connection) bool { return o.Conn == conn })
	if i >= 0 {
		c.open = slices.Delete(c.open, i, i+1)
	}
	if state == http.StateClosed || state == http.StateHijacked || i < 0 && state != http.StateNew {
		return // the connection is closed, or was replaced
	}
	if len(c.open) == maxConnections {
		replaced := max(0, slices.IndexFunc(c.open, func(o connection) bool { return !o.busy }))
		_ = c.open[replaced].Close()
		c.open = slices.Delete(c.open, replaced, replaced+1)
		c.log.Warn().Int("connections", maxConnections).Msg("too many connections to the metrics server, closing one")
	}
	c.open = append(c.open, connection{Conn: conn, busy: state == http.StateActive})
}
