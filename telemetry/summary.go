package telemetry

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
)

// Summarize logs one line a period, and one more when ctx ends: of each metric
// whose name begins with prefix, what a counter grew by, the greatest value of
// a gauge, and of a histogram the median and the 99th percentile in the period.
func Summarize(ctx context.Context, registry prometheus.Gatherer, prefix string, period time.Duration, log zerolog.Logger) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	s := summary{registry: registry, prefix: prefix, counters: map[string]float64{}, histograms: map[string]Histogram{}}
	for {
		select {
		case <-ticker.C:
			s.line(log)
		case <-ctx.Done():
			s.line(log)
			return
		}
	}
}

// summary remembers the values of the last line.
type summary struct {
	registry   prometheus.Gatherer
	prefix     string
	counters   map[string]float64
	histograms map[string]Histogram
}

func (s *summary) line(log zerolog.Logger) {
	families, err := s.registry.Gather()
	if err != nil {
		log.Warn().Err(err).Msg("cannot gather the metrics")
		return
	}
	event := log.Info()
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), s.prefix)
		if !ours || len(family.GetMetric()) == 0 {
			continue
		}
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			name = strings.TrimSuffix(name, "_total")
			sum := 0.0
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
			event = event.Float64(name, sum-s.counters[name])
			s.counters[name] = sum
		case dto.MetricType_GAUGE:
			greatest := math.Inf(-1)
			for _, m := range family.GetMetric() {
				greatest = max(greatest, m.GetGauge().GetValue())
			}
			event = event.Float64(name, greatest)
		case dto.MetricType_HISTOGRAM:
			h := Histogram{}
			for _, m := range family.GetMetric() {
				h.Add(m.GetHistogram())
			}
			in := h.Since(s.histograms[name])
			s.histograms[name] = h
			if in.Count() > 0 {
				event = event.Float64(name+"_p50", in.Quantile(0.5)).Float64(name+"_p99", in.Quantile(0.99))
			}
		}
	}
	event.Msg("summary")
}
