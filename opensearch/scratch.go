package opensearch

import (
	"context"
	"net/http"
)

// What doctor does with its scratch index: it reads and deletes. It writes by Bulk.

// MayDelete reports whether indices of a name may be deleted. There must be none: it is
// found out by what a deletion is refused for.
func MayDelete(ctx context.Context, client Client, index string) (bool, error) {
	err := DeleteIndex(ctx, client, index)
	switch {
	case HasStatus(err, http.StatusNotFound):
		return true, nil
	case HasStatus(err, http.StatusForbidden):
		return false, nil
	}
	return false, err
}

// DeleteIndex deletes an index.
func DeleteIndex(ctx context.Context, client Client, index string) error {
	return call(ctx, client, "delete index "+index, http.MethodDelete, "/"+index, nil, nil)
}

// HasDocument reports whether a document is there, without waiting for a refresh.
func HasDocument(ctx context.Context, client Client, index, id string) (bool, error) {
	err := call(ctx, client, "read document "+id+" of "+index, http.MethodGet, "/"+index+"/_doc/"+id, nil, nil)
	if HasStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}
