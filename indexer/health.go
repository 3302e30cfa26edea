package indexer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Alive asks the dispatcher for a sign of life, until ctx ends.
func (ix *Indexer) Alive(ctx context.Context) error {
	select {
	case ix.pings <- struct{}{}:
		return nil
	case <-ix.ctx.Done():
		return errors.New("the indexer is closed")
	case <-ctx.Done():
		return fmt.Errorf("the dispatcher does not answer: %w", ctx.Err())
	}
}

// Ready returns an error while a setting is known to be wrong, the
// credentials, permissions or address: then OpenSearch takes nothing, however
// often it is sent.
func (ix *Indexer) Ready() error {
	if wrong := ix.wrong.Load(); wrong != nil {
		return *wrong
	}
	return nil
}

// note takes in what the answer to a request tells about the settings: one that
// is refused, or one of whose documents is, for want of credentials, permission
// or an index, tells that they are wrong; one whose documents are taken that
// they are right.
func (ix *Indexer) note(status int, items []itemResult, err error) {
	if err == nil {
		for _, item := range items {
			if isSetting(item.Status) {
				status, err = item.Status, errors.New(item.Error.Type+": "+item.Error.text())
				break
			}
		}
	}
	switch {
	case isSetting(status):
		wrong := fmt.Errorf("OpenSearch answers %d: %w", status, err)
		ix.wrong.Store(&wrong)
	case err == nil && slices.ContainsFunc(items, isTaken):
		ix.wrong.Store(nil)
	}
}

// isSetting tells that a status is no fault of documents and does not pass by
// itself.
func isSetting(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}
