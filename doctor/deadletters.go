package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

const (
	deadLetterAge = 24 * time.Hour
	maxReasons    = 3
	maxExample    = 120 // bytes of a reason's example
)

// deadLetters reports the dead letters of the last day.
func (w *walk) deadLetters(ctx context.Context, f *Finding) {
	index := deadletter.Index(w.Naming.Prefix)
	var found deadletter.Summary
	err := bounded(ctx, func(ctx context.Context) (err error) {
		found, err = deadletter.Summarize(ctx, w.Search, w.Naming.Prefix, deadLetterAge, maxReasons)
		return err
	})
	w.blocked = map[string]int{}
	for _, b := range found.Blocked {
		w.blocked[b.Index] = b.Letters
	}
	switch {
	case opensearch.HasStatus(err, http.StatusForbidden):
		f.warn("allow indices:data/read/search for "+index+" to have them counted; run does not need it", "%s cannot be searched: permission denied", index)
	case err != nil:
		f.warn("check the domain's health, and try again", "%s cannot be searched: %s", index, answered(err))
	case found.Letters == 0:
		f.note("none in the last day")
	default:
		var texts []string
		for _, r := range found.Reasons {
			texts = append(texts, fmt.Sprintf("%d %s (%s)", r.Letters, r.Type, cut(r.Example)))
		}
		f.warn("look at the dead letters in "+index+" by stage: usual causes are an index that accepts no documents or no more fields, an ingest pipeline, and another program that writes to the stream",
			"%d in the last day: %s", found.Letters, firstOf(texts))
		texts = nil
		for _, b := range found.Blocked {
			texts = append(texts, fmt.Sprintf("%s (%d)", b.Index, b.Letters))
		}
		if len(texts) > 0 {
			f.note("documents were given up after waiting for %s", firstOf(texts))
		}
	}
	if w.Store != nil {
		w.store(ctx, f)
	}
}

// store checks whether the store for dead letters can be written to.
func (w *walk) store(ctx context.Context, f *Finding) {
	err := bounded(ctx, w.Store.Check)
	if err == nil {
		f.note("DEAD_LETTER_URL can be written to")
		return
	}
	remedy := remedyOf(err, "s3:PutObject")
	if known := new(deadletter.StoreError); errors.As(err, &known) {
		err, remedy = known.Err, known.Remedy // the text of known has the remedy too
	}
	f.warn(remedy, "DEAD_LETTER_URL (--dead-letter-url) cannot be written to: %s", awsErrorText(err))
}

func cut(text string) string {
	if len(text) > maxExample {
		return strings.ToValidUTF8(text[:maxExample], "") + "…"
	}
	return text
}
