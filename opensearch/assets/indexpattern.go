package assets

import (
	"maps"
	"slices"

	"logsluice/indexer/deadletter"
	"logsluice/mapping/schema"
)

// dashboardsField is a field as an index pattern of OpenSearch Dashboards lists it.
type dashboardsField struct {
	Name         string    `json:"name"`
	Type         string    `json:"type"`
	ESTypes      []string  `json:"esTypes,omitempty"`
	Count        int       `json:"count"` // number of uses in Discover
	Scripted     bool      `json:"scripted"`
	Searchable   bool      `json:"searchable"`
	Aggregatable bool      `json:"aggregatable"`
	DocValues    bool      `json:"readFromDocValues"`
	SubType      *subField `json:"subType,omitempty"`
}

// subField marks a field as a multi-field of another one.
type subField struct {
	Multi struct {
		Parent string `json:"parent"`
	} `json:"multi"`
}

// metaFields are the metadata fields of each document.
var metaFields = []dashboardsField{
	{Name: "_id", Type: "string", Searchable: true, Aggregatable: true},
	{Name: "_index", Type: "string", Searchable: true, Aggregatable: true},
	{Name: "_score", Type: "number"},
	{Name: "_source", Type: "_source"},
	{Name: "_type", Type: "string"}, // not in OpenSearch 2
}

// indexPattern returns the index pattern of the documents. It contains the fields,
// although Dashboards could request them, because Dashboards before 3.x does not
// recognize match_only_text, and no version recognizes flat_object.
// See https://docs.opensearch.org/latest/dashboards/management/index-patterns/.
func (d Documents) indexPattern() savedObject {
	properties, _ := d.mappings(schema.LightText, nil)["properties"].(map[string]any)
	object := newIndexPattern(d.Naming.Prefix, d.Naming.Pattern(), properties)
	formats := map[string]any{}
	for _, f := range d.Schema.Fields {
		input, isDuration := inputFormats[f.Unit]
		if !isDuration {
			continue
		}
		params := map[string]any{"outputFormat": "asMilliseconds", "outputPrecision": 1}
		if input != "" {
			params["inputFormat"] = input
		}
		formats[f.Name] = map[string]any{"id": "duration", "params": params}
	}
	if len(formats) > 0 {
		object.Attributes["fieldFormatMap"] = jsonText(formats)
	}
	return object
}

// inputFormats are Dashboards' names for units of durations. It shows them all in
// milliseconds, so milliseconds need no entry. Seconds are its default, which it omits
// when it saves.
var inputFormats = map[schema.Unit]string{schema.Nanoseconds: "nanoseconds", schema.Microseconds: "microseconds", schema.Seconds: ""}

// letterIndexPattern returns the index pattern of the dead letters. A payload can have
// many megabytes, so Dashboards lists letters without it and shows it in a single letter.
func (d Documents) letterIndexPattern() savedObject {
	index := deadletter.Index(d.Naming.Prefix)
	object := newIndexPattern(index, index, deadletter.Properties())
	object.Attributes["sourceFilters"] = jsonText([]any{map[string]any{"value": deadletter.PayloadField}})
	return object
}

func newIndexPattern(id, title string, properties map[string]any) savedObject {
	fields := appendFields(slices.Clone(metaFields), "", properties)
	return newSavedObject(patternType, id, map[string]any{"title": title, "timeFieldName": schema.TimeField, "fields": jsonText(fields)})
}

// appendFields appends the fields of a mapping, in order.
func appendFields(list []dashboardsField, prefix string, properties map[string]any) []dashboardsField {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		if inner, isObject := property["properties"].(map[string]any); isObject {
			list = appendFields(list, prefix+name+".", inner)
			continue
		}
		if property["type"] == "object" { // its fields are added by documents
			continue
		}
		f := newDashboardsField(prefix+name, property)
		list = append(list, f)
		others, _ := property["fields"].(map[string]any)
		for _, sub := range appendFields(nil, f.Name+".", others) {
			sub.SubType = &subField{}
			sub.SubType.Multi.Parent = f.Name
			list = append(list, sub)
		}
	}
	return list
}

func newDashboardsField(name string, property map[string]any) dashboardsField {
	t, _ := property["type"].(string)
	f := dashboardsField{Name: name, Type: "string", ESTypes: []string{t}, Searchable: property["index"] != false}
	kind, isKnown := schema.KindOf(t)
	switch kind {
	case schema.IntegerKind, schema.FloatKind:
		f.Type = "number"
	case schema.BooleanKind, schema.DateKind, schema.IPKind:
		f.Type = t
	}
	switch {
	case schema.IsFullText(t):
		f.Aggregatable = property["fielddata"] == true
	case isKnown:
		f.Aggregatable = property["doc_values"] != false
		f.DocValues = f.Aggregatable
	}
	return f
}
