package indexer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"logsluice/opensearch"
)

// Dead letters: what they contain, their index and its template, and how they are written.

// Stages at which a dead letter can arise.
const (
	StageInflate = "inflate" // the record is not what gzip can read
	StageParse   = "parse"   // it is not a subscription envelope, or not an event
	StageIndex   = "index"   // OpenSearch refuses the document
	StageBlocked = "blocked" // the index did not accept documents for too long
)

// deadLetter is the document kept of what cannot be indexed.
type deadLetter struct {
	Time   time.Time       `json:"@timestamp"`
	Stage  string          `json:"stage"`
	Error  deadLetterError `json:"error"`
	Index  string          `json:"target_index,omitempty"`
	ID     string          `json:"target_id,omitempty"`
	Group  string          `json:"log_group,omitempty"`
	Log    string          `json:"log_stream,omitempty"`
	Stream string          `json:"stream"`
	Shard  string          `json:"shard"`
	Number string          `json:"sequence_number"`
	// Encoding is that of the payload, which is the record, a part of it, or the log
	// event of a document: textEncoding if it is text, or base64Encoding.
	Encoding string `json:"payload_encoding"`
	// Bytes is the payload's size before it was encoded or cut.
	Bytes int `json:"payload_bytes"`
	// Truncated tells that OpenSearch did not take the payload whole.
	Truncated bool `json:"payload_truncated"`
}

const (
	textEncoding   = "text"
	base64Encoding = "base64"
)

// encodingOf is that in which a payload takes twice its bytes at the most: text
// that is mostly control characters would take six times as many.
func encodingOf(payload []byte) string {
	more := 0
	for _, c := range payload {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			more++
		case c < ' ':
			more += len(`u0000`)
		}
	}
	for _, separator := range []string{"\u2028", "\u2029"} {
		more += bytes.Count(payload, []byte(separator)) * (len(`\u2028`) - len(separator))
	}
	if more > len(payload) || !utf8.Valid(payload) {
		return base64Encoding
	}
	return textEncoding
}

// deadLetterError is why, as OpenSearch tells it of a document.
type deadLetterError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	// Status is OpenSearch's, 0 if it was not asked.
	Status int `json:"status,omitempty"`
}

// maxPayload keeps a payload, in base64 too, below the 50,000,000 characters
// that OpenSearch takes as one string (opensearch.xcontent.string.length.max).
const maxPayload = 32 << 20

// DeadLetterIndex is the index of the dead letters under a prefix.
func DeadLetterIndex(prefix string) string { return prefix + "-dead-letter" }

// deadLetterPriority is above that of any prefix's own template.
const deadLetterPriority = 1000

// DeadLetterTemplate returns the index template of the dead letters under a prefix. The
// payload is kept and not indexed.
func DeadLetterTemplate(prefix string) (opensearch.Template, error) {
	keyword := map[string]any{"type": "keyword", "ignore_above": 1024}
	body, err := json.Marshal(map[string]any{
		"index_patterns": []string{DeadLetterIndex(prefix)},
		"priority":       deadLetterPriority,
		"template": map[string]any{
			"settings": map[string]any{"index": map[string]any{
				"number_of_shards": "1",
				"refresh_interval": "1s",
				"codec":            "best_compression",
			}},
			"mappings": map[string]any{
				"dynamic": "false",
				"properties": map[string]any{
					"@timestamp": map[string]any{"type": "date"},
					"stage":      keyword,
					"error": map[string]any{"properties": map[string]any{
						"type":   keyword,
						"reason": map[string]any{"type": "text"},
						"status": map[string]any{"type": "short"},
					}},
					"target_index":      keyword,
					"target_id":         keyword,
					"log_group":         keyword,
					"log_stream":        keyword,
					"stream":            keyword,
					"shard":             keyword,
					"sequence_number":   keyword,
					"payload":           map[string]any{"type": "keyword", "index": false, "doc_values": false},
					"payload_encoding":  keyword,
					"payload_bytes":     map[string]any{"type": "long"},
					"payload_truncated": map[string]any{"type": "boolean"},
				},
			},
		},
	})
	return opensearch.Template{Name: DeadLetterIndex(prefix), Bodies: [][]byte{body}}, err
}

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
	keep := min(len(payload), maxPayload)
	// It may wait for long, so its memory is as small as it can be.
	docs := &Documents{Body: slices.Clone(payload[:keep]), source: of.Source}
	docs.Next(0)
	docs.form = &form{kind: letter, occurrence: of.Occurrence, keep: keep, letter: &deadLetter{
		Time:     time.Now().UTC(),
		Stage:    stage,
		Error:    deadLetterError{Type: stage + "_error", Reason: why.Error()},
		Group:    of.LogGroup,
		Log:      of.LogStream,
		Encoding: encodingOf(payload),
		Bytes:    len(payload),
	}}
	return docs
}

