package opensearch

import (
	"context"
	"net/http"
)

// Operations of doctor on its scratch index: reading and deleting. Bulk writes to it.

// MayDelete reports whether the user may delete indices with a name. No such index may
// exist: the error of deleting it shows the permission.
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

// HasDocument reports whether a document exists, without waiting for a refresh.
func HasDocument(ctx context.Context, client Client, index, id string) (bool, error) {
	err := call(ctx, client, "read document "+id+" of "+index, http.MethodGet, "/"+index+"/_doc/"+id, nil, nil)
	if HasStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}
