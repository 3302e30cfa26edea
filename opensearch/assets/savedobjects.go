package assets

import (
	"encoding/json"
	"fmt"
)

// Saved objects for OpenSearch Dashboards, as its import accepts them.

// The types of saved objects, as Dashboards calls them.
const (
	patternType   = "index-pattern"
	searchType    = "search"
	visualType    = "visualization"
	dashboardType = "dashboard"
)

// migrations are the newest forms of each type that Dashboards knows, since 1.0 and
// to this day: it brings objects of older ones up to date, and refuses newer ones.
// See https://github.com/opensearch-project/OpenSearch-Dashboards,
// src/plugins/{data,discover,visualizations,dashboard}/server/saved_objects/*_migrations.ts.
var migrations = map[string]string{patternType: "7.6.0", searchType: "7.9.3", visualType: "7.10.0", dashboardType: "7.9.3"}

// savedObject is one of OpenSearch Dashboards', as a line of an export has it.
type savedObject struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Attributes map[string]any    `json:"attributes"`
	References []reference       `json:"references"`
	Migration  map[string]string `json:"migrationVersion"`
}

// reference is what an object names another by.
type reference struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

func newSavedObject(kind, id string, attributes map[string]any, references ...reference) savedObject {
	return savedObject{
		Type: kind, ID: id, Attributes: attributes,
		References: append([]reference{}, references...), // never null
		Migration:  map[string]string{kind: migrations[kind]},
	}
}

// SavedObjects returns what OpenSearch Dashboards is to have for the documents: index
// patterns, searches and dashboards over them and over the dead letters, each saved
// object as a line of JSON, in an order in which what is referred to comes first.
// Their ids begin with the prefix: an import overwrites those of before, and leaves
// those of another prefix alone. What the schema has no field for is left out.
// See https://docs.opensearch.org/latest/dashboards/management/saved-objects/.
func (d Documents) SavedObjects() ([][]byte, error) {
	lines := [][]byte{}
	for _, object := range append(d.operations(), d.deadLetters()...) {
		line, err := json.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("write the saved object %s: %w", object.ID, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// jsonText is JSON within JSON, as Dashboards keeps much of an object.
func jsonText(v any) string {
	text, _ := json.Marshal(v) // texts, numbers and truths always marshal
	return string(text)
}
