package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Fields of an existing index: which ones a template would add to it, and adding them.

// ErrForbidden is returned when OpenSearch denies the user a request.
var ErrForbidden = errors.New("OpenSearch does not allow it")

// ExtendMapping adds the missing fields of a template to an index, because a template
// applies only to new indices. It returns the added fields, and those that cannot be
// changed because the index has them as another type or accepts no more fields. It does
// nothing if the index does not exist: the template applies when it is created. For a data
// stream, all its indices are extended. The error is ErrForbidden if the user may not read
// mappings.
// See https://docs.opensearch.org/latest/api-reference/index-apis/put-mapping/.
func ExtendMapping(ctx context.Context, client Client, index string, template []byte) (added, kept []string, err error) {
	wanted, err := fieldsOf(template)
	if err != nil {
		return nil, nil, err
	}
	indices, err := mappings(ctx, client, index)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(indices)) {
		missing, fields, others := wanted.missingFrom(indices[name], "")
		for _, other := range others {
			kept = append(kept, name+": "+other)
		}
		if len(fields) == 0 {
			continue
		}
		body, err := json.Marshal(map[string]any{"properties": missing})
		if err != nil {
			return nil, nil, fmt.Errorf("extend the mapping of %s: %w", name, err)
		}
		these := name + ": " + strings.Join(fields, ", ")
		err = call(ctx, client, "extend the mapping of "+name, http.MethodPut, "/"+name+"/_mapping", body, nil)
		switch {
		case err == nil:
			added = append(added, these)
		case HasStatus(err, http.StatusBadRequest), HasStatus(err, http.StatusForbidden): // it accepts no more fields, or is read-only
			kept = append(kept, these+": "+CauseOf(err).Reason)
		default:
			return nil, nil, err
		}
	}
	return added, kept, nil
}

// MappingChanges reports whether an index exists, and returns what ExtendMapping would add
// and keep, for the body of the template that is closest to the index.
func MappingChanges(ctx context.Context, client Client, index string, t Template) (exists bool, missing, kept []string, err error) {
	indices, err := mappings(ctx, client, index)
	if err != nil || len(indices) == 0 {
		return false, nil, nil, err
	}
	for i, body := range t.Bodies {
		wanted, err := fieldsOf(body)
		if err != nil {
			return true, nil, nil, err
		}
		var lacks, differs []string
		for _, name := range slices.Sorted(maps.Keys(indices)) {
			_, fields, others := wanted.missingFrom(indices[name], "")
			lacks, differs = append(lacks, fields...), append(differs, others...)
		}
		if i == 0 || len(lacks)+len(differs) < len(missing)+len(kept) {
			missing, kept = lacks, differs
		}
	}
	return true, missing, kept, nil
}

// fieldsOf returns the fields of an index template.
func fieldsOf(template []byte) (properties, error) {
	var wanted struct {
		Template struct {
			Mappings struct {
				Properties properties
			}
		}
	}
	if err := json.Unmarshal(template, &wanted); err != nil {
		return nil, fmt.Errorf("read an index template: %w", err)
	}
	return wanted.Template.Mappings.Properties, nil
}

// mappings returns the fields of an index, or of the indices of a data stream, by index.
func mappings(ctx context.Context, client Client, index string) (map[string]properties, error) {
	var answer map[string]struct {
		Mappings struct{ Properties properties }
	}
	err := call(ctx, client, "read the mapping of "+index, http.MethodGet, "/"+index+"/_mapping", nil, &answer)
	switch {
	case HasStatus(err, http.StatusForbidden):
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	case err != nil && !HasStatus(err, http.StatusNotFound):
		return nil, err
	}
	indices := make(map[string]properties, len(answer))
	for name, index := range answer {
		indices[name] = index.Mappings.Properties
	}
	return indices, nil
}

// properties are fields of a mapping by name.
type properties map[string]map[string]any

// inner returns the fields of an object.
func inner(field map[string]any) properties {
	fields, ok := field["properties"].(map[string]any)
	if !ok {
		return nil
	}
	p := properties{}
	for name, field := range fields {
		p[name], _ = field.(map[string]any)
	}
	return p
}

// missingFrom returns the fields that others does not have, as properties and as paths,
// and descriptions of those that it has as another type.
func (p properties) missingFrom(others properties, path string) (missing properties, paths, different []string) {
	missing = properties{}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		field := p[name]
		other, known := others[name]
		was, is := kindOf(other), kindOf(field)
		switch {
		case !known:
			missing[name] = field
			paths = append(paths, path+name)
		case was != is:
			different = append(different, fmt.Sprintf("%s%s is %s there and not %s", path, name, was, is))
		case is == objectKind:
			more, names, others := inner(field).missingFrom(inner(other), path+name+".")
			if len(more) > 0 {
				missing[name] = map[string]any{"properties": more}
			}
			paths, different = append(paths, names...), append(different, others...)
		}
	}
	return missing, paths, different
}

const objectKind = "object"

// kindOf returns the type of a field, which objects can omit.
func kindOf(field map[string]any) string {
	if kind, ok := field["type"].(string); ok {
		return kind
	}
	return objectKind
}
