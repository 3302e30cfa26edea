package schema

import (
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Role is how the dashboards use a field.
type Role string

// Roles.
const (
	GroupRole   Role = "log_group" // the source of a line
	LevelRole   Role = "level"     // error, warn, …
	MessageRole Role = "message"   // the message of the line only
	ErrorRole   Role = "error"     // the error
	PathRole    Role = "path"      // path of a request
	StatusRole  Role = "status"    // status of its response
	LatencyRole Role = "latency"   // how long the request took
)

var allRoles = []Role{LevelRole, GroupRole, StatusRole, LatencyRole, PathRole, MessageRole, ErrorRole}

// InRole returns the field with a role, or nil. If no field has the role explicitly, it
// returns a field without a role whose name is that of the role's field in a built-in
// schema, so that a file without roles has dashboards, too.
func (s *Schema) InRole(role Role) *Field {
	if i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Role == role }); i >= 0 {
		return &s.Fields[i]
	}
	for _, name := range builtInNames()[role] {
		i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name && f.Role == "" && role.suits(&f) })
		if i >= 0 {
			return &s.Fields[i]
		}
	}
	return nil
}

// builtInNames returns the names of each role's fields in the built-in schemas.
var builtInNames = sync.OnceValue(func() map[Role][]string {
	names := map[Role][]string{}
	for _, builtIn := range BuiltIns() {
		s, err := BuiltIn(builtIn)
		if err != nil {
			panic(err) // they are embedded
		}
		for _, f := range s.Fields {
			if f.Role != "" && !slices.Contains(names[f.Role], f.Name) {
				names[f.Role] = append(names[f.Role], f.Name)
			}
		}
	}
	return names
})

// suits reports whether the dashboards can use a field in the role.
func (r Role) suits(f *Field) bool {
	isAggregatable := f.Options["index"] != false && f.Options["doc_values"] != false
	switch r {
	case MessageRole, ErrorRole:
		return f.Kind == TextKind
	case StatusRole, LatencyRole:
		return isAggregatable && (f.Kind == IntegerKind || f.Kind == FloatKind || f.Kind == DurationKind)
	}
	return isAggregatable && f.Type == "keyword"
}

// suitableFields describes the fields that suit a role, for errors.
func (r Role) suitableFields() string {
	switch r {
	case MessageRole, ErrorRole:
		return "keyword and text"
	case StatusRole, LatencyRole:
		return "numbers with index and doc_values"
	}
	return "keywords with index and doc_values"
}

// checkRole checks the role of a field.
func (f *fieldFile) checkRole(s *Schema, n *yaml.Node) error {
	if f.Role == "" {
		return nil
	}
	if !f.Role.suits(&f.Field) {
		return failure(n, "role %s is for %s only", f.Role, f.Role.suitableFields())
	}
	for _, other := range s.Fields {
		if other.Role == f.Role {
			return failure(n, "field %q already has role %s: remove one", other.Name, f.Role)
		}
	}
	return nil
}
