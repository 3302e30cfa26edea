package indexer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"logsluice/opensearch"
)

// The checks behind /healthz and /readyz: whether the dispatcher answers, and whether
// OpenSearch accepts what is sent.

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

// wrong is a setting that is known to be wrong, and when that was seen.
type wrong struct {
	err error
	at  time.Time
}

// wrongLasts is longer than it takes until documents are sent again. What was
// wrong before says nothing when there has been nothing to send since.
const wrongLasts = 3 * time.Minute

// Ready returns an error while a setting is known to be wrong, the
// credentials, permissions or address, and while a shard is not read on because
// its documents or dead letters are accepted nowhere.
func (ix *Indexer) Ready() error {
	if wrong := ix.wrong.Load(); wrong != nil && time.Since(wrong.at) < wrongLasts {
		return wrong.err
	}
	if standstill := ix.standstill.Load(); standstill != nil {
		return *standstill
	}
	return nil
}

// note takes in what the answer to a request says of the settings: one that is
// refused, or one of whose documents is, for want of credentials, permission or an
// index, says that they are wrong; one whose documents are accepted that they are
// right.
func (ix *Indexer) note(status int, items []opensearch.Item, err error) {
	isWrong := isWrongSetting(status)
	for _, item := range items {
		if isSetting(item.Status) && !isStateOfIndex(item.Error) {
			isWrong, status, err = true, item.Status, errors.New(ix.reasons.share(item.Error).String())
			break
		}
	}
	switch {
	case isWrong:
		ix.wrong.Store(&wrong{fmt.Errorf("OpenSearch answers %d: %w", status, err), time.Now()})
	case slices.ContainsFunc(items, isTaken):
		ix.wrong.Store(nil)
	}
}

// isWrongSetting is isSetting for a whole request, which is well formed.
func isWrongSetting(status int) bool { return isSetting(status) || status == http.StatusBadRequest }

// isSetting tells that a status is no fault of documents and does not pass by
// itself.
func isSetting(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}
