package telemetry

import (
	"context"
	"math"
	"slices"
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
	// Gauges are shown also while they have no series, as null: the keys of the lines are
	// the same all the time.
	Gauges []string
	// EMF makes metrics of CloudWatch of the lines; nil for none.
	EMF *EMF
	// Sentence makes a message for people of the values of a line, which then has no
	// fields; nil for fields. It is not given values without a number.
	Sentence func(values map[string]float64) string
	Log      zerolog.Logger
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
	none   bool // there is no number, as of a quantile of nothing
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
	for _, gauge := range s.Gauges {
		if !slices.ContainsFunc(values, func(v value) bool { return v.name == gauge }) {
			values = append(values, value{name: gauge, none: true})
		}
	}
	if s.Sentence != nil && s.EMF == nil {
		numbers := make(map[string]float64)
		for _, v := range values {
			if !v.none {
				numbers[v.name] = v.number
			}
		}
		s.Log.Info().Msg(s.Sentence(numbers))
		return
	}
	event := s.Log.Info()
	if s.EMF != nil {
		event = s.EMF.event(s.Log, begin, values)
	}
	for _, v := range values {
		switch {
		case !v.none:
			event = event.Float64(v.name, v.number)
		case s.EMF == nil: // which has numbers only
			event = event.Any(v.name, nil)
		}
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
		return []value{{name: name, number: grown}}
	case dto.MetricType_GAUGE:
		greatest := math.Inf(-1)
		for _, m := range family.GetMetric() {
			greatest = max(greatest, m.GetGauge().GetValue())
		}
		return []value{{name: name, number: greatest}}
	case dto.MetricType_HISTOGRAM:
		h := Histogram{}
		for _, m := range family.GetMetric() {
			h.Add(m.GetHistogram())
		}
		in := h.Since(s.histograms[name])
		s.histograms[name] = h
		return []value{
			{name: name + "_count", number: in.Count()},
			{name + "_p50", in.Quantile(0.5), in.Count() == 0},
			{name + "_p99", in.Quantile(0.99), in.Count() == 0},
		}
	}
	return nil
}
