package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"logsluice/telemetry"
)

// listenSettings configure the address at which run can be scraped and probed.
type listenSettings struct {
	MetricsAddress string `group:"operation" env:"METRICS_ADDRESS" placeholder:"HOST:PORT" check:"listen" missing:"the address that run serves at, such as :9100" help:"Address at which run serves Prometheus metrics under /metrics and answers probes under /healthz and /readyz."`
}

// healthcheckCommand probes a worker on the same host, for images without an HTTP client.
type healthcheckCommand struct {
	listenSettings
	Ready bool `otherwise:"whether it is alive, /healthz" help:"Ask whether the worker is ready, /readyz."`
}

// Help is called by kong.
func (*healthcheckCommand) Help() string {
	return fmt.Sprintf("The worker has %s to answer. The exit code is 0 if it is alive, or ready, and 1 if it is not or does not answer.", healthcheckTimeout)
}

// healthcheckTimeout is longer than the two seconds that the worker gives its checks.
const healthcheckTimeout = 3 * time.Second

func (*healthcheckCommand) required() []string { return []string{"metrics-address"} }

// Run is called by kong.
func (h *healthcheckCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url(), nil)
	if err != nil {
		return fmt.Errorf("ask the worker: %w", err)
	}
	// A Transport without Proxy, as the worker is on the same host.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask the worker at %s: %w: check that it is running and that its METRICS_ADDRESS is %s", h.url(), err, h.MetricsAddress)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", h.url(), err)
	}
	switch text := strings.TrimSpace(string(body)); {
	case resp.StatusCode == http.StatusOK && text == telemetry.Healthy:
		return nil
	case resp.StatusCode == http.StatusOK:
		return fmt.Errorf("%s is answered by another program: is METRICS_ADDRESS the worker's?", h.url())
	case resp.StatusCode == http.StatusServiceUnavailable && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") && strings.Contains(text, ": "):
		return errors.New(text)
	default:
		return fmt.Errorf("%s answers %s: is METRICS_ADDRESS the worker's?", h.url(), resp.Status)
	}
}

// url returns the URL of the probe. It replaces the unspecified address with loopback.
func (h *healthcheckCommand) url() string {
	host, port, _ := net.SplitHostPort(h.MetricsAddress)
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	path := "/healthz"
	if h.Ready {
		path = "/readyz"
	}
	return "http://" + net.JoinHostPort(host, port) + path
}
