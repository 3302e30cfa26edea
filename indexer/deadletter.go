package indexer

import (
	"encoding/json"
	"slices"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// Dead letters: how they are made from records and documents, and how they are written
// into requests.

// Record identifies the record, or the part of one, that becomes a dead letter. Unknown
// fields are empty.
type Record struct {
	Source
	// LogGroup and LogStream of the event.
	LogGroup, LogStream string
	// Occurrence distinguishes equal dead letters of one record.
	Occurrence int
}

// NewDeadLetter returns a set with one dead letter for a payload that could not be
// decoded into documents. Put sends it to the dead-letter index.
func NewDeadLetter(of Record, stage string, why error, payload []byte) *Documents {
	keep := min(len(payload), deadletter.MaxPayload)
	// It may wait for a long time, so it takes no more memory than necessary.
	docs := &Documents{Body: slices.Clone(payload[:keep]), source: of.Source}
	docs.Next(0)
	docs.fallback = &fallback{kind: letterFallback, occurrence: of.Occurrence, keep: keep, letter: &deadletter.Letter{
		Time:            time.Now().UTC(),
		Stage:           stage,
		Cause:           deadletter.Cause{Type: stage + "_error", Reason: why.Error()},
		LogGroup:        of.LogGroup,
		LogStream:       of.LogStream,
		PayloadEncoding: deadletter.EncodingOf(payload),
		PayloadBytes:    len(payload),
	}}
	return docs
}

// letter returns the dead letter of the part's only document. It contains the event.
func (p part) letter(stage string, status int, why *reason) part {
	const more = 1 << 10 // id, position and time of arrival
	origin, extras := p.docs.eventData.originOf(p.from), p.docs.eventData.extraOf(p.from)
	size := len(p.bytes()) + len(origin.Owner) + len(origin.LogGroup) + len(origin.LogStream) + len(extras) + more
	return p.withFallback(fallback{kind: letterFallback, stage: stage, status: uint16(status), reason: why, keep: min(size, deadletter.MaxPayload), at: time.Now().UnixNano()}) //nolint:gosec // of HTTP
}

// unsentLetter returns a letter without the fields that are added when it is sent, and
// its payload.
func (ix *Indexer) unsentLetter(p part) (l deadletter.Letter, payload []byte) {
	if p.fallback.letter != nil {
		return *p.fallback.letter, p.bytes()
	}
	index, id := p.target(0)
	origin := p.docs.eventData.originOf(p.from)
	payload, size := ix.event(p, p.fallback.keep)
	l = deadletter.Letter{
		Time:            time.Unix(0, p.fallback.at).UTC(),
		Stage:           p.fallback.stage,
		TargetIndex:     string(index),
		TargetID:        string(id),
		PayloadEncoding: deadletter.EncodingOf(payload),
		PayloadBytes:    size,
	}
	if p.fallback.asBase64 {
		l.PayloadEncoding = deadletter.EncodingBase64
	}
	if why := p.fallback.reason; why != nil {
		l.Cause = deadletter.Cause{Type: why.kind, Reason: why.text, Status: int(p.fallback.status)}
	}
	// These are literals from our decoder. What cannot be parsed is left out.
	_ = json.Unmarshal(origin.LogGroup, &l.LogGroup)
	_ = json.Unmarshal(origin.LogStream, &l.LogStream)
	return l, payload
}

func (p part) isLetter() bool { return p.fallback != nil && p.fallback.kind == letterFallback }

// letterLines returns the action and source line of a dead letter.
func (ix *Indexer) letterLines(p part) []byte {
	id, l, payload := ix.letterOf(p)
	where := map[string]any{"_index": deadletter.Index(ix.cfg.Prefix)}
	action := "index"
	if id != "" {
		action, where["_id"] = "create", id
	}
	// Strings always marshal.
	lines, _ := opensearch.AppendAction(nil, action, where)
	return append(l.AppendSource(lines, payload, p.fallback.keep), '\n')
}

// letterOf returns a dead letter with its id and its payload. The id is "" if OpenSearch
// chooses ids.
func (ix *Indexer) letterOf(p part) (id string, l deadletter.Letter, payload []byte) {
	l, payload = ix.unsentLetter(p)
	source := p.docs.source
	l.Stream, l.Shard, l.SequenceNumber = source.Stream, source.Shard, source.SequenceNumber
	if !ix.cfg.NoIDs {
		id = ix.letterID(p, &l, payload)
	}
	return id, l, payload
}

// letterID returns the id of a letter: of its document if it has one, otherwise of its
// record.
func (ix *Indexer) letterID(p part, l *deadletter.Letter, payload []byte) string {
	if l.TargetID == "" {
		return l.RecordID(p.fallback.occurrence, payload)
	}
	_, source := p.lines()
	_, message := ix.cfg.Fallback.Core(source)
	return l.DocumentID(message)
}

// cutPayload halves the part of the payload that is kept, as it is too large for
// OpenSearch.
func (f *fallback) cutPayload() { f.keep /= 2 }
