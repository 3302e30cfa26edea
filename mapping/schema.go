package mapping

import "logsluice/subscription"

// Field is one field of every document.
type Field struct {
	// Name is the field's name in the document.
	Name string
	// Meaning is one phrase on what the field holds, for people.
	Meaning string
	// Property is the field's definition in the index mapping.
	Property map[string]any

	// frame writes the field's JSON value, with gaps for what is each event's own;
	// nil for a field that only plain documents have.
	frame func(f *frame, envelope *subscription.Envelope, h *hour)
}

// Schema lists the fields of a document, in the order they are written.
type Schema []Field

// maxKeyword keeps a keyword below Lucene's limit of 32,766 bytes a term, at
// which OpenSearch refuses the document: a longer value stays in the document
// and is not indexed. CloudWatch itself ends at 512 characters for both names.
const maxKeyword = 1024

// Fields of a document that is there as text only.
const (
	timeField    = "@timestamp"
	messageField = "message"
	errorField   = "error"
)

// DefaultSchema is the schema of a document with the log line as it was, its
// time and its origin.
func DefaultSchema() Schema {
	keyword := map[string]any{"type": "keyword", "ignore_above": maxKeyword}
	return Schema{
		{
			Name:     timeField,
			Meaning:  "the event's time, RFC 3339 with milliseconds and the offset of `INDEX_TIMEZONE`",
			Property: map[string]any{"type": "date"},
			frame: func(f *frame, _ *subscription.Envelope, h *hour) {
				f.write(h.head)
				f.leave(ownClock)
				f.write(h.tail)
			},
		},
		{
			Name:     messageField,
			Meaning:  "the text as it was, searchable by its words",
			Property: map[string]any{"type": "text"},
			frame:    func(f *frame, _ *subscription.Envelope, _ *hour) { f.leave(ownMessage) },
		},
		{
			Name:     "log_group",
			Meaning:  "the CloudWatch log group",
			Property: keyword,
			frame:    func(f *frame, e *subscription.Envelope, _ *hour) { f.write(e.LogGroup) },
		},
		{
			Name:     "log_stream",
			Meaning:  "the CloudWatch log stream",
			Property: keyword,
			frame:    func(f *frame, e *subscription.Envelope, _ *hour) { f.write(e.LogStream) },
		},
		{
			Name:     "owner",
			Meaning:  "the AWS account the event comes from",
			Property: keyword,
			frame:    func(f *frame, e *subscription.Envelope, _ *hour) { f.write(e.Owner) },
		},
		{
			Name:     errorField,
			Meaning:  "of a document that OpenSearch refused as it was, and that is there as text only: `error.type` and `error.reason` say why",
			Property: map[string]any{"properties": map[string]any{"type": keyword, "reason": map[string]any{"type": "text"}}},
		},
	}
}
