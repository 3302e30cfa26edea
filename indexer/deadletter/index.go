package deadletter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"logsluice/opensearch"
)

// The dead-letter index: its name, its fields and its template.

// Index returns the name of the dead-letter index for a prefix. Its index template has
// the same name.
func Index(prefix string) string { return prefix + "-dead-letter" }

// Names of the fields by which letters are searched and shown.
const (
	TimeField         = "@timestamp"
	StageField        = "stage"
	TypeField         = "error.type"
	ReasonField       = "error.reason"
	TargetIndexField  = "target_index"
	LogGroupField     = "log_group"
	PayloadBytesField = "payload_bytes"
	PayloadField      = "payload"
)

// Properties returns the fields of Letter for the mapping of the index.
func Properties() map[string]any { return propertiesOf(reflect.TypeFor[Letter]()) }

func propertiesOf(object reflect.Type) map[string]any {
	const maxKeyword = 1024 // longer keywords are not indexed, in characters
	properties := map[string]any{}
	for i := range object.NumField() {
		member := object.Field(i)
		name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
		switch kind := member.Tag.Get("index"); kind {
		case "":
			properties[name] = map[string]any{"properties": propertiesOf(member.Type)}
		case "-":
			properties[name] = map[string]any{"type": "keyword", "index": false, "doc_values": false}
		case "keyword":
			properties[name] = map[string]any{"type": kind, "ignore_above": maxKeyword}
		default:
			properties[name] = map[string]any{"type": kind}
		}
	}
	return properties
}

// priority of the index template. It is above that of any prefix's template.
const priority = 1000

// Template returns the index template of the dead-letter index for a prefix.
func Template(prefix string) (opensearch.Template, error) {
	body, err := json.Marshal(map[string]any{
		"index_patterns": []string{Index(prefix)},
		"priority":       priority,
		"template": map[string]any{
			"settings": map[string]any{"index": map[string]any{
				"number_of_shards": "1",
				"refresh_interval": "1s",
				"codec":            "best_compression",
			}},
			"mappings": map[string]any{"dynamic": "false", "properties": Properties()},
		},
	})
	if err != nil {
		err = fmt.Errorf("write the index template of dead letters: %w", err)
	}
	return opensearch.Template{Name: Index(prefix), Bodies: [][]byte{body}}, err
}
