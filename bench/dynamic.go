package main

import (
	"encoding/json"
	"strings"
	"time"

	"logsluice/subscription"
)

// dynamic writes documents for an index without a template, like functions on AWS Lambda that
// follow AWS's sample.
type dynamic struct {
	// keys adds all keys of the JSON object that a message is or ends with.
	keys bool
	id   bool // adds the event's id as a field
}

// AppendAll implements encoder.
func (d *dynamic) AppendAll(dst []byte, envelope *subscription.Envelope) []byte {
	to, encoder := newEncoder(dst)
	owner, logGroup, logStream := envelope.Owner.String(), envelope.LogGroup.String(), envelope.LogStream.String()
	for i := range envelope.Events {
		event := &envelope.Events[i]
		at, message := time.UnixMilli(event.Timestamp).UTC(), event.Message.String()
		document := map[string]any{}
		if begin := strings.IndexByte(message, '{'); d.keys && begin >= 0 && json.Valid([]byte(message[begin:])) {
			// It is a valid object, because it begins with a brace.
			_ = json.Unmarshal([]byte(message[begin:]), &document)
		}
		document["@timestamp"], document["message"] = at.Format(timeLayout), message
		document["owner"], document["log_group"], document["log_stream"] = owner, logGroup, logStream
		if d.id {
			document["@id"] = string(event.ID)
		}
		writeAction(to, string(event.ID), at)
		_ = encoder.Encode(document) // cannot fail for decoded JSON and strings
	}
	return to.Bytes()
}
