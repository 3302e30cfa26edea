package opensearch

import (
	"context"
	"maps"
	"net/http"
	"slices"
)

// IndexNames returns the sorted names of indices and aliases that begin with a prefix and
// a dash, including closed and hidden ones.
// See https://docs.opensearch.org/latest/api-reference/alias/get-alias/.
func IndexNames(ctx context.Context, client Client, prefix string) ([]string, error) {
	var answer map[string]struct {
		Aliases map[string]struct{}
	}
	err := call(ctx, client, "list the indices "+prefix+"-*", http.MethodGet, "/"+prefix+"-*/_alias?expand_wildcards=all", nil, &answer)
	if err != nil && !HasStatus(err, http.StatusNotFound) {
		return nil, err
	}
	names := map[string]bool{}
	for index, of := range answer {
		names[index] = true
		for alias := range of.Aliases {
			names[alias] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}
