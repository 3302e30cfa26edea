package schema

import (
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Role is what a field is to the dashboards.
type Role string

// Roles.
const (
	GroupRole   Role = "log_group" // where a line comes from
	LevelRole   Role = "level"     // error, warn, …
	MessageRole Role = "message"   // what the line says, without what else is in it
	ErrorRole   Role = "error"     // what went wrong
	PathRole    Role = "path"      // of a request
	StatusRole  Role = "status"    // of its response
	LatencyRole Role = "latency"   // of it
)

var allRoles = []Role{LevelRole, GroupRole, StatusRole, LatencyRole, PathRole, MessageRole, ErrorRole}

// InRole returns the field that has a role, nil if none has. Where no field states the
// role it has one that states none and is called as in a built-in schema, which a file
// that was written before there were roles need not say.
func (s *Schema) InRole(role Role) *Field {
	if i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Role == role }); i >= 0 {
		return &s.Fields[i]
	}
	for _, name := range usualNames()[role] {
		i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name && f.Role == "" && role.suits(&f) })
		if i >= 0 {
			return &s.Fields[i]
		}
	}
	return nil
}

// usualNames returns what the built-in schemas call the field of each role.
var usualNames = sync.OnceValue(func() map[Role][]string {
	names := map[Role][]string{}
	for _, builtIn := range BuiltIns() {
		s, err := BuiltIn(builtIn)
		if err != nil {
			panic(err) // they are part of the program
		}
		for _, f := range s.Fields {
			if f.Role != "" && !slices.Contains(names[f.Role], f.Name) {
				names[f.Role] = append(names[f.Role], f.Name)
			}
		}
	}
	return names
})

// suits reports whether the dashboards can do with a field what they do with that of the
// role.
func (r Role) suits(f *Field) bool {
	isCounted := f.Options["index"] != false && f.Options["doc_values"] != false
	switch r {
	case MessageRole, ErrorRole:
		return f.Kind == TextKind
	case StatusRole, LatencyRole:
		return isCounted && (f.Kind == IntegerKind || f.Kind == FloatKind || f.Kind == DurationKind)
	}
	return isCounted && f.Type == "keyword"
}

// suitable is what suits a role, for people.
func (r Role) suitable() string {
	switch r {
	case MessageRole, ErrorRole:
		return "keyword and text"
	case StatusRole, LatencyRole:
		return "numbers with index and doc_values"
	}
	return "keywords with index and doc_values"
}

// checkRole checks the role that a field states at a place in the file.
func (f *fieldFile) checkRole(s *Schema, n *yaml.Node) error {
	if f.Role == "" {
		return nil
	}
	if !f.Role.suits(&f.Field) {
		return failure(n, "role %s is for %s only", f.Role, f.Role.suitable())
	}
	for _, other := range s.Fields {
		if other.Role == f.Role {
			return failure(n, "role %s is that of field %q already: remove one", f.Role, other.Name)
		}
	}
	return nil
}
