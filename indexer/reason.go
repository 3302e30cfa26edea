package indexer

import (
	"strings"
	"sync"
	"time"

	"logsluice/opensearch"
)

// reason is why a document was not accepted, as OpenSearch reports it. Documents share
// it.
type reason struct{ kind, text string }

func (r *reason) String() string {
	if r == nil {
		return ""
	}
	return r.kind + ": " + r.text
}

const (
	// maxReason bounds in bytes what is kept of a reason, which can quote the document.
	maxReason = 500
	// maxReasons bounds in bytes the distinct reasons kept per period.
	maxReasons   = 1 << 20
	reasonPeriod = time.Minute
)

// reasons keeps each reason once. Many quote a value or an id, so that no two are equal.
// When too many bytes are kept in a period, quotations are left out, and if that is not
// enough, everything but the kind.
type reasons struct {
	mu    sync.Mutex
	known map[reason]*reason
	bytes int
	begun time.Time // of the period
}

// share returns the shared reason for a cause, or nil if the cause is nil.
func (r *reasons) share(e *opensearch.Cause) *reason {
	if e == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.begun) > reasonPeriod {
		r.known, r.bytes, r.begun = make(map[reason]*reason), 0, time.Now()
	}
	why := reasonOf(e)
	for _, shorten := range []func(string) string{withoutQuotes, func(string) string { return "" }} {
		if known := r.known[why]; known != nil {
			return known
		}
		if r.bytes+len(why.text) <= maxReasons {
			break
		}
		why.text = shorten(why.text)
	}
	if known := r.known[why]; known != nil {
		return known
	}
	r.bytes += len(why.kind) + len(why.text)
	r.known[why] = &why
	return &why
}

// withoutQuotes returns a reason up to the first value that it quotes: "failed to parse
// field [took] of type [long] in document with id '7'. Preview of …".
func withoutQuotes(text string) string {
	if i := strings.IndexAny(text, `'"`); i >= 0 {
		return text[:i] + "…"
	}
	return text
}

// reasonOf returns the reason for an error. It includes the error's cause, which is often
// the only part that identifies the problem.
func reasonOf(e *opensearch.Cause) reason {
	text := e.Reason
	if e.CausedBy != nil && e.CausedBy.Reason != "" {
		text += ": " + e.CausedBy.Type + ": " + e.CausedBy.Reason
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return reason{e.Type, text}
}
