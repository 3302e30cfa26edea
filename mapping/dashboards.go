package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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

// IndexPattern returns the index pattern of the documents, a saved object of
// OpenSearch Dashboards, as a line of JSON. It lists the fields: Dashboards would
// ask for them itself, but before 3.x it does not know match_only_text, and never
// flat_object.
// See https://docs.opensearch.org/latest/dashboards/management/index-patterns/.
func (m *Mapper) IndexPattern() ([]byte, error) {
	properties, _ := m.mappings(lightText, nil)["properties"].(map[string]any)
	fields, err := json.Marshal(appendFields(slices.Clone(metaFields), "", properties))
	if err != nil {
		return nil, fmt.Errorf("write the fields of the index pattern: %w", err)
	}
	object, err := json.Marshal(map[string]any{
		"type":       "index-pattern",
		"id":         m.naming.prefix,
		"attributes": map[string]string{"title": m.naming.pattern(), "timeFieldName": timeField, "fields": string(fields)},
		"references": []any{},
		// The newest that Dashboards has for the type.
		"migrationVersion": map[string]string{"index-pattern": "7.6.0"},
	})
	if err != nil {
		return nil, fmt.Errorf("write the index pattern: %w", err)
	}
	return object, nil
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
	known, isKnown := types[t]
	switch known.kind {
	case ofInteger, ofFloat:
		f.Type = "number"
	case ofBoolean, ofDate, ofIP:
		f.Type = t
	}
	switch {
	case isFullText(t):
		f.Aggregatable = property["fielddata"] == true
	case isKnown:
		f.Aggregatable = property["doc_values"] != false
		f.DocValues = f.Aggregatable
	}
	return f
}
