package assets

import (
	"strconv"
	"strings"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
)

// board is a dashboard under construction, with all its objects.
type board struct {
	prefix   string
	pattern  savedObject
	excluded string // an index that its searches exclude
	objects  []savedObject
	panels   []panel
}

// panel is a place on a dashboard.
type panel struct {
	kind, id string
	wide     bool
	colors   map[string]string
}

// Colors from good (green) to bad (red).
const (
	green    = "#54B399"
	blue     = "#6092C0"
	grey     = "#98A2B3"
	paleGrey = "#D3DAE6"
	yellow   = "#D6BF57"
	red      = "#E7664C"
	darkRed  = "#AA2B1D"
)

// noLevel is the label of lines without a level.
const noLevel = "no level"

var levelColors = map[string]string{noLevel: paleGrey, "trace": paleGrey, "debug": grey, "info": blue, "warn": yellow, "error": red, "fatal": darkRed}

// operations returns the dashboard of the log lines, for the person on call: volume,
// severity, latency, sources, and the latest errors.
func (d Documents) operations() []savedObject {
	b := &board{prefix: d.Naming.Prefix, pattern: d.indexPattern()}
	if !d.Naming.DataStream { // otherwise the pattern is the data stream and matches only that
		b.excluded = deadletter.Index(d.Naming.Prefix)
	}
	group, level, text := d.Schema.InRole(schema.GroupRole), d.Schema.InRole(schema.LevelRole), d.Schema.InRole(schema.MessageRole)
	path, status, latency := d.Schema.InRole(schema.PathRole), d.Schema.InRole(schema.StatusRole), d.Schema.InRole(schema.LatencyRole)
	if level != nil {
		b.chart("lines-by-level", "Lines by level", "histogram", "lines", levelColors,
			documents(), terms("group", level.Name, "level", noLevel, 10), overTime())
	}
	if group != nil {
		b.chart("lines-by-group", "Lines by log group, the 10 largest", "histogram", "lines", nil,
			documents(), terms("group", group.Name, "log group", "", 10), overTime())
	}
	if status != nil {
		class := func(first string) [2]string {
			return [2]string{first + "xx", status.Name + ":[" + first + "00 TO " + first + "99]"}
		}
		b.chart("requests-by-status", "Requests by class of status", "histogram", "requests", map[string]string{"2xx": green, "3xx": blue, "4xx": yellow, "5xx": red},
			documents(), filters(class("2"), class("3"), class("4"), class("5")), overTime())
	}
	if latency != nil {
		b.chart("latency", "Latency: median, 95th and 99th percentile", "line", inMilliseconds(latency), nil,
			percentiles(latency.Name, inMilliseconds(latency), 50, 95, 99), overTime())
	}
	if path != nil {
		aggs := []agg{documents(), terms("bucket", path.Name, "path", "", 50)}
		if latency != nil {
			aggs = append(aggs, percentiles(latency.Name, inMilliseconds(latency), 50, 95))
		}
		b.table("top-paths", "Paths with the most requests", "", aggs...)
	}
	if path != nil && status != nil {
		b.table("failing-paths", "Paths that fail (5xx)", serverErrorQuery(status),
			documents(), terms("bucket", path.Name, "path", "", 20), terms("bucket", status.Name, "status", "", 5))
	}
	b.search("lines", "Lines", "", fieldNames(level, text), []string{schema.MessageField}, fieldNames(group))
	last := "lines"
	if wrong := errorQuery(level, status); wrong != "" {
		message := fieldNames(text)
		if text == nil {
			message = []string{schema.MessageField}
		}
		b.search("errors", "Errors", wrong, fieldNames(level, status, path), message, fieldNames(d.Schema.InRole(schema.ErrorRole), group))
		last = "errors"
	}
	b.embed(last)
	return b.dashboard("operations", "Operations", "now-1h")
}

// deadLetters returns the dashboard of what could not be indexed.
func (d Documents) deadLetters() []savedObject {
	b := &board{prefix: d.Naming.Prefix, pattern: d.letterIndexPattern()}
	b.chart("dead-letters-by-reason", "Dead letters by stage and type of error", "histogram", "dead letters", nil,
		documents(), terms("group", deadletter.StageField, "stage", "", 5), terms("group", deadletter.TypeField, "error", "", 10), overTime())
	b.table("dead-letter-reasons", "Why, and where from", "",
		documents(), terms("bucket", deadletter.StageField, "stage", "", 5), terms("bucket", deadletter.TypeField, "error", "", 10), terms("bucket", deadletter.LogGroupField, "log group", "unknown", 10), newest())
	b.search("dead-letters", "Dead letters", "", []string{
		deadletter.StageField, deadletter.TypeField, deadletter.ReasonField, deadletter.LogGroupField, deadletter.TargetIndexField, deadletter.PayloadBytesField,
	})
	b.embed("dead-letters")
	return b.dashboard("dead-letters", "Dead letters", "now-7d")
}

// errorQuery returns a query for lines that show a failure, or "" if the schema has no
// fields for it.
func errorQuery(level, status *schema.Field) string {
	var signs []string
	if level != nil {
		signs = append(signs, level.Name+":(error OR fatal)")
	}
	if status != nil {
		signs = append(signs, serverErrorQuery(status))
	}
	return strings.Join(signs, " OR ")
}

// serverErrorQuery returns a query for statuses of server errors.
func serverErrorQuery(f *schema.Field) string { return f.Name + ":[500 TO *]" }

// inMilliseconds returns the label for the values of a duration. Dashboards shows them in
// milliseconds if their unit is known.
func inMilliseconds(f *schema.Field) string {
	if f.Unit == schema.NoUnit {
		return "latency"
	}
	return "latency, ms"
}

