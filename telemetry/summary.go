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

// SummaryConfig says what is summed up, how often, and for whom.
type SummaryConfig struct {
	Registry prometheus.Gatherer
	// Prefix of the names of the metrics that are shown; the lines are without it.
	Prefix string
	// Period between two lines. They come when the clock shows a multiple of it, so
	// that each period has one line of each process.
	Period time.Duration
	// EMF makes metrics of CloudWatch of the lines; nil for none.
	EMF *EMF
	Log zerolog.Logger
}

// Summarize logs one line a period, and one more when ctx ends: of each metric,
// what a counter grew by, the greatest value of a gauge, and of a histogram the
// number, the median and the 99th percentile in the period.
func Summarize(ctx context.Context, cfg SummaryConfig) {
	s := summary{SummaryConfig: cfg, counters: map[string]float64{}, histograms: map[string]Histogram{}}
	// The next period is the nearest: a clock that is set may show the last one yet.
	for begin := time.Now().Truncate(cfg.Period); ; begin = time.Now().Round(cfg.Period) {
		select {
		case <-time.After(time.Until(begin.Add(cfg.Period))):
			s.line(begin)
		case <-ctx.Done():
			s.line(begin)
			return
		}
	}
}

// summary remembers the values of the last line.
type summary struct {
	SummaryConfig
	counters   map[string]float64
	histograms map[string]Histogram
}

// value is one of a line's.
type value struct {
	name   string
	number float64
}

// line logs what was in the period that has begun at a time.
func (s *summary) line(begin time.Time) {
	families, err := s.Registry.Gather()
	if err != nil {
		s.Log.Warn().Err(err).Msg("cannot gather the metrics")
		return
	}
	var values []value
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), s.Prefix)
		if ours && len(family.GetMetric()) > 0 {
			values = append(values, s.valuesOf(strings.TrimSuffix(name, "_total"), family)...)
		}
	}
	event := s.Log.Info()
	if s.EMF != nil {
		event = s.EMF.event(s.Log, begin, values)
	}
	for _, v := range values {
		event = event.Float64(v.name, v.number)
	}
	event.Msg("summary")
	if s.EMF != nil {
		s.EMF.details(s.Log, s.Prefix, families)
	}
}

// valuesOf is what a line shows of a metric.
func (s *summary) valuesOf(name string, family *dto.MetricFamily) []value {
	switch family.GetType() {
	case dto.MetricType_COUNTER:
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
		grown := sum - s.counters[name]
		s.counters[name] = sum
		return []value{{name, grown}}
	case dto.MetricType_GAUGE:
		greatest := math.Inf(-1)
		for _, m := range family.GetMetric() {
			greatest = max(greatest, m.GetGauge().GetValue())
		}
		return []value{{name, greatest}}
	case dto.MetricType_HISTOGRAM:
		h := Histogram{}
		for _, m := range family.GetMetric() {
			h.Add(m.GetHistogram())
		}
		in := h.Since(s.histograms[name])
		s.histograms[name] = h
		values := []value{{name + "_count", in.Count()}}
		if in.Count() > 0 {
			values = append(values, value{name + "_p50", in.Quantile(0.5)}, value{name + "_p99", in.Quantile(0.99)})
		}
		return values
	}
	return nil
}
