package telemetry

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// pipes is a listener in memory, so that tests can run in virtual time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	switch {
	case !ok:
		return nil, net.ErrClosed
	case conn == nil:
		return nil, syscall.EMFILE
	}
	return conn, nil
}

func (p pipes) Close() error { close(p); return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns a connection, and a channel that is closed when the server closes it.
func (p pipes) dial(t *testing.T) (net.Conn, chan struct{}) {
	client, server := net.Pipe()
	conn := &watched{Conn: server, closed: make(chan struct{})}
	p <- conn
	t.Cleanup(func() { client.Close() })
	return client, conn.closed
}

type watched struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (w *watched) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// get sends a request and returns the status of the response, or 0 without a response.
func get(conn net.Conn, path string) int {
	if _, err := io.WriteString(conn, request(path)); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func request(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// serveInMemory starts a server in memory that ends with the test, and returns its listener.
func serveInMemory(t *testing.T, health Health, log zerolog.Logger) pipes {
	listener := make(pipes)
	server := newServer(prometheus.NewRegistry(), health, log)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return listener
}

// The connection of a slow or silent client is closed.
func TestServerTimeouts(t *testing.T) {
	f := func(name, sent string, reads bool, want time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, closed := serveInMemory(t, Health{}, zerolog.Nop()).dial(t)
				begun := time.Now()
				go io.WriteString(conn, sent)
				if reads {
					go io.Copy(io.Discard, conn)
				}
				select {
				case <-closed:
				case <-time.After(time.Hour):
				}
				if took := time.Since(begun).Truncate(time.Second); took != want {
					t.Errorf("closed after %s, want %s", took, want)
				}
			})
		})
	}
	f("silent", "", true, headerTimeout)
	f("half a header", "GET /healthz HTTP/1.1\r\nHost: h", true, headerTimeout)
	f("half a body", "GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", true, readTimeout)
	f("idle", request("/healthz"), true, idleTimeout)
	f("headers without end", "GET /healthz HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 1<<20), true, 0)
	f("a response is not read", request("/healthz"), false, writeTimeout)
	f("metrics are not read", request("/metrics"), false, metricsTimeout)
}

// A probe is answered despite many connections that are silent or wait for a response, and at
// most maxConnections are open.
func TestServerConnections(t *testing.T) {
	f := func(name, sent string) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const clients = 200
				var log syncWriter
				listener := serveInMemory(t, Health{Ready: []Check{{"slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}}, zerolog.New(&log))
				var all []chan struct{}
				for range clients {
					conn, closed := listener.dial(t)
					all = append(all, closed)
					go io.WriteString(conn, sent)
					synctest.Wait()
				}
				for range 3 {
					conn, closed := listener.dial(t)
					all = append(all, closed)
					if status := get(conn, "/healthz"); status != http.StatusOK {
						t.Errorf("probe: status %d", status)
					}
				}
				open := 0
				for _, closed := range all {
					select {
					case <-closed:
					default:
						open++
					}
				}
				if open != maxConnections {
					t.Errorf("%d connections are open, want %d", open, maxConnections)
				}
				if n := strings.Count(log.String(), "too many connections"); n != 1 {
					t.Errorf("%d warnings within a minute, want 1", n)
				}
			})
		})
	}
	f("silent", "")
	f("within a header", "GET /readyz")
	f("with a slow request", request("/readyz"))
}

// syncWriter is a log for concurrent writers.
type syncWriter struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *syncWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

func (w *syncWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// Errors of the HTTP server are logged.
func TestServerErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncWriter
		listener := serveInMemory(t, Health{}, zerolog.New(&log))
		listener <- nil
		conn, _ := listener.dial(t)
		if status := get(conn, "/healthz"); status != http.StatusOK {
			t.Errorf("probe after an error: status %d", status)
		}
		var line struct{ Level, Message, Error string }
		if err := json.Unmarshal([]byte(log.String()), &line); err != nil || line.Level != "warn" || line.Message != "metrics server error" ||
			!strings.Contains(line.Error, "too many open files") {
			t.Errorf("%q, %v", log.String(), err)
		}
	})
}

// A busy connection is not closed in favour of silent ones, nor for a connection that was
// replaced and becomes active afterwards.
func TestServerConnections_Busy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := serveInMemory(t, Health{Ready: []Check{{"slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}}, zerolog.Nop())
		busy, _ := listener.dial(t)
		status := make(chan int)
		go func() { status <- get(busy, "/readyz") }()
		synctest.Wait()
		for range 2 * maxConnections {
			listener.dial(t)
		}
		if got := <-status; got != http.StatusServiceUnavailable {
			t.Errorf("busy connection: status %d", got)
		}
	})
	c := connections{log: zerolog.Nop()}
	var conns []net.Conn
	for range maxConnections + 1 {
		conn, _ := net.Pipe()
		conns = append(conns, conn)
		c.change(conn, http.StateNew)
	}
	c.change(conns[0], http.StateActive)
	if len(c.open) != maxConnections || c.open[0].Conn != conns[1] {
		t.Error("a connection that was replaced has replaced another")
	}
	for _, conn := range conns {
		c.change(conn, http.StateClosed)
	}
	if len(c.open) != 0 {
		t.Errorf("%d connections are counted after all were closed", len(c.open))
	}
}
