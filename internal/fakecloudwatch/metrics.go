package fakecloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Metric identifies a metric. The same name with other dimensions, or with more or fewer of
// them, is another metric.
type Metric struct {
	Namespace  string      `yaml:"Namespace"`
	Name       string      `yaml:"MetricName"`
	Dimensions []Dimension `yaml:"Dimensions"`
}

// Dimension is one dimension of a metric.
type Dimension struct {
	Name  string `yaml:"Name"`
	Value string `yaml:"Value"`
}

// String returns NAMESPACE NAME {DIMENSIONS}, with sorted dimensions.
func (m Metric) String() string {
	parts := make([]string, len(m.Dimensions))
	for i, d := range m.Dimensions {
		parts[i] = d.Name + "=" + d.Value
	}
	slices.Sort(parts)
	return m.Namespace + " " + m.Name + " {" + strings.Join(parts, ", ") + "}"
}

// Metrics holds the values of metrics. The zero value is empty. It is safe for
// concurrent use.
type Metrics struct {
	mu     sync.Mutex
	values map[string]map[time.Time][]float64 // by key and minute
}

// resolution is the resolution of standard metrics.
const resolution = time.Minute

// Put adds a value of a metric at a time.
func (m *Metrics) Put(metric Metric, at time.Time, value float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := metric.String()
	if m.values == nil {
		m.values = make(map[string]map[time.Time][]float64)
	}
	if m.values[key] == nil {
		m.values[key] = make(map[time.Time][]float64)
	}
	minute := at.UTC().Truncate(resolution)
	m.values[key][minute] = append(m.values[key][minute], value)
}

// Names returns the metrics that have values, as Metric.String does.
func (m *Metrics) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.values))
}

// units are the units that CloudWatch accepts.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html.
var units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits
	Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second
	Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)

// Limits of a document in the embedded metric format.
const (
	maxMetrics    = 100
	maxDimensions = 30
)

// Log extracts the metrics from a log line. A line that is not a document in the embedded
// metric format has none. Log fails for a document from which CloudWatch would not extract
// metrics.
func (m *Metrics) Log(line []byte) error {
	var document struct {
		Metadata *struct {
			Timestamp  int64
			Directives []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			} `json:"CloudWatchMetrics"`
		} `json:"_aws"`
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &document); err != nil {
		return fmt.Errorf("%w: %s", err, line)
	}
	if document.Metadata == nil {
		return nil
	}
	if err := json.Unmarshal(line, &members); err != nil {
		return err
	}
	if document.Metadata.Timestamp <= 0 || len(document.Metadata.Directives) == 0 {
		return errors.New("a document without Timestamp or CloudWatchMetrics")
	}
	at := time.UnixMilli(document.Metadata.Timestamp)
	for _, d := range document.Metadata.Directives {
		if d.Namespace == "" || len(d.Dimensions) == 0 || len(d.Metrics) > maxMetrics {
			return fmt.Errorf("namespace %q, %d dimension sets, %d metrics", d.Namespace, len(d.Dimensions), len(d.Metrics))
		}
		for _, names := range d.Dimensions {
			dimensions, err := dimensionsOf(members, names)
			if err != nil {
				return err
			}
			for _, metric := range d.Metrics {
				var value float64
				if err := json.Unmarshal(members[metric.Name], &value); err != nil {
					return fmt.Errorf("metric %s: %w", metric.Name, err)
				}
				if metric.Unit != "" && !slices.Contains(units, metric.Unit) {
					return fmt.Errorf("metric %s: unit %q", metric.Name, metric.Unit)
				}
				m.Put(Metric{d.Namespace, metric.Name, dimensions}, at, value)
			}
		}
	}
	return nil
}

func dimensionsOf(members map[string]json.RawMessage, names []string) (all []Dimension, err error) {
	if len(names) > maxDimensions {
		return nil, fmt.Errorf("%d dimensions", len(names))
	}
	for _, name := range names {
		var value string
		if err := json.Unmarshal(members[name], &value); err != nil || value == "" {
			return nil, fmt.Errorf("dimension %s: %q, %w", name, value, err)
		}
		all = append(all, Dimension{name, value})
	}
	return all, nil
}

// series has a value for each period, NaN where there is no value.
type series []float64

// series returns a statistic of a metric in the n periods before a time.
func (m *Metrics) series(metric Metric, statistic string, period time.Duration, n int, end time.Time) (series, error) {
	if period < resolution || period%resolution != 0 {
		return nil, fmt.Errorf("period %s", period)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	minutes := m.values[metric.String()]
	all := make(series, n)
	for i := range all {
		begin := end.Add(-time.Duration(n-i) * period)
		var values []float64
		for at := begin; at.Before(begin.Add(period)); at = at.Add(resolution) {
			values = append(values, minutes[at.UTC()]...)
		}
		value, err := statisticOf(statistic, values)
		if err != nil {
			return nil, err
		}
		all[i] = value
	}
	return all, nil
}
