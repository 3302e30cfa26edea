package assets

import (
	"encoding/json"
	"fmt"
)

// Saved objects in the format that OpenSearch Dashboards imports.

// The types of saved objects in Dashboards.
const (
	patternType   = "index-pattern"
	searchType    = "search"
	visualType    = "visualization"
	dashboardType = "dashboard"
)

// migrations are the latest format versions of each type, unchanged since Dashboards 1.0.
// Dashboards migrates objects with earlier versions and refuses later ones.
// See https://github.com/opensearch-project/OpenSearch-Dashboards,
// src/plugins/{data,discover,visualizations,dashboard}/server/saved_objects/*_migrations.ts.
var migrations = map[string]string{patternType: "7.6.0", searchType: "7.9.3", visualType: "7.10.0", dashboardType: "7.9.3"}

// savedObject is a saved object of OpenSearch Dashboards, in the format of an export.
type savedObject struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Attributes map[string]any    `json:"attributes"`
	References []reference       `json:"references"`
	Migration  map[string]string `json:"migrationVersion"`
}

// reference is a reference to another object.
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

// SavedObjects returns the saved objects of OpenSearch Dashboards for the documents:
// index patterns, searches and dashboards for them and for the dead letters. Each is a
// line of JSON, and objects follow those that they refer to. Their ids begin with the
// prefix: an import replaces earlier ones and does not affect other prefixes. Objects for
// fields that the schema does not have are omitted.
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

// jsonText returns JSON for a string within JSON, a format that Dashboards often uses.
func jsonText(v any) string {
	text, _ := json.Marshal(v) // strings, numbers and booleans always marshal
	return string(text)
}
