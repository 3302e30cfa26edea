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

// Alive returns an error if the dispatcher does not answer before ctx ends.
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

// wrongSetting is an error caused by a wrong setting, and when it was observed.
type wrongSetting struct {
	err error
	at  time.Time
}

// wrongSettingTTL is longer than the longest pause before documents are sent again. An
// older error has no meaning if nothing was sent since.
const wrongSettingTTL = 3 * time.Minute

// Ready returns an error while a setting (credentials, permissions or address) is known
// to be wrong, and while a shard is not read because its documents or dead letters are
// not accepted anywhere.
func (ix *Indexer) Ready() error {
	if wrong := ix.wrongSetting.Load(); wrong != nil && time.Since(wrong.at) < wrongSettingTTL {
		return wrong.err
	}
	if stalled := ix.stalled.Load(); stalled != nil {
		return *stalled
	}
	return nil
}

// noteSettings records whether a response shows that a setting is wrong. It is wrong if
// the request, or one of its documents, was refused because credentials, a permission or
// an index are missing. It is right if a document was accepted.
func (ix *Indexer) noteSettings(status int, items []opensearch.Item, err error) {
	isWrong := isWrongSetting(status)
	for _, item := range items {
		if isSettingStatus(item.Status) && !isStateOfIndex(item.Error) {
			isWrong, status, err = true, item.Status, errors.New(ix.reasons.share(item.Error).String())
			break
		}
	}
	switch {
	case isWrong:
		ix.wrongSetting.Store(&wrongSetting{fmt.Errorf("OpenSearch answers %d: %w", status, err), time.Now()})
	case slices.ContainsFunc(items, isAcceptedItem):
		ix.wrongSetting.Store(nil)
	}
}

// isWrongSetting is isSettingStatus for a whole request. Our requests are well formed, so
// status 400 also means a wrong setting.
func isWrongSetting(status int) bool {
	return isSettingStatus(status) || status == http.StatusBadRequest
}

// isSettingStatus reports whether a status is caused by a setting: documents are not at
// fault, and retrying does not help.
func isSettingStatus(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}