// letter is the dead letter of the one document of a part. It keeps its event.
func (p part) letter(stage string, status int, why *reason) part {
	const more = 1 << 10 // id, position and time of arrival
	origin, extras := p.docs.facts.originOf(p.from), p.docs.facts.extraOf(p.from)
	size := len(p.bytes()) + len(origin.Owner) + len(origin.LogGroup) + len(origin.LogStream) + len(extras) + more
	return p.formOf(form{kind: letter, stage: stage, status: uint16(status), reason: why, keep: min(size, maxPayload), at: time.Now().UnixNano()}) //nolint:gosec // of HTTP
}

// deadLetter is what is known of a letter before it is sent, and its payload.
func (ix *Indexer) deadLetter(p part) (dead deadLetter, payload []byte) {
	if p.form.letter != nil {
		return *p.form.letter, p.bytes()
	}
	index, id := p.target(0)
	origin := p.docs.facts.originOf(p.from)
	payload = ix.event(p)
	dead = deadLetter{
		Time:     time.Unix(0, p.form.at).UTC(),
		Stage:    p.form.stage,
		Index:    string(index),
		ID:       string(id),
		Encoding: encodingOf(payload),
		Bytes:    len(payload),
	}
	if p.form.opaque {
		dead.Encoding = base64Encoding
	}
	if why := p.form.reason; why != nil {
		dead.Error = deadLetterError{Type: why.kind, Reason: why.text, Status: int(p.form.status)}
	}
	// Literals from our decoder; what cannot be read of them is left out.
	_ = json.Unmarshal(origin.LogGroup, &dead.Group)
	_ = json.Unmarshal(origin.LogStream, &dead.Log)
	return dead, payload
}

func (p part) isLetter() bool { return p.form != nil && p.form.kind == letter }

// writeLetter writes the two lines of a dead letter.
func (ix *Indexer) writeLetter(p part) []byte {
	id, source := ix.letterSource(p)
	target := map[string]string{"_index": DeadLetterIndex(ix.cfg.Prefix)}
	operation := "index"
	if id != "" {
		operation, target["_id"] = "create", id
	}
	// Strings always marshal.
	action, _ := json.Marshal(map[string]any{operation: target})
	lines := append(make([]byte, 0, len(action)+len(source)+2), action...)
	lines = append(append(lines, '\n'), source...)
	return append(lines, '\n')
}

// letterSource is the source line of a dead letter, without a newline, and its id,
// which is that of what it is about, so that a re-delivery does not double it. The
// id is empty where OpenSearch chooses ids.
func (ix *Indexer) letterSource(p part) (id string, line []byte) {
	dead, payload := ix.deadLetter(p)
	source := p.docs.source
	dead.Stream, dead.Shard, dead.Number = source.Stream, source.Shard, source.SequenceNumber
	kept := payload[:min(p.form.keep, len(payload))]
	dead.Truncated = len(kept) < dead.Bytes
	if !ix.cfg.NoIDs {
		id = ix.letterID(p, dead, payload)
	}
	// Strings, numbers and a time always marshal.
	fields, _ := json.Marshal(dead)
	line = append(make([]byte, 0, len(fields)+2*len(kept)), bytes.TrimSuffix(fields, []byte("}"))...)
	line = append(line, `,"payload":"`...)
	if dead.Encoding == textEncoding {
		line = appendEscaped(line, kept)
	} else {
		line = base64.StdEncoding.AppendEncode(line, kept)
	}
	return id, append(line, "\"}"...)
}

// letterID hashes what a dead letter is about: the document, of which there can be
// several texts under one id, or what was read at a place of the stream.
func (ix *Indexer) letterID(p part, dead deadLetter, payload []byte) string {
	about := [][]byte{
		[]byte(dead.Stage), []byte(dead.Stream), []byte(dead.Shard), []byte(dead.Number),
		strconv.AppendInt(nil, int64(p.form.occurrence), 10), payload,
	}
	if dead.ID != "" {
		_, source := p.lines()
		_, message := ix.cfg.Fallback.Core(source)
		about = [][]byte{[]byte(dead.Index), []byte(dead.ID), message}
	}
	hash := sha256.New()
	for _, b := range about {
		fmt.Fprintf(hash, "%d:", len(b))
		hash.Write(b)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// appendEscaped appends the inside of a JSON string: text, which may be cut
// within its last rune. It goes by pieces, for the text can be large.
func appendEscaped(dst, text []byte) []byte {
	const most = 64 << 10
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	for len(text) > 0 {
		n := min(most, len(text))
		for back := 0; back < utf8.UTFMax && n < len(text) && !utf8.RuneStart(text[n]); back++ {
			n--
		}
		buf.Reset()
		_ = encoder.Encode(strings.ToValidUTF8(string(text[:n]), ""))
		dst = append(dst, bytes.TrimSuffix(buf.Bytes()[1:], []byte("\"\n"))...)
		text = text[n:]
	}
	return dst
}

// cutPayload halves what is kept of a payload, as it is too large for OpenSearch.
func (f *form) cutPayload() { f.keep /= 2 }
