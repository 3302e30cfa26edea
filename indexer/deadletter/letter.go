package deadletter

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
)

// A dead letter: its members, its ids, and how it is written.

// Stages at which a dead letter can arise.
const (
	StageInflate = "inflate" // the record is not valid gzip
	StageParse   = "parse"   // the record or a part of it is not a subscription envelope or event
	StageIndex   = "index"   // OpenSearch refuses the document
	StageBlocked = "blocked" // the index did not accept documents for too long
)

// Letter is a dead letter as stored in its index. Its members, in this order, are the
// fields of the index template and of the index pattern. The tag index is a field's type
// in the index, or - for a field that is stored but not indexed.
type Letter struct {
	Time  time.Time `json:"@timestamp" index:"date"`
	Stage string    `json:"stage" index:"keyword"`
	Cause Cause     `json:"error"`
	// TargetIndex and TargetID are the document's, or "" if the letter is not about a
	// document.
	TargetIndex string `json:"target_index,omitempty" index:"keyword"`
	TargetID    string `json:"target_id,omitempty" index:"keyword"`
	// LogGroup and LogStream are the event's, or "" if they are not known.
	LogGroup  string `json:"log_group,omitempty" index:"keyword"`
	LogStream string `json:"log_stream,omitempty" index:"keyword"`
	// Stream, Shard and SequenceNumber are the record's.
	Stream         string `json:"stream" index:"keyword"`
	Shard          string `json:"shard" index:"keyword"`
	SequenceNumber string `json:"sequence_number" index:"keyword"`
	// PayloadEncoding is EncodingText or EncodingBase64.
	PayloadEncoding string `json:"payload_encoding" index:"keyword"`
	// PayloadBytes is the payload's size before it was encoded or cut.
	PayloadBytes int `json:"payload_bytes" index:"long"`
	// PayloadTruncated reports whether the payload was cut, to MaxPayload or to what
	// OpenSearch accepted.
	PayloadTruncated bool `json:"payload_truncated" index:"boolean"`
	// Payload is the record, a part of it, or the log event of a document. It is set only
	// in letters read from the index; AppendSource gets it as an argument.
	Payload string `json:"payload,omitempty" index:"-"`
}

// Cause is why something could not be indexed, as OpenSearch reports it if it was asked.
type Cause struct {
	Type   string `json:"type" index:"keyword"`
	Reason string `json:"reason" index:"text"`
	// Status is OpenSearch's status, or 0 if OpenSearch was not asked.
	Status int `json:"status,omitempty" index:"short"`
}

// Encodings of a payload.
const (
	EncodingText   = "text"
	EncodingBase64 = "base64"
)

// EncodingOf returns an encoding in which a payload takes at most twice its size. Text
// that is mostly control characters would take six times as much, so it is encoded as
// base64.
func EncodingOf(payload []byte) string {
	if escapedLen(payload) > 2*len(payload) || !utf8.Valid(payload) {
		return EncodingBase64
	}
	return EncodingText
}

// escapedLen returns how many bytes a text takes inside of a JSON string.
func escapedLen(text []byte) int {
	n := len(text)
	for _, c := range text {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < ' ':
			n += len(`u0000`)
		}
	}
	for _, separator := range []string{"\u2028", "\u2029"} {
		n += bytes.Count(text, []byte(separator)) * (len(`\u2028`) - len(separator))
	}
	return n
}

// MaxPayload is the maximum number of payload bytes in a letter. Even in base64, that is
// less than the 50,000,000 characters that OpenSearch accepts in one string
// (opensearch.xcontent.string.length.max).
const MaxPayload = 32 << 20

// AppendSource appends a letter as one JSON object without a newline, with at most keep bytes
// of the payload. dst grows at most once, because a payload can take a large part of the
// memory that a worker may use.
func (l Letter) AppendSource(dst, payload []byte, keep int) []byte {
	kept := payload[:min(keep, len(payload))]
	l.Payload, l.PayloadTruncated = "", len(kept) < l.PayloadBytes
	// Strings, numbers and a time always marshal.
	members, _ := json.Marshal(l)
	const begin, end = `,"payload":"`, `"}`
	size := base64.StdEncoding.EncodedLen(len(kept))
	if l.PayloadEncoding == EncodingText {
		size = escapedLen(kept)
	}
	dst = slices.Grow(dst, len(members)+len(begin)+size+len(end)+len("\n"))
	dst = append(append(dst, bytes.TrimSuffix(members, []byte("}"))...), begin...)
	if l.PayloadEncoding == EncodingText {
		dst = appendEscaped(dst, kept)
	} else {
		dst = base64.StdEncoding.AppendEncode(dst, kept)
	}
	return append(dst, end...)
}

// AppendLine appends a line for the store: a letter with its id as _id, unless id is "", and a
// newline.
func (l Letter) AppendLine(dst []byte, id string, payload []byte, keep int) []byte {
	if id != "" {
		dst = append(append(append(dst, `{"_id":"`...), id...), '"')
	}
	brace := len(dst)
	dst = l.AppendSource(dst, payload, keep)
	if id != "" {
		dst[brace] = ','
	}
	return append(dst, '\n')
}

// DocumentID returns the id of a document's letter. It is a hash of index, id and
// message, so that a re-delivery does not add another letter. Several messages can have
// one id.
func (l *Letter) DocumentID(message []byte) string {
	return hashed([]byte(l.TargetIndex), []byte(l.TargetID), message)
}

// RecordID returns the id of the letter of a record or a part of it. It is a hash of the
// letter's stage, its place in the stream and the payload. The occurrence distinguishes
// equal letters of one record.
func (l *Letter) RecordID(occurrence int, payload []byte) string {
	return hashed([]byte(l.Stage), []byte(l.Stream), []byte(l.Shard), []byte(l.SequenceNumber),
		strconv.AppendInt(nil, int64(occurrence), 10), payload)
}

func hashed(parts ...[]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:", len(part))
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// appendEscaped appends text as the inside of a JSON string. text may be cut within its
// last rune. It is encoded in pieces to bound the memory.
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
