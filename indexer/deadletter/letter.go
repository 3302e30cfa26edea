package deadletter

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A dead letter: its members, its ids, and how it is written.

// Stages at which a dead letter can arise.
const (
	StageInflate = "inflate" // the record cannot be read by gzip
	StageParse   = "parse"   // it is not a subscription envelope, or not an event
	StageIndex   = "index"   // OpenSearch refuses the document
	StageBlocked = "blocked" // the index did not accept documents for too long
)

// Letter is a dead letter as its index has it. Its members, in this order, are the fields
// of the index template and of the index pattern: the tag index is a field's type in the
// index, or - for one that is kept and not indexed.
type Letter struct {
	Time  time.Time `json:"@timestamp" index:"date"`
	Stage string    `json:"stage" index:"keyword"`
	Cause Cause     `json:"error"`
	// TargetIndex and TargetID are those of the document, "" if the letter is not about one.
	TargetIndex string `json:"target_index,omitempty" index:"keyword"`
	TargetID    string `json:"target_id,omitempty" index:"keyword"`
	// LogGroup and LogStream are those of the event, "" if they are not known.
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
	// PayloadTruncated reports whether the payload is cut, as OpenSearch did not accept it whole.
	PayloadTruncated bool `json:"payload_truncated" index:"boolean"`
	// Payload is the record, a part of it, or the log event of a document. It is set in
	// letters that were read from their index; Source is given it apart.
	Payload string `json:"payload,omitempty" index:"-"`
}

// Cause is why something could not be indexed, in OpenSearch's words if it was asked.
type Cause struct {
	Type   string `json:"type" index:"keyword"`
	Reason string `json:"reason" index:"text"`
	// Status is that of OpenSearch's answer, 0 if it was not asked.
	Status int `json:"status,omitempty" index:"short"`
}

// Encodings of a payload.
const (
	EncodingText   = "text"
	EncodingBase64 = "base64"
)

// EncodingOf returns the encoding in which a payload takes at most twice its bytes: text
// that is mostly control characters would take six times as many.
func EncodingOf(payload []byte) string {
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
		return EncodingBase64
	}
	return EncodingText
}

// MaxPayload is how many bytes of a payload a letter keeps at most. In base64 too, that is
// less than the 50,000,000 characters that OpenSearch accepts as one string
// (opensearch.xcontent.string.length.max).
const MaxPayload = 32 << 20

// Source returns a letter with a payload, of which at most keep bytes are kept, as one
// JSON object without a newline.
func (l Letter) Source(payload []byte, keep int) []byte {
	kept := payload[:min(keep, len(payload))]
	l.Payload, l.PayloadTruncated = "", len(kept) < l.PayloadBytes
	// Strings, numbers and a time always marshal.
	members, _ := json.Marshal(l)
	line := append(make([]byte, 0, len(members)+2*len(kept)), bytes.TrimSuffix(members, []byte("}"))...)
	line = append(line, `,"payload":"`...)
	if l.PayloadEncoding == EncodingText {
		line = appendEscaped(line, kept)
	} else {
		line = base64.StdEncoding.AppendEncode(line, kept)
	}
	return append(line, "\"}"...)
}

// AppendLine appends a line of the store: a letter's source with its id as _id, unless
// that is "", and a newline.
func AppendLine(dst []byte, id string, source []byte) []byte {
	dst = append(dst, source[:1]...)
	if id != "" {
		dst = append(append(append(dst, `"_id":"`...), id...), `",`...)
	}
	return append(append(dst, source[1:]...), '\n')
}

// DocumentID returns the id of the letter of a document with a message: a hash of what it
// is about, so that a re-delivery does not double it. There can be several messages under
// one id.
func (l *Letter) DocumentID(message []byte) string {
	return hashed([]byte(l.TargetIndex), []byte(l.TargetID), message)
}

// RecordID returns the id of the letter of what was read at a place of the stream, which
// is a hash of it. The occurrence distinguishes equal letters of one record.
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
