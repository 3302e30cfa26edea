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

// SummaryConfig configures Summarize.
type SummaryConfig struct {
	Registry prometheus.Gatherer
	// Prefix of the names of the metrics to summarize. Lines omit it.
	Prefix string
	// Period between two lines. They are logged when the clock shows a multiple of it, so that
	// each period has one line of each process.
	Period time.Duration
	// Gauges are logged as null while they have no series, so that all lines have the same
	// keys.
	Gauges []string
	// EMF turns the lines into CloudWatch metrics, unless it is nil.
	EMF *EMF
	// Sentence returns a message for people, which is logged instead of fields, unless it is
	// nil. values omits metrics without a value.
	Sentence func(values map[string]float64) string
	Log      zerolog.Logger
}

// Summarize logs one line per period, and one more when ctx ends. A line has the growth of each
// counter in the period, the greatest value of each gauge, and the count, median and 99th
// percentile of each histogram.
func Summarize(ctx context.Context, cfg SummaryConfig) {
	s := summary{SummaryConfig: cfg, counters: map[string]float64{}, histograms: map[string]Histogram{}}
	// Round to the nearest period: after the clock was set back, it can still show the last one.
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

// summary has the values at the last line.
type summary struct {
	SummaryConfig
	counters   map[string]float64
	histograms map[string]Histogram
}

// value is one value of a line.
type value struct {
	name    string
	number  float64
	missing bool // no value, such as a quantile without observations
}

// line logs the summary of the period that began at a time.
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
			values = append(values, value{name: gauge, missing: true})
		}
	}
	if s.Sentence != nil && s.EMF == nil {
		numbers := make(map[string]float64)
		for _, v := range values {
			if !v.missing {
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
		case !v.missing:
			event = event.Float64(v.name, v.number)
		case s.EMF == nil: // EMF has only numbers
			event = event.Any(v.name, nil)
		}
	}
	event.Msg("summary")
	if s.EMF != nil {
		s.EMF.details(s.Log, s.Prefix, families)
	}
}

// valuesOf returns the values of a line for a metric.
func (s *summary) valuesOf(name string, family *dto.MetricFamily) []value {
	switch family.GetType() {
	case dto.MetricType_COUNTER:
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
		growth := sum - s.counters[name]
		s.counters[name] = sum
		return []value{{name: name, number: growth}}
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
