package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The work of subscription and mapping done with encoding/json, for comparison.

// timeLayout is the layout of @timestamp.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

const dataMessage = "DATA_MESSAGE"

// writeStructs does the work of subscription and mapping with encoding/json and structs.
func writeStructs(request, text []byte) ([]byte, error) {
	var envelope struct {
		MessageType string `json:"messageType"`
		Owner       string `json:"owner"`
		LogGroup    string `json:"logGroup"`
		LogStream   string `json:"logStream"`
		LogEvents   []struct {
			ID        string `json:"id"`
			Timestamp int64  `json:"timestamp"`
			Message   string `json:"message"`
		} `json:"logEvents"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil || envelope.MessageType != dataMessage {
		return request, err
	}
	document := struct {
		Time      string `json:"@timestamp"`
		Message   string `json:"message"`
		LogGroup  string `json:"log_group"`
		LogStream string `json:"log_stream"`
		Owner     string `json:"owner"`
	}{LogGroup: envelope.LogGroup, LogStream: envelope.LogStream, Owner: envelope.Owner}
	to, encoder := newEncoder(request)
	for _, e := range envelope.LogEvents {
		at := time.UnixMilli(e.Timestamp).UTC()
		writeAction(to, e.ID, at)
		document.Time, document.Message = at.Format(timeLayout), e.Message
		if err := encoder.Encode(&document); err != nil {
			return request, err
		}
	}
	return to.Bytes(), nil
}

// writeMaps does the same with maps, into which encoding/json decodes JSON of unknown structure.
func writeMaps(request, text []byte) ([]byte, error) {
	var envelope map[string]any
	if err := json.Unmarshal(text, &envelope); err != nil || envelope["messageType"] != dataMessage {
		return request, err
	}
	events, _ := envelope["logEvents"].([]any)
	to, encoder := newEncoder(request)
	for _, each := range events {
		e, _ := each.(map[string]any)
		id, isText := e["id"].(string)
		timestamp, isNumber := e["timestamp"].(float64)
		if !isText || !isNumber {
			return request, fmt.Errorf("not a log event: %v", each)
		}
		at := time.UnixMilli(int64(timestamp)).UTC()
		writeAction(to, id, at)
		if err := encoder.Encode(map[string]any{
			"@timestamp": at.Format(timeLayout), "message": e["message"],
			"log_group": envelope["logGroup"], "log_stream": envelope["logStream"], "owner": envelope["owner"],
		}); err != nil {
			return request, err
		}
	}
	return to.Bytes(), nil
}

// newEncoder returns an encoder that appends to a request. Each document ends with a newline.
func newEncoder(request []byte) (*bytes.Buffer, *json.Encoder) {
	to := bytes.NewBuffer(request)
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return to, encoder
}

// writeAction writes the line before a document.
func writeAction(to *bytes.Buffer, id string, at time.Time) {
	line := append(to.AvailableBuffer(), `{"create":{"_index":"`+indexPrefix+`-`...)
	line = at.AppendFormat(line, time.DateOnly)
	line = append(line, `","_id":"`...)
	line = append(line, id...)
	to.Write(append(line, "\"}}\n"...))
}
