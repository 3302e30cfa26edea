package telemetry

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
)

// EMF turns a log line into a document in CloudWatch's embedded metric format. CloudWatch Logs
// extracts the metrics, so no API call is needed. All processes of an application share one
// dimension, "application", because each combination of dimensions is a separate metric with
// its own price.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
type EMF struct {
	// Namespace of the metrics.
	Namespace string
	// Application is the value of the dimension.
	Application string
}

var namespace = regexp.MustCompile(`^[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}$`)

// CheckNamespace returns an error if name is not a valid namespace of custom metrics.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html.
func CheckNamespace(name string) error {
	switch {
	case !namespace.MatchString(name):
		return errors.New("is not a namespace: use 1 to 255 letters, digits and . - _ / # : and do not begin with a colon")
	case strings.HasPrefix(name, "AWS/"):
		return errors.New("is reserved, as are all that begin with AWS/: use one such as logsluice")
	}
	return nil
}

type emfMetadata struct {
	Timestamp int64          `json:"Timestamp"` // in milliseconds
	Metrics   []emfDirective `json:"CloudWatchMetrics"`
}

type emfDirective struct {
	Namespace  string      `json:"Namespace"`
	Dimensions [][]string  `json:"Dimensions"`
	Metrics    []emfMetric `json:"Metrics"`
}

type emfMetric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

const dimension = "application"

// event begins a line whose values become metrics with the timestamp at.
func (e *EMF) event(log zerolog.Logger, at time.Time, values []value) *zerolog.Event {
	directive := emfDirective{Namespace: e.Namespace, Dimensions: [][]string{{dimension}}}
	for _, v := range values {
		if v.missing {
			continue
		}
		directive.Metrics = append(directive.Metrics, emfMetric{v.name, unit(v.name)})
	}
	return info(log).Str(dimension, e.Application).Any("_aws", emfMetadata{at.UnixMilli(), []emfDirective{directive}})
}

// info begins a line with level info that is logged even if the logger's level is higher,
// because metrics must not depend on the level.
func info(log zerolog.Logger) *zerolog.Event {
	return log.Log().Str(zerolog.LevelFieldName, zerolog.LevelInfoValue)
}

// unit returns CloudWatch's unit for a metric, from the suffix of its name.
func unit(name string) string {
	switch name = strings.TrimSuffix(strings.TrimSuffix(name, "_p50"), "_p99"); {
	case strings.HasSuffix(name, "_seconds"):
		return "Seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "Bytes"
	}
	return "Count"
}

// details logs a line for each labelled value of a gauge, such as the lag of a shard. The lines
// are for Logs Insights: a metric for each would cost a hundred times as much as the line.
func (*EMF) details(log zerolog.Logger, prefix string, families []*dto.MetricFamily) {
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), prefix)
		if !ours || family.GetType() != dto.MetricType_GAUGE {
			continue
		}
		for _, m := range family.GetMetric() {
			if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() != "" }) {
				continue
			}
			event := info(log)
			for _, label := range m.GetLabel() {
				event = event.Str(label.GetName(), label.GetValue())
			}
			event.Float64(name, m.GetGauge().GetValue()).Msg(strings.TrimSuffix(name, "_seconds"))
		}
	}
}
