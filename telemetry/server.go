package telemetry

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Limits of the server, for slow or silent clients.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	idleTimeout   = time.Minute // between two requests on a connection
	maxHeader     = 16 << 10    // bytes
	// writeTimeout is the time from the request to the end of the response, including the
	// checks of a probe. The metrics of many shards can be megabytes.
	writeTimeout   = 10 * time.Second
	metricsTimeout = 30 * time.Second
)

// Serve serves /metrics, /healthz (alive) and /readyz on an address (host:port) until ctx ends.
// It fails if it cannot listen there.
func Serve(ctx context.Context, address string, registry *prometheus.Registry, health Health, log zerolog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	server := newServer(registry, health, log)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health on %s: %w", address, err)
	}
	return nil
}

func newServer(registry *prometheus.Registry, health Health, log zerolog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", within(metricsTimeout, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	mux.HandleFunc("GET /healthz", probe(health.Alive))
	mux.HandleFunc("GET /readyz", probe(health.Ready))
	connections := connections{log: log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute})}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         connections.change,
		ErrorLog:          stdlog.New(errorLog{log}, "", 0),
	}
}

// within wraps a handler with a timeout that replaces writeTimeout.
func within(timeout time.Duration, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It cannot fail: connections of http.Server support deadlines.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
		handler.ServeHTTP(w, r)
	})
}

// errorLog logs the errors of the HTTP server.
type errorLog struct{ log zerolog.Logger }

func (l errorLog) Write(line []byte) (int, error) {
	l.log.Warn().Str("error", strings.TrimSpace(string(line))).Msg("metrics server error")
	return len(line), nil
}
