package schema

import (
	"reflect"
	"testing"
)

func mustParse(t *testing.T, yaml string) *Schema {
	t.Helper()
	s, err := Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInRole(t *testing.T) {
	f := func(role Role, want string, fields string) {
		t.Helper()
		name := ""
		if field := mustParse(t, "fields:\n"+fields).InRole(role); field != nil {
			name = field.Name
		}
		if name != want {
			t.Errorf("%s has the role %s, want %s", name, role, want)
		}
	}
	f(StatusRole, "code", "  - {name: status, type: short, paths: s}\n  - {name: code, type: short, paths: c, role: status}")
	f(StatusRole, "status", "  - {name: http.response.status_code, type: long, paths: s}\n  - {name: status, type: short, paths: s}")
	f(StatusRole, "http.response.status_code", "  - {name: http.response.status_code, type: long, paths: s}\n  - {name: status, type: keyword, paths: s}")
	f(LevelRole, "", "  - {name: code, type: short, paths: c}")
	// A field with an explicit role has no other role.
	f(LevelRole, "", "  - {name: level, type: keyword, paths: l, role: path}")
	f(PathRole, "level", "  - {name: level, type: keyword, paths: l, role: path}")
	f(LatencyRole, "took", "  - {name: took, type: float, unit: ms, paths: t, role: latency}")
	f(MessageRole, "text", "  - {name: text, type: text, paths: t, role: message}")
}

// Schemas from before roles existed are unchanged.
func TestBuiltInNames(t *testing.T) {
	want := map[Role][]string{
		GroupRole:   {"log_group", "aws.cloudwatch.log_group"},
		LevelRole:   {"level", "log.level"},
		MessageRole: {"msg", "log.message"},
		ErrorRole:   {"error.message"},
		PathRole:    {"path", "url.path"},
		StatusRole:  {"status", "http.response.status_code"},
		LatencyRole: {"duration_ms", "event.duration"},
	}
	if got := builtInNames(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(want) != len(allRoles) {
		t.Errorf("got %d roles", len(allRoles))
	}
}

// Setting a role does not change the index template.
func TestHashOfRoles(t *testing.T) {
	const without = "fields:\n  - {name: a, type: keyword, paths: a}\n  - name: s\n    type: short\n    paths: s\n"
	hash := mustParse(t, without).Hash
	for _, with := range []string{
		"fields:\n  - {name: a, type: keyword, paths: a, role: log_group}\n  - name: s\n    type: short\n    paths: s\n",
		"fields:\n  - {name: a, type: keyword, role: level, paths: a}\n  - name: s\n    type: short\n    role: status\n    paths: s\n",
	} {
		if got := mustParse(t, with).Hash; got != hash {
			t.Errorf("%s\nhas the hash %s, want %s", with, got, hash)
		}
	}
	if mustParse(t, without+"version: 2\n").Hash == hash {
		t.Error("another schema has the same hash")
	}
}