// fieldNames returns the names of the fields that are not nil.
func fieldNames(fields ...*schema.Field) (names []string) {
	for _, f := range fields {
		if f != nil {
			names = append(names, f.Name)
		}
	}
	return names
}

func (b *board) id(name string) string { return b.prefix + "-" + name }

// title adds the prefix to a title, so that titles of different prefixes differ.
func (b *board) title(text string) string { return "[" + b.prefix + "] " + text }

// add adds an object that uses the index pattern with a query in Lucene syntax. Objects
// without a query use Dashboards' own language, which offers completion.
func (b *board) add(kind, name, title, query string, attributes, source map[string]any) {
	const place = "kibanaSavedObjectMeta.searchSourceJSON."
	source["query"] = map[string]any{"query": query, "language": language(query)}
	source["indexRefName"] = place + "index"
	references := []reference{{place + "index", patternType, b.pattern.ID}}
	filterList := []any{}
	if b.excluded != "" {
		at := place + "filter[0].meta.index"
		references = append(references, reference{at, patternType, b.pattern.ID})
		filterList = append(filterList, map[string]any{
			"$state": map[string]any{"store": "appState"},
			"meta": map[string]any{
				"alias": "no dead letters", "disabled": false, "negate": true, "type": "phrase", "key": "_index",
				"params": map[string]any{"query": b.excluded}, "indexRefName": at,
			},
			"query": map[string]any{"match_phrase": map[string]any{"_index": b.excluded}},
		})
	}
	source["filter"] = filterList
	attributes["title"], attributes["description"], attributes["version"] = b.title(title), "", 1
	attributes["kibanaSavedObjectMeta"] = map[string]any{"searchSourceJSON": jsonText(source)}
	b.objects = append(b.objects, newSavedObject(kind, b.id(name), attributes, references...))
}

func language(query string) string {
	if query == "" {
		return "kuery"
	}
	return "lucene"
}

// visualize adds a visualization and a panel with it.
func (b *board) visualize(name, title, kind, query string, params map[string]any, colors map[string]string, aggs []agg) {
	state := map[string]any{"title": b.title(title), "type": kind, "params": params, "aggs": withIDs(aggs)}
	b.add(visualType, name, title, query, map[string]any{"visState": jsonText(state), "uiStateJSON": jsonText(colorState(colors))}, map[string]any{})
	b.panels = append(b.panels, panel{kind: visualType, id: b.id(name), colors: colors})
}

func (b *board) chart(name, title, kind, axis string, colors map[string]string, aggs ...agg) {
	b.visualize(name, title, kind, "", chart(kind, axis), colors, aggs)
}

func (b *board) table(name, title, query string, aggs ...agg) {
	b.visualize(name, title, "table", query, table(), nil, aggs)
}

// search adds a search for Discover, newest first. Dashboards adds the time as the first
// column.
func (b *board) search(name, title, query string, columns ...[]string) {
	all := []string{}
	for _, some := range columns {
		all = append(all, some...)
	}
	attributes := map[string]any{"columns": all, "sort": [][]string{{schema.TimeField, "desc"}}, "hits": 0}
	b.add(searchType, name, title, query, attributes, map[string]any{"highlightAll": true, "version": true})
}

// embed adds a panel with a search.
func (b *board) embed(name string) {
	b.panels = append(b.panels, panel{kind: searchType, id: b.id(name), wide: true})
}

// colorState returns the state of a visualization or a panel whose series have colors. A
// panel needs its own state: within a dashboard the visualization's is ignored.
func colorState(colors map[string]string) map[string]any {
	if colors == nil {
		return map[string]any{}
	}
	return map[string]any{"vis": map[string]any{"colors": colors}}
}

// dashboard returns the index pattern, the objects that use it, and the dashboard that
// shows them: two panels side by side on a grid of 48 columns, and wide ones below each
// other.
func (b *board) dashboard(name, title, from string) []savedObject {
	const columns, low, high = 48, 12, 24
	var references []reference
	panels := []any{}
	x, y := 0, 0
	for i, p := range b.panels {
		w, h := columns/2, low
		if p.wide {
			h = high
		}
		if p.wide || x == 0 && (i+1 == len(b.panels) || b.panels[i+1].wide) {
			w = columns
		}
		number := strconv.Itoa(i)
		panels = append(panels, map[string]any{
			"panelIndex": number, "panelRefName": "panel_" + number, "embeddableConfig": colorState(p.colors),
			"gridData": map[string]any{"i": number, "x": x, "y": y, "w": w, "h": h},
			"version":  "7.10.0", // version of the panel's format: Dashboards migrates those before 7.3
		})
		references = append(references, reference{"panel_" + number, p.kind, p.id})
		if x += w; x == columns {
			x, y = 0, y+h
		}
	}
	object := newSavedObject(dashboardType, b.id(name), map[string]any{
		"title": b.title(title), "description": "", "version": 1, "hits": 0,
		"panelsJSON":  jsonText(panels),
		"optionsJSON": jsonText(map[string]any{"hidePanelTitles": false, "useMargins": true}),
		"timeRestore": true, "timeFrom": from, "timeTo": "now",
		"refreshInterval":       map[string]any{"pause": true, "value": 60_000}, // milliseconds, when refreshing is switched on
		"kibanaSavedObjectMeta": map[string]any{"searchSourceJSON": jsonText(map[string]any{"query": map[string]any{"query": "", "language": language("")}, "filter": []any{}})},
	}, references...)
	return append(append([]savedObject{b.pattern}, b.objects...), object)
}
