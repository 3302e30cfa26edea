package indexer

import (
	"encoding/json"
	"slices"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/opensearch"
)

// Dead letters: how they are made of records and documents, and written into requests.

// Record says where in a record a dead letter comes from, as far as is known.
type Record struct {
	Source
	// LogGroup and LogStream of the event.
	LogGroup, LogStream string
	// Occurrence tells dead letters of one record apart that are equal.
	Occurrence int
}

// NewDeadLetter makes a set of the one dead letter of what could not be made
// into documents, which Put brings into its index.
func NewDeadLetter(of Record, stage string, why error, payload []byte) *Documents {
	keep := min(len(payload), deadletter.MaxPayload)
	// It may wait for long, so its memory is as small as it can be.
	docs := &Documents{Body: slices.Clone(payload[:keep]), source: of.Source}
	docs.Next(0)
	docs.form = &form{kind: letter, occurrence: of.Occurrence, keep: keep, letter: &deadletter.Letter{
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

// letter is the dead letter of the one document of a part. It keeps its event.
func (p part) letter(stage string, status int, why *reason) part {
	const more = 1 << 10 // id, position and time of arrival
	origin, extras := p.docs.facts.originOf(p.from), p.docs.facts.extraOf(p.from)
	size := len(p.bytes()) + len(origin.Owner) + len(origin.LogGroup) + len(origin.LogStream) + len(extras) + more
	return p.formOf(form{kind: letter, stage: stage, status: uint16(status), reason: why, keep: min(size, deadletter.MaxPayload), at: time.Now().UnixNano()}) //nolint:gosec // of HTTP
}

// unsentLetter returns what is known of a letter before it is sent, and its payload.
func (ix *Indexer) unsentLetter(p part) (l deadletter.Letter, payload []byte) {
	if p.form.letter != nil {
		return *p.form.letter, p.bytes()
	}
	index, id := p.target(0)
	origin := p.docs.facts.originOf(p.from)
	payload = ix.event(p)
	l = deadletter.Letter{
		Time:            time.Unix(0, p.form.at).UTC(),
		Stage:           p.form.stage,
		TargetIndex:     string(index),
		TargetID:        string(id),
		PayloadEncoding: deadletter.EncodingOf(payload),
		PayloadBytes:    len(payload),
	}
	if p.form.opaque {
		l.PayloadEncoding = deadletter.EncodingBase64
	}
	if why := p.form.reason; why != nil {
		l.Cause = deadletter.Cause{Type: why.kind, Reason: why.text, Status: int(p.form.status)}
	}
	// Literals from our decoder; what cannot be read of them is left out.
	_ = json.Unmarshal(origin.LogGroup, &l.LogGroup)
	_ = json.Unmarshal(origin.LogStream, &l.LogStream)
	return l, payload
}

func (p part) isLetter() bool { return p.form != nil && p.form.kind == letter }

// writeLetter writes the two lines of a dead letter.
func (ix *Indexer) writeLetter(p part) []byte {
	id, source := ix.letterSource(p)
	where := map[string]any{"_index": deadletter.Index(ix.cfg.Prefix)}
	action := "index"
	if id != "" {
		action, where["_id"] = "create", id
	}
	const room = 512 // for the action line
	// Strings always marshal.
	lines, _ := opensearch.AppendAction(make([]byte, 0, room+len(source)), action, where)
	return append(append(lines, source...), '\n')
}

// letterSource returns the source line of a dead letter, without a newline, and its id,
// which is "" where OpenSearch chooses ids.
func (ix *Indexer) letterSource(p part) (id string, line []byte) {
	l, payload := ix.unsentLetter(p)
	source := p.docs.source
	l.Stream, l.Shard, l.SequenceNumber = source.Stream, source.Shard, source.SequenceNumber
	if !ix.cfg.NoIDs {
		id = ix.letterID(p, &l, payload)
	}
	return id, l.Source(payload, p.form.keep)
}

// letterID returns the id of a letter, which is that of what it is about.
func (ix *Indexer) letterID(p part, l *deadletter.Letter, payload []byte) string {
	if l.TargetID == "" {
		return l.RecordID(p.form.occurrence, payload)
	}
	_, source := p.lines()
	_, message := ix.cfg.Fallback.Core(source)
	return l.DocumentID(message)
}

// cutPayload halves what is kept of a payload, as it is too large for OpenSearch.
func (f *form) cutPayload() { f.keep /= 2 }
