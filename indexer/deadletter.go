package indexer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Stages at which a dead letter can arise.
const (
	StageInflate = "inflate" // the record is not what gzip can read
	StageParse   = "parse"   // it is not a subscription envelope, or not an event
	StageIndex   = "index"   // OpenSearch refuses the document
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
	// Payload is the record or the document, as text if it is text.
	Payload string `json:"payload"`
	// Encoding is text or base64.
	Encoding string `json:"payload_encoding"`
	// Bytes is the payload's size before it was encoded or cut.
	Bytes int `json:"payload_bytes"`
	// Truncated tells that OpenSearch did not take the payload whole.
	Truncated bool `json:"payload_truncated"`

	index string // the dead-letter index
	id    string
	raw   []byte // the payload, as much of it as is kept
}

type deadLetterError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// DeadLetterIndex is the index of the dead letters under a prefix.
func DeadLetterIndex(prefix string) string { return prefix + "-dead-letter" }

// deadLetterPriority is above that of any prefix's own template.
const deadLetterPriority = 1000

// DeadLetterTemplate returns the name and body of the index template of the
// dead letters under a prefix. The payload is kept and not indexed.
func DeadLetterTemplate(prefix string) (name string, body []byte, err error) {
	keyword := map[string]any{"type": "keyword", "ignore_above": 1024}
	body, err = json.Marshal(map[string]any{
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
	return DeadLetterIndex(prefix), body, err
}

// DeadLetter keeps what could not be made into documents. done is called as by Put.
func (ix *Indexer) DeadLetter(source Source, stage string, reason error, payload []byte, done func()) error {
	letter := deadLetter{
		Stage: stage,
		Error: deadLetterError{Type: stage + "_error", Reason: reason.Error()},
	}
	ix.cfg.Log.Error().Str("shard", source.Shard).Str("sequence_number", source.SequenceNumber).
		Str("stage", stage).Err(reason).Msg("record kept as a dead letter")
	return ix.Put(ix.newLetter(letter, source, payload), done)
}

// letterOf is the dead letter of a refused document.
func (ix *Indexer) letterOf(one part, status int, reason itemError) *Documents {
	action, source := one.lines(0)
	var create struct {
		Create struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		} `json:"create"`
	}
	var origin struct {
		Group string `json:"log_group"`
		Log   string `json:"log_stream"`
	}
	// Both lines are our own; what cannot be read of them is left out.
	_ = json.Unmarshal(action, &create)
	_ = json.Unmarshal(source, &origin)
	return ix.newLetter(deadLetter{
		Stage: StageIndex,
		Error: deadLetterError{Type: reason.Type, Reason: fmt.Sprintf("%s (status %d)", reason.text(), status)},
		Index: create.Create.Index,
		ID:    create.Create.ID,
		Group: origin.Group,
		Log:   origin.Log,
	}, one.docs.source, source)
}

// newLetter completes a dead letter and makes it a document. Its id is that of
// what it is about, so that a re-delivery does not double it.
func (ix *Indexer) newLetter(letter deadLetter, source Source, payload []byte) *Documents {
	letter.Time = time.Now().UTC()
	letter.Stream, letter.Shard, letter.Number = source.Stream, source.Shard, source.SequenceNumber
	letter.index = DeadLetterIndex(ix.cfg.Prefix)
	letter.raw = append([]byte(nil), payload...)
	letter.Bytes = len(payload)
	hash := sha256.New()
	for _, s := range []string{source.Stream, source.Shard, source.SequenceNumber, letter.Stage, letter.Index, letter.ID, string(payload)} {
		fmt.Fprintf(hash, "%d:%s", len(s), s)
	}
	letter.id = hex.EncodeToString(hash.Sum(nil)[:16])

	docs := NewDocuments(source)
	docs.letter = &letter
	docs.writeLetter()
	return docs
}

// writeLetter makes the set's dead letter its one document.
func (d *Documents) writeLetter() {
	letter := d.letter
	letter.Payload, letter.Encoding = string(letter.raw), "text"
	if !utf8.Valid(letter.raw) {
		letter.Payload, letter.Encoding = base64.StdEncoding.EncodeToString(letter.raw), "base64"
	}
	action := map[string]any{"create": map[string]string{"_index": letter.index, "_id": letter.id}}
	d.Body, d.ends = nil, d.ends[:0]
	for _, line := range []any{action, letter} {
		// Strings, numbers and a time always marshal.
		text, _ := json.Marshal(line)
		d.Body = append(append(d.Body, text...), '\n')
	}
	d.Next()
}

// cutPayload halves a dead letter's payload, as it is too large for OpenSearch.
func (d *Documents) cutPayload() {
	d.letter.raw = d.letter.raw[:len(d.letter.raw)/2]
	d.letter.Truncated = true
	d.writeLetter()
}
