package assets

import (
	"strings"
	"testing"

	"logsluice/mapping/schema"
)

// The table for people has exactly one row for each field of the mapping.
func TestTable(t *testing.T) {
	for _, rest := range []string{"none", "flat_object", "dynamic"} {
		s, err := schema.Parse([]byte("rest: " + rest + "\nfields: {name: a.b, type: short, paths: c}"))
		if err != nil {
			t.Fatal(err)
		}
		types := map[string]string{}
		collectTypes(types, "", Documents{Naming: schema.Naming{Prefix: "app"}, Schema: s}.mappings(schema.LightText, nil)["properties"].(map[string]any))
		rows := strings.Split(strings.TrimSpace(s.Table()), "\n")[2:]
		if len(rows) != len(types) {
			t.Errorf("%s: %d rows for %v", rest, len(rows), types)
		}
		for name, kind := range types {
			if !strings.Contains(s.Table(), "| `"+name+"` | `"+kind+"` | ") {
				t.Errorf("%s: no row for %s %s in\n%s", rest, name, kind, s.Table())
			}
		}
	}
}

func collectTypes(types map[string]string, prefix string, properties map[string]any) {
	for name, property := range properties {
		p := property.(map[string]any)
		if inner, ok := p["properties"].(map[string]any); ok {
			collectTypes(types, prefix+name+".", inner)
		} else {
			types[prefix+name] = p["type"].(string)
		}
	}
}
