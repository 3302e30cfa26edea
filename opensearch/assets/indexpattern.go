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
	Count        int       `json:"count"` // of its uses in Discover
	Scripted     bool      `json:"scripted"`
	Searchable   bool      `json:"searchable"`
	Aggregatable bool      `json:"aggregatable"`
	DocValues    bool      `json:"readFromDocValues"`
	SubType      *subField `json:"subType,omitempty"`
}

// subField marks another form of a field.
type subField struct {
	Multi struct {
		Parent string `json:"parent"`
	} `json:"multi"`
}

// metaFields are what each document has beside its own.
var metaFields = []dashboardsField{
	{Name: "_id", Type: "string", Searchable: true, Aggregatable: true},
	{Name: "_index", Type: "string", Searchable: true, Aggregatable: true},
	{Name: "_score", Type: "number"},
	{Name: "_source", Type: "_source"},
	{Name: "_type", Type: "string"}, // OpenSearch 2 has none
}

// indexPattern is that of the documents. It lists the fields: Dashboards would ask for
// them itself, but before 3.x it does not know match_only_text, and never flat_object.
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

// inputFormats are what Dashboards calls the units of durations. It shows all of them in
// milliseconds: nobody reads nanoseconds at night. Those are shown as they are. Seconds
// are its default, which it leaves out when it saves.
var inputFormats = map[schema.Unit]string{schema.Nanoseconds: "nanoseconds", schema.Microseconds: "microseconds", schema.Seconds: ""}

// letterIndexPattern is that of the dead letters. What a letter holds may be of many
// megabytes: Dashboards lists letters without it, and shows it with a single one.
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
		if property["type"] == "object" { // its fields come with the documents
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
