package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The creation of an index. run creates the dead-letter index with it.

// ErrNameTaken is returned when an index cannot have a name, because it belongs to an
// alias or a template makes a data stream of that name.
var ErrNameTaken = errors.New("an alias or a data stream has the name")

// EnsureIndex creates an index according to its template, and reports whether it did. An
// existing index is left unchanged.
// See https://docs.opensearch.org/latest/api-reference/index-apis/create-index/.
func EnsureIndex(ctx context.Context, client Client, name string) (created bool, err error) {
	doing := "create index " + name
	err = call(ctx, client, doing, http.MethodPut, "/"+name, nil, nil)
	if err == nil {
		return true, nil
	}
	cause := CauseOf(err)
	switch {
	case cause.Type == "resource_already_exists_exception":
		return false, nil
	case strings.Contains(cause.Reason, "already exists as alias"), strings.Contains(cause.Reason, "creates data streams only"):
		return false, fmt.Errorf("%s: %w: %s", doing, ErrNameTaken, cause.Reason)
	}
	return false, err
}
