package mapping

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

type metrics struct {
	dropped   []prometheus.Counter // by rule
	unfit     []prometheus.Counter // by field
	tooLong   []prometheus.Counter // by field
	noUnit    []prometheus.Counter // by field
	restLost  prometheus.Counter
	tooOld    prometheus.Counter
	tooNew    prometheus.Counter
	identical prometheus.Counter
}

func newMetrics(s *schema.Schema, registry prometheus.Registerer) (*metrics, error) {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "logsluice_events_dropped_total", Help: "Events dropped by a rule of the schema, by the rule's number in the file."}, []string{"rule"})
	leftOut := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "logsluice_fields_left_out_total", Help: "Fields left out of documents because their value in the line does not fit, by field and reason."}, []string{"field", "reason"})
	outside := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "logsluice_events_outside_total", Help: "Events that were too old or too far ahead when their record arrived, and go to PREFIX-outside, by side."}, []string{"side"})
	identical := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "logsluice_events_identical_total", Help: "Events without a CloudWatch id that are equal to an event of another envelope in their record, and share its document."})
	if registry != nil {
		for _, c := range []prometheus.Collector{dropped, leftOut, outside, identical} {
			if err := registry.Register(c); err != nil {
				return nil, fmt.Errorf("register the metrics of the mapping: %w", err)
			}
		}
	}
	const byType, byLength, byUnit = "type", "length", "unit"
	m := &metrics{
		restLost:  leftOut.WithLabelValues(schema.RestField, byType),
		tooOld:    outside.WithLabelValues("old"),
		tooNew:    outside.WithLabelValues("ahead"),
		identical: identical,
	}
	for i := range s.Rules {
		m.dropped = append(m.dropped, dropped.WithLabelValues(strconv.Itoa(i+1)))
	}
	for _, f := range s.Fields {
		m.unfit = append(m.unfit, leftOut.WithLabelValues(f.Name, byType))
		m.tooLong = append(m.tooLong, leftOut.WithLabelValues(f.Name, byLength))
		var noUnit prometheus.Counter
		if f.Kind == schema.DurationKind {
			noUnit = leftOut.WithLabelValues(f.Name, byUnit)
		}
		m.noUnit = append(m.noUnit, noUnit)
	}
	return m, nil
}

// countOutside counts an event that is outside the window.
func (m *metrics) countOutside(event *subscription.Event, w *window) {
	if event.Timestamp < w.earliest {
		m.tooOld.Inc()
	} else {
		m.tooNew.Inc()
	}
}

// countLeftOut counts the fields for which the line has values but none that fits, and
// the rest of its JSON if it was lost.
func (m *metrics) countLeftOut(x *extractor, lost bool) {
	if lost {
		m.restLost.Inc()
	}
	for i := range x.found {
		switch f := &x.found[i]; {
		case f.rank > 0:
		case f.unfit == schema.Misfit:
			m.unfit[i].Inc()
		case f.unfit == schema.TooLong:
			m.tooLong[i].Inc()
		case f.unfit == schema.UnknownUnit:
			m.noUnit[i].Inc()
		}
	}
}
