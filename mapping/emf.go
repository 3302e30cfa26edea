package mapping

import (
	"logsluice/mapping/schema"
)

// metricUnits are units of time in the CloudWatch embedded metric format.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html.
var metricUnits = map[string]schema.Unit{"Seconds": schema.Seconds, "Milliseconds": schema.Milliseconds, "Microseconds": schema.Microseconds}

// metricUnit returns the unit that the line states for a metric, or schema.Auto if it states
// none. Any object with Name and Unit counts, as those of CloudWatchMetrics[].Metrics[] do.
func (x *extractor) metricUnit(name string) schema.Unit {
	l := line{text: x.line.text, at: x.metrics}
	end := l
	if x.metrics == 0 || !end.skipNested() {
		return schema.Auto
	}
	l.text = l.text[:end.at]
	var key, current, unit []byte
	isKey := true
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case l.acceptQuote():
			text, ok := l.readString()
			switch {
			case !ok:
				return schema.Auto
			case isKey:
				key = text
			case string(key) == "Name":
				current = text
			case string(key) == "Unit":
				unit = text
			}
			continue
		case c == ':':
			isKey = false
		case c == '{':
			isKey, current, unit = true, nil, nil
		case c == ',':
			isKey = true
		case c == '}':
			if u, known := metricUnits[string(unit)]; known && string(current) == name {
				return u
			}
			current, unit = nil, nil
		}
		l.at++
	}
	return schema.Auto
}
