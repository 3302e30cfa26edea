package main

import (
	"encoding/json"
	"strings"
	"time"

	"logsluice/subscription"
)

// dynamic makes documents for an index without a template, as functions on AWS
// Lambda do that follow AWS's sample.
type dynamic struct {
	// keys adds all keys of the JSON object that a message is, or ends with.
	keys bool
	id   bool // adds the event's id as a field

	owner, logGroup, logStream string
}

// Begin implements encoder.
func (d *dynamic) Begin(envelope *subscription.Envelope) {
	d.owner, d.logGroup, d.logStream = envelope.Owner.String(), envelope.LogGroup.String(), envelope.LogStream.String()
}

// Append implements encoder.
func (d *dynamic) Append(dst []byte, event *subscription.Event) []byte {
	at, message := time.UnixMilli(event.Timestamp).UTC(), event.Message.String()
	document := map[string]any{}
	if begin := strings.IndexByte(message, '{'); d.keys && begin >= 0 && json.Valid([]byte(message[begin:])) {
		// It is an object, as it begins with a brace.
		_ = json.Unmarshal([]byte(message[begin:]), &document)
	}
	document["@timestamp"], document["message"] = at.Format(timeLayout), message
	document["owner"], document["log_group"], document["log_stream"] = d.owner, d.logGroup, d.logStream
	if d.id {
		document["@id"] = string(event.ID)
	}
	to, encoder := newEncoder(dst)
	writeAction(to, string(event.ID), at)
	_ = encoder.Encode(document) // what JSON was, or strings
	return to.Bytes()
}
