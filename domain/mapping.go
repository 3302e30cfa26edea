package domain

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

// ErrForbidden tells that OpenSearch does not let this user do it.
var ErrForbidden = errors.New("OpenSearch does not allow it")

// ExtendMapping gives an index the fields that a template has and that it lacks,
// as a template is for indices to come. It tells these, and those that cannot change
// any more, as the index has them as another type or takes no more. An index that is not
// there is left for the template to make; of a data stream all indices count. The
// error is ErrForbidden if the user may not see mappings.
// See https://docs.opensearch.org/latest/api-reference/index-apis/put-mapping/.
func ExtendMapping(ctx context.Context, client Client, index string, template []byte) (added, kept []string, err error) {
	var wanted struct {
		Template struct {
			Mappings struct {
				Properties properties
			}
		}
	}
	if err := json.Unmarshal(template, &wanted); err != nil {
		return nil, nil, fmt.Errorf("read an index template: %w", err)
	}
	var indices map[string]struct {
		Mappings struct{ Properties properties }
	}
	doing := "read the mapping of " + index
	if err := call(ctx, client, doing, http.MethodGet, "/"+index+"/_mapping", nil, &indices); HasStatus(err, http.StatusForbidden) {
		return nil, nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	} else if err != nil && !HasStatus(err, http.StatusNotFound) {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(indices)) {
		missing, fields, others := wanted.Template.Mappings.Properties.beyond(indices[name].Mappings.Properties, "")
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
		case HasStatus(err, http.StatusBadRequest), HasStatus(err, http.StatusForbidden): // it has no room for more, or is read-only
			kept = append(kept, these+": "+CauseOf(err).Reason)
		default:
			return nil, nil, err
		}
	}
	return added, kept, nil
}

// properties are fields of a mapping by name.
type properties map[string]map[string]any

// inner are the fields within an object.
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

// beyond are the fields that others lack, by path too, and those that they have as
// another type.
func (p properties) beyond(others properties, path string) (missing properties, paths, different []string) {
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
			more, names, others := inner(field).beyond(inner(other), path+name+".")
			if len(more) > 0 {
				missing[name] = map[string]any{"properties": more}
			}
			paths, different = append(paths, names...), append(different, others...)
		}
	}
	return missing, paths, different
}

const objectKind = "object"

// kindOf is the type of a field, which objects need not say.
func kindOf(field map[string]any) string {
	if kind, ok := field["type"].(string); ok {
		return kind
	}
	return objectKind
}
