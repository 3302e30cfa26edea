package indexer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// note takes in what an answer tells about the settings, by the status of the
// request or of one of its documents.
func (ix *Indexer) note(status int, reason string) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		wrong := fmt.Errorf("OpenSearch answers %d: %s", status, reason)
		ix.wrong.Store(&wrong)
	case http.StatusOK, http.StatusCreated, http.StatusConflict:
		ix.wrong.Store(nil)
	}
}
