package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// ecs has the fields of default under other names, with the same paths.
func TestBuiltInsLookForTheSame(t *testing.T) {
	t.Parallel()
	lists := func(name string) (all []string) {
		for _, f := range mustBuiltIn(t, name).Fields {
			list := string(f.Origin)
			for _, p := range f.Paths {
				list += fmt.Sprintf(" %s (%d)", p.Name, p.Unit)
			}
			all = append(all, list)
		}
		slices.Sort(all)
		return all
	}
	usual, elastic := lists("default"), lists("ecs")
	for _, list := range usual {
		if !slices.Contains(elastic, list) {
			t.Errorf("ecs has no field with the paths of a field of default: %s", list)
		}
	}
	if len(usual) != len(elastic) {
		t.Errorf("default has %d fields, ecs %d", len(usual), len(elastic))
	}
}

// A built-in schema whose index template changes has another version: workers of an earlier
// version leave the index template of a later one, and would otherwise set it back while they
// are replaced.
func TestBuiltInVersions(t *testing.T) {
	t.Parallel()
	for name, pinned := range map[string]string{
		"default": "1 7c92b5b790dfe0dc",
		"plain":   "1 90b77edb03ca1ed8",
		"ecs":     "1 909c20c8de5afd02",
	} {
		s := mustBuiltIn(t, name)
		var mapping strings.Builder
		for _, f := range s.Fields {
			fmt.Fprintln(&mapping, f.Name, f.Type, f.Options, f.Limit)
		}
		fmt.Fprintln(&mapping, s.Message, s.Rest, s.RestFields)
		sum := sha256.Sum256([]byte(mapping.String()))
		if got := fmt.Sprint(s.Version, " ", hex.EncodeToString(sum[:8])); got != pinned {
			t.Errorf("%s: the fields in the index template changed: raise version in schemas/%s.yaml if it is that of %q, and pin %q here", name, name, pinned, got)
		}
	}
}
