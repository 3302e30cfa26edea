package main

import (
	"fmt"
	"time"

	"github.com/minio/simdjson-go"
)

// newSimdjson returns a writer that walks the tape of simdjson-go. Strings without escapes are
// not copied.
func newSimdjson() writer {
	var (
		parsed *simdjson.ParsedJson
		root   simdjson.Iter
		object simdjson.Object
		array  simdjson.Array
	)
	return func(dst, text []byte) ([]byte, error) {
		var err error
		if parsed, err = simdjson.Parse(text, parsed, simdjson.WithCopyStrings(false)); err != nil {
			return dst, err
		}
		iter := parsed.Iter()
		iter.Advance()
		if _, _, err := iter.Root(&root); err != nil {
			return dst, err
		}
		if _, err := root.Object(&object); err != nil {
			return dst, err
		}
		// The end of each document of the envelope.
		var tail []byte
		for _, field := range []struct{ from, to string }{{"logGroup", "log_group"}, {"logStream", "log_stream"}, {"owner", "owner"}} {
			value := object.FindKey(field.from, nil)
			if value == nil {
				return dst, fmt.Errorf("no %s", field.from)
			}
			tail = append(tail, `,"`+field.to+`":`...)
			if tail, err = value.Iter.MarshalJSONBuffer(tail); err != nil {
				return dst, err
			}
		}
		tail = append(tail, "}\n"...)
		kind, events := object.FindKey("messageType", nil), object.FindKey("logEvents", nil)
		if kind == nil || events == nil {
			return dst, fmt.Errorf("no messageType or no logEvents")
		}
		if is, err := kind.Iter.StringBytes(); err != nil || string(is) != dataMessage {
			return dst, err
		}
		if _, err := events.Iter.Array(&array); err != nil {
			return dst, err
		}
		array.ForEach(func(event simdjson.Iter) {
			if err == nil {
				dst, err = appendEvent(dst, &event, tail)
			}
		})
		return dst, err
	}
}

func appendEvent(dst []byte, event *simdjson.Iter, tail []byte) ([]byte, error) {
	var (
		object    simdjson.Object
		value     simdjson.Iter
		message   simdjson.Iter
		id        []byte
		timestamp int64
	)
	if _, err := event.Object(&object); err != nil {
		return dst, err
	}
	for {
		name, kind, err := object.NextElementBytes(&value)
		if err != nil {
			return dst, err
		}
		if kind == simdjson.TypeNone {
			break
		}
		switch string(name) {
		case "id":
			id, err = value.StringBytes()
		case "timestamp":
			timestamp, err = value.Int()
		case "message":
			message = value
		}
		if err != nil {
			return dst, fmt.Errorf("%s of an event: %w", name, err)
		}
	}
	at := time.UnixMilli(timestamp).UTC()
	dst = appendAction(dst, string(id), at)
	dst = append(dst, `{"@timestamp":"`...)
	dst = at.AppendFormat(dst, timeLayout)
	dst = append(dst, `","message":`...)
	dst, err := message.MarshalJSONBuffer(dst)
	return append(dst, tail...), err
}
