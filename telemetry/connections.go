package telemetry

import (
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// maxConnections bounds the connections of the server, far below the usual limits on
// open files: what the worker itself needs must be left. It is far more than a few
// probes and scrapers have.
const maxConnections = 32

// connections bounds those of a server. One that is too many takes the place of
// another: of the one that has been without a request for longest, or where all have
// one, of the oldest. A listener with a limit would let probes wait behind connections
// that are idle.
type connections struct {
	log zerolog.Logger

	mu   sync.Mutex
	open []connection // the one whose state changed last is the last
}

type connection struct {
	net.Conn
	busy bool // with a request
}

// change is the server's hook for a connection's change of state.
func (c *connections) change(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open, func(o connection) bool { return o.Conn == conn })
	if i >= 0 {
		c.open = slices.Delete(c.open, i, i+1)
	}
	if state == http.StateClosed || state == http.StateHijacked || i < 0 && state != http.StateNew {
		return // it may have been replaced
	}
	if len(c.open) == maxConnections {
		replaced := max(0, slices.IndexFunc(c.open, func(o connection) bool { return !o.busy }))
		_ = c.open[replaced].Close()
		c.open = slices.Delete(c.open, replaced, replaced+1)
		c.log.Warn().Int("connections", maxConnections).Msg("too many connections to the metrics server, closing the oldest idle one")
	}
	c.open = append(c.open, connection{Conn: conn, busy: state == http.StateActive})
}
