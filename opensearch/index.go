package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The creation of an index, as run creates the one for dead letters.

// ErrNameTaken is returned where an index cannot exist by its name, as an alias has it or
// a template makes a data stream of it.
var ErrNameTaken = errors.New("an alias or a data stream has the name")

// EnsureIndex creates an index, as its template has it, and reports whether it did: one
// that exists stays as it is.
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
