package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
)

func histogramOf(t *testing.T, bounds []float64, values ...float64) Histogram {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: bounds})
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	var result Histogram
	result.Add(m.GetHistogram())
	return result
}

func TestHistogram(t *testing.T) {
	f := func(name string, h Histogram, q, want float64) {
		t.Helper()
		if got := h.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: quantile %v is %v, want %v", name, q, got, want)
		}
	}
	bounds := []float64{1, 2, 4}
	h := histogramOf(t, bounds, 0.5, 1.5, 1.6, 3)
	f("within a bucket", h, 0.5, 1.5)
	f("first bucket", h, 0.125, 0.5)
	f("last", h, 1, 4)
	f("beyond the bounds", histogramOf(t, bounds, 100), 0.5, 4)
	later := histogramOf(t, bounds, 0.5, 1.5, 1.6, 3, 3, 3)
	f("since", later.Since(h), 0.5, 3)
	if n := later.Since(h).Count(); n != 2 {
		t.Errorf("%v observations since", n)
	}
	if !math.IsNaN((Histogram{}).Quantile(0.5)) {
		t.Error("quantile without observations is not NaN")
	}
}

// Each line has the growth in its period, and the last line is logged at the end.
func TestSummarize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x_events_total"}, []string{"kind"})
		lag := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "x_lag"}, []string{"shard"})
		latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x_latency", Buckets: []float64{1, 2}})
		other := prometheus.NewCounter(prometheus.CounterOpts{Name: "other_total"})
		registry.MustRegister(events, lag, latency, other)
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Summarize(ctx, SummaryConfig{Registry: registry, Prefix: "x_", Period: time.Minute, Gauges: []string{"lag"}, Log: zerolog.New(&out)})
		}()
		events.WithLabelValues("a").Add(3)
		events.WithLabelValues("b").Add(4)
		lag.WithLabelValues("1").Set(5)
		lag.WithLabelValues("2").Set(7)
		latency.Observe(0.5)
		time.Sleep(90 * time.Second)
		events.WithLabelValues("a").Add(1)
		lag.DeleteLabelValues("2")
		time.Sleep(time.Minute)
		lag.DeleteLabelValues("1")
		cancel()
		<-done
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		want := []map[string]any{
			{"events": 7.0, "lag": 7.0, "latency_count": 1.0, "latency_p50": 0.5, "latency_p99": 0.99},
			{"events": 1.0, "lag": 5.0, "latency_count": 0.0, "latency_p50": nil, "latency_p99": nil},
			{"events": 0.0, "lag": nil, "latency_count": 0.0, "latency_p50": nil, "latency_p99": nil},
		}
		if len(lines) != len(want) {
			t.Fatalf("lines: %q", lines)
		}
		for i, line := range lines {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			delete(fields, "level")
			delete(fields, "message")
			got, _ := json.Marshal(fields)
			wanted, _ := json.Marshal(want[i])
			if !bytes.Equal(got, wanted) {
				t.Errorf("line %d: %s, want %s", i, got, wanted)
			}
		}
	})
}

func TestServe(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total"}))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, address, registry, Health{Ready: []Check{{"check", func(context.Context) error { return errors.New("fails") }}}}, zerolog.Nop())
	}()
	var text string
	for range 100 {
		resp, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			raw, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			text = string(raw)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(text, "x_total 0") {
		t.Errorf("metrics: %q", text)
	}
	for path, want := range map[string]string{"/healthz": "200 ok\n", "/readyz": "503 check: fails\n"} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := fmt.Sprintf("%d %s", resp.StatusCode, raw); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if err := Serve(t.Context(), address, registry, Health{}, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("an address in use: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("after ctx ended: %v", err)
	}
}
