package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Each process logs one EMF document per minute of the clock, also for the minute in which it
// stops, and at any log level.
func TestSummarizeEMF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x_events_total"}, []string{"kind"})
		lag := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "x_lag_seconds"}, []string{"shard"})
		held := prometheus.NewGauge(prometheus.GaugeOpts{Name: "x_in_flight_bytes"})
		latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x_request_seconds", Buckets: []float64{1, 2}})
		registry.MustRegister(events, lag, held, latency)
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		time.Sleep(20 * time.Second)
		start := time.Now()
		go func() {
			defer close(done)
			Summarize(ctx, SummaryConfig{
				Registry: registry, Prefix: "x_", Period: time.Minute, EMF: &EMF{"space", "app"}, Log: zerolog.New(&out).Level(zerolog.ErrorLevel),
			})
		}()
		events.WithLabelValues("a").Add(3)
		events.WithLabelValues("b").Add(4)
		lag.WithLabelValues("s1").Set(7)
		lag.WithLabelValues("s2").Set(5)
		lag.WithLabelValues("").Set(6) // without a label, so only in the summary
		held.Set(9)
		latency.Observe(0.5)
		time.Sleep(90 * time.Second)
		lag.DeleteLabelValues("s1")
		lag.DeleteLabelValues("s2")
		lag.DeleteLabelValues("")
		cancel()
		<-done

		metric := func(name, unit string) any { return map[string]any{"Name": name, "Unit": unit} }
		document := func(minute time.Time, metrics []any, values map[string]any) map[string]any {
			values["level"], values["message"], values["application"] = "info", "summary", "app"
			values["_aws"] = map[string]any{"Timestamp": float64(minute.UnixMilli()), "CloudWatchMetrics": []any{
				map[string]any{"Namespace": "space", "Dimensions": []any{[]any{"application"}}, "Metrics": metrics},
			}}
			return values
		}
		first := start.Add(-20 * time.Second)
		want := []map[string]any{
			document(first, []any{metric("events", "Count"), metric("in_flight_bytes", "Bytes"), metric("lag_seconds", "Seconds"),
				metric("request_seconds_count", "Count"), metric("request_seconds_p50", "Seconds"), metric("request_seconds_p99", "Seconds")},
				map[string]any{"events": 7.0, "in_flight_bytes": 9.0, "lag_seconds": 7.0, "request_seconds_count": 1.0, "request_seconds_p50": 0.5, "request_seconds_p99": 0.99}),
			{"level": "info", "message": "lag", "shard": "s1", "lag_seconds": 7.0},
			{"level": "info", "message": "lag", "shard": "s2", "lag_seconds": 5.0},
			document(first.Add(time.Minute), []any{metric("events", "Count"), metric("in_flight_bytes", "Bytes"), metric("request_seconds_count", "Count")},
				map[string]any{"events": 0.0, "in_flight_bytes": 9.0, "request_seconds_count": 0.0}),
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("lines: %q", lines)
		}
		for i, line := range lines {
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil || !reflect.DeepEqual(got, want[i]) {
				t.Errorf("line %d: %s, want %v, %v", i, line, want[i], err)
			}
		}
	})
}

func TestCheckNamespace(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		err := CheckNamespace(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	f("logsluice", "")
	f("Team/logs.prod_1#a:b", "")
	f(strings.Repeat("a", 255), "")
	const syntax = "1 to 255"
	f("", syntax)
	f(":a", syntax)
	f("a b", syntax)
	f(strings.Repeat("a", 256), syntax)
	f("AWS/Kinesis", "is reserved")
}
