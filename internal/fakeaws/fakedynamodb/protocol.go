package fakedynamodb

import (
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// operation handles the body of a request and returns a value to be sent as JSON.
type operation func(d *DynamoDB, body []byte) (any, error)

// input parses the input of an operation and runs it with the service's lock held.
func input[In any](run func(d *DynamoDB, in *In) (any, error)) operation {
	return func(d *DynamoDB, body []byte) (any, error) {
		in := new(In)
		if err := unmarshal(body, in); err != nil {
			return nil, err
		}
		if old, ok := any(in).(interface{ checkSupported() error }); ok {
			if err := old.checkSupported(); err != nil {
				return nil, err
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return run(d, in)
	}
}

// unmarshal parses JSON. It distinguishes invalid JSON from invalid values.
func unmarshal(body []byte, in any) error {
	err := json.Unmarshal(body, in)
	var api *APIError
	if err == nil || errors.As(err, &api) {
		return err
	}
	return failf(codeSerialization, "%v", err)
}

// unsupported are parameters that are rejected instead of being ignored.
type unsupported struct {
	AttributesToGet, AttributeUpdates, ConditionalOperator, Expected     json.RawMessage
	ScanFilter, IndexName, GlobalSecondaryIndexes, LocalSecondaryIndexes json.RawMessage
	Segment, TotalSegments, Select                                       json.RawMessage
}

func (u unsupported) checkSupported() error {
	for name, raw := range map[string]json.RawMessage{
		"AttributesToGet": u.AttributesToGet, "AttributeUpdates": u.AttributeUpdates,
		"ConditionalOperator": u.ConditionalOperator, "Expected": u.Expected,
		"ScanFilter": u.ScanFilter, "IndexName": u.IndexName,
		"GlobalSecondaryIndexes": u.GlobalSecondaryIndexes, "LocalSecondaryIndexes": u.LocalSecondaryIndexes,
		"Segment": u.Segment, "TotalSegments": u.TotalSegments, "Select": u.Select,
	} {
		if raw != nil && string(raw) != "null" {
			return invalidf("%s is not supported by this DynamoDB", name)
		}
	}
	return nil
}

// operations maps names in X-Amz-Target to operations.
var operations = map[string]operation{
	"CreateTable":   input((*DynamoDB).createTable),
	"DeleteItem":    input((*DynamoDB).deleteItem),
	"DeleteTable":   input((*DynamoDB).deleteTable),
	"DescribeTable": input((*DynamoDB).describeTable),
	"GetItem":       input((*DynamoDB).getItem),
	"ListTables":    input((*DynamoDB).listTables),
	"PutItem":       input((*DynamoDB).putItem),
	"Scan":          input((*DynamoDB).scan),
	"UpdateItem":    input((*DynamoDB).updateItem),
}

const maxBody = 16 << 20

// ServeHTTP implements http.Handler.
func (d *DynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	result, err := d.run(w, r)
	var body []byte
	if err == nil {
		body, err = json.Marshal(result)
	}
	if err != nil {
		api := &APIError{Code: codeInternal, Message: err.Error(), Status: http.StatusInternalServerError}
		errors.As(err, &api)
		if status = api.Status; status == 0 {
			status = http.StatusBadRequest
		}
		body, _ = json.Marshal(struct { // cannot fail
			Type    string `json:"__type"`
			Message string `json:"message"`
			Item    item   `json:",omitempty"`
		}{api.typeName(), api.Message, api.item})
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Date", d.options.Clock().UTC().Format(http.TimeFormat))
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a failed write means that the client has gone
}

// run runs the operation of a request.
func (d *DynamoDB) run(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	f, known := operations[name]
	if !ours || !known {
		return nil, failf(codeUnknown, "%q is not an operation of this DynamoDB", r.Header.Get("X-Amz-Target"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, failf(codeSerialization, "read the request: %v", err)
	}
	d.mu.Lock()
	d.usage.Calls[name]++
	d.mu.Unlock()
	return f(d, body)
}
