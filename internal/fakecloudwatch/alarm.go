package fakecloudwatch

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// State is the state of an alarm.
type State string

// States of an alarm.
const (
	OK    State = "OK"
	Alarm State = "ALARM"
)

// Definition has those properties of an AWS::CloudWatch::Alarm that affect its state.
type Definition struct {
	Metric     `yaml:",inline"`
	Statistic  string  `yaml:"Statistic"`
	Period     int     `yaml:"Period"` // in seconds
	Metrics    []Query `yaml:"Metrics"`
	Periods    int     `yaml:"EvaluationPeriods"`
	Datapoints int     `yaml:"DatapointsToAlarm"`
	Comparison string  `yaml:"ComparisonOperator"`
	Threshold  float64 `yaml:"Threshold"`
	Missing    string  `yaml:"TreatMissingData"`
}

// Query is one of an alarm's metrics or expressions.
type Query struct {
	ID         string      `yaml:"Id"`
	Expression string      `yaml:"Expression"`
	ReturnData bool        `yaml:"ReturnData"`
	Metric     *MetricStat `yaml:"MetricStat"`
}

// MetricStat is a statistic of a metric.
type MetricStat struct {
	Metric Metric `yaml:"Metric"`
	Stat   string `yaml:"Stat"`
	Period int    `yaml:"Period"` // in seconds
}

// Sources returns the metrics that the alarm depends on.
func (d Definition) Sources() (all []Metric) {
	if d.Name != "" {
		all = append(all, d.Metric)
	}
	for _, q := range d.Metrics {
		if q.Metric != nil {
			all = append(all, q.Metric.Metric)
		}
	}
	return all
}

// Step returns the length of a period, zero if the definition has none.
func (d Definition) Step() time.Duration {
	seconds := d.Period
	for _, q := range d.Metrics {
		if q.Metric != nil {
			seconds = q.Metric.Period
		}
	}
	return time.Duration(seconds) * time.Second
}

// State returns the state of an alarm at a time. extra is by how many periods the evaluation
// range is longer than EvaluationPeriods, which CloudWatch documents only by examples.
func (d Definition) State(m *Metrics, at time.Time, extra int) (State, error) {
	breaches, err := d.comparison()
	if err != nil {
		return "", err
	}
	if d.Periods < 1 || d.Datapoints > d.Periods {
		return "", fmt.Errorf("%d of %d datapoints", d.Datapoints, d.Periods)
	}
	values, err := d.values(m, d.Periods+extra, at)
	if err != nil {
		return "", err
	}
	// The most recent real values within the range count. If they are fewer than Periods, the
	// rest is treated according to TreatMissingData.
	var recent []bool
	for _, v := range slices.Backward(values) {
		if !math.IsNaN(v) && len(recent) < d.Periods {
			recent = append(recent, breaches(v))
		}
	}
	for len(recent) < d.Periods {
		switch d.Missing {
		case "breaching":
			recent = append(recent, true)
		case "notBreaching":
			recent = append(recent, false)
		default:
			return "", fmt.Errorf("TreatMissingData %q is not supported", d.Missing)
		}
	}
	breaching := 0
	for _, b := range recent {
		if b {
			breaching++
		}
	}
	if breaching >= cmp.Or(d.Datapoints, d.Periods) {
		return Alarm, nil
	}
	return OK, nil
}

func (d Definition) comparison() (func(float64) bool, error) {
	switch d.Comparison {
	case "GreaterThanThreshold":
		return func(v float64) bool { return v > d.Threshold }, nil
	case "GreaterThanOrEqualToThreshold":
		return func(v float64) bool { return v >= d.Threshold }, nil
	case "LessThanThreshold":
		return func(v float64) bool { return v < d.Threshold }, nil
	case "LessThanOrEqualToThreshold":
		return func(v float64) bool { return v <= d.Threshold }, nil
	}
	return nil, fmt.Errorf("ComparisonOperator %q is not supported", d.Comparison)
}

// values returns the values to compare with the threshold, for the n periods before a time.
func (d Definition) values(m *Metrics, n int, at time.Time) (series, error) {
	if len(d.Metrics) == 0 {
		return m.series(d.Metric, d.Statistic, d.Step(), n, at)
	}
	if d.Name != "" {
		return nil, fmt.Errorf("both MetricName %s and Metrics", d.Name)
	}
	known, expression := make(map[string]series), ""
	for _, q := range d.Metrics {
		switch {
		case q.Metric == nil && q.ReturnData && expression == "":
			expression = q.Expression
			continue
		case q.Metric == nil || q.ReturnData:
			return nil, fmt.Errorf("%s: only one expression over metrics is implemented", q.ID)
		case time.Duration(q.Metric.Period)*time.Second != d.Step():
			return nil, fmt.Errorf("%s: another period than that of the others", q.ID)
		}
		values, err := m.series(q.Metric.Metric, q.Metric.Stat, d.Step(), n, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.ID, err)
		}
		known[q.ID] = values
	}
	return calculate(expression, known)
}

// statisticOf returns a statistic of the values of a period, NaN if it has none.
func statisticOf(statistic string, values []float64) (float64, error) {
	if len(values) == 0 {
		return math.NaN(), nil
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch statistic {
	case "Sum":
		return sum, nil
	case "Average":
		return sum / float64(len(values)), nil
	case "Maximum":
		return slices.Max(values), nil
	case "Minimum":
		return slices.Min(values), nil
	case "SampleCount":
		return float64(len(values)), nil
	}
	return 0, fmt.Errorf("statistic %q is not supported", statistic)
}
