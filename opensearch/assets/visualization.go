package assets

import (
	"strconv"

	"logsluice/mapping/schema"
)

// agg is an aggregation of a visualization.
type agg struct {
	ID      string         `json:"id"`
	Enabled bool           `json:"enabled"`
	Type    string         `json:"type"`
	Schema  string         `json:"schema"` // its role in the visualization
	Params  map[string]any `json:"params"`
}

// documents counts documents.
func documents() agg { return agg{Type: "count", Schema: "metric", Params: map[string]any{}} }

// newest aggregates the time of the newest document.
func newest() agg {
	return agg{Type: "max", Schema: "metric", Params: map[string]any{"field": schema.TimeField, "customLabel": "latest"}}
}

func percentiles(field, label string, percents ...int) agg {
	return agg{Type: "percentiles", Schema: "metric", Params: map[string]any{"field": field, "percents": percents, "customLabel": label}}
}

// overTime divides the selected time range into as many bars as suit it. It comes last in a
// chart: the series are then the largest of the whole range instead of each bar.
func overTime() agg {
	return agg{Type: "date_histogram", Schema: "segment", Params: map[string]any{
		"field": schema.TimeField, "interval": "auto", "useNormalizedOpenSearchInterval": true, "scaleMetricValues": false,
		"drop_partials": false, "min_doc_count": 1, "extended_bounds": map[string]any{},
	}}
}

// terms aggregates by the most frequent values of a field. missing, unless empty, is the
// label of documents without the field.
func terms(place, field, label, missing string, size int) agg {
	params := map[string]any{
		"field": field, "size": size, "order": "desc", "orderBy": "1", "customLabel": label,
		"otherBucket": false, "otherBucketLabel": "Other", "missingBucket": missing != "", "missingBucketLabel": missing,
	}
	return agg{Type: "terms", Schema: place, Params: params}
}

// filters aggregates by queries in Lucene syntax.
func filters(named ...[2]string) agg {
	list := []any{}
	for _, f := range named {
		list = append(list, map[string]any{"label": f[0], "input": map[string]any{"query": f[1], "language": "lucene"}})
	}
	return agg{Type: "filters", Schema: "group", Params: map[string]any{"filters": list}}
}

// withIDs sets the ids of aggregations. The first, by which terms are ordered, has id 1.
func withIDs(aggs []agg) []agg {
	for i := range aggs {
		aggs[i].ID, aggs[i].Enabled = strconv.Itoa(i+1), true
	}
	return aggs
}

// chart returns the parameters for drawing a metric over time: as a histogram with
// stacked bars, or as a line.
func chart(kind, axis string) map[string]any {
	mode := "normal"
	if kind == "histogram" {
		mode = "stacked"
	}
	return map[string]any{
		"type": kind,
		"grid": map[string]any{"categoryLines": false},
		"categoryAxes": []any{map[string]any{
			"id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": true, "style": map[string]any{},
			"scale": map[string]any{"type": "linear"}, "labels": map[string]any{"show": true, "filter": true, "truncate": 100},
			"title": map[string]any{},
		}},
		"valueAxes": []any{map[string]any{
			"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": true, "style": map[string]any{},
			"scale": map[string]any{"type": "linear", "mode": "normal"}, "labels": map[string]any{"show": true, "rotate": 0, "filter": false, "truncate": 100},
			"title": map[string]any{"text": axis},
		}},
		"seriesParams": []any{map[string]any{
			"show": true, "type": kind, "mode": mode, "data": map[string]any{"label": axis, "id": "1"}, "valueAxis": "ValueAxis-1",
			"drawLinesBetweenPoints": true, "lineWidth": 2, "interpolate": "linear", "showCircles": true,
		}},
		"addTooltip": true, "addLegend": true, "legendPosition": "right", "times": []any{}, "addTimeMarker": false,
		"labels":        map[string]any{"show": false},
		"thresholdLine": map[string]any{"show": false, "value": 10, "width": 1, "style": "full", "color": red},
	}
}

// table returns the parameters of a table with a row for each combination of values.
func table() map[string]any {
	return map[string]any{"perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false, "totalFunc": "sum", "percentageCol": ""}
}
