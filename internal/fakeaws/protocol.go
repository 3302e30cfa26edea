package fakeaws

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// operation handles the body of a request. It returns a value to be sent as JSON, an answer
// that writes itself, or nil for an empty answer.
type operation func(k *Kinesis, body []byte) (any, error)

// answer is a large answer that writes itself.
type answer interface {
	size() int
	writeTo(w *bufio.Writer)
}

// op returns an operation that parses its input and calls run.
func op[In any](run func(k *Kinesis, in *In) (any, error)) operation {
	return func(k *Kinesis, body []byte) (any, error) {
		in := new(In)
		if err := unmarshal(body, in); err != nil {
			return nil, failf(codeSerialization, "%v", err)
		}
		return run(k, in)
	}
}

// operations maps names in X-Amz-Target to operations.
var operations = map[string]operation{
	"CreateStream":          op((*Kinesis).createStream),
	"DeleteStream":          op((*Kinesis).deleteStream),
	"DescribeStream":        op((*Kinesis).describeStream),
	"DescribeStreamSummary": op((*Kinesis).describeStreamSummary),
	"GetRecords":            op((*Kinesis).getRecords),
	"GetShardIterator":      op((*Kinesis).getShardIterator),
	"ListShards":            op((*Kinesis).listShards),
	"ListStreams":           op((*Kinesis).listStreams),
	"MergeShards":           op((*Kinesis).mergeShards),
	"PutRecord":             op((*Kinesis).putRecord),
	"PutRecords":            op((*Kinesis).putRecords),
	"SplitShard":            op((*Kinesis).splitShard),
	"UpdateShardCount":      op((*Kinesis).updateShardCount),
}

const (
	maxBody      = 32 << 20 // more than any request that the service accepts
	answerBuffer = 64 << 10
)

// ServeHTTP implements http.Handler.
func (k *Kinesis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("Date", k.options.Clock().UTC().Format(http.TimeFormat))
	status := http.StatusOK
	result, err := k.run(w, r)
	if err != nil {
		api := &APIError{Code: codeInternal, Message: err.Error(), Status: http.StatusInternalServerError}
		errors.As(err, &api)
		if status = api.Status; status == 0 {
			status = http.StatusBadRequest
		}
		result = map[string]string{"__type": api.Code, "message": api.Message}
	}
	// A failed write means that the client has gone, so the error is ignored.
	if large, ok := result.(answer); ok {
		h.Set("Content-Length", strconv.Itoa(large.size()))
		w.WriteHeader(status)
		buffered := k.writers.Get().(*bufio.Writer)
		buffered.Reset(w)
		large.writeTo(buffered)
		_ = buffered.Flush()
		buffered.Reset(nil)
		k.writers.Put(buffered)
		return
	}
	var body []byte
	if result != nil {
		if body, err = json.Marshal(result); err != nil {
			body, status = nil, http.StatusInternalServerError
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// run runs the operation of a request.
func (k *Kinesis) run(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
	f, known := operations[name]
	if !ours || !known {
		return nil, failf(codeUnknown, "%q is not an operation of this Kinesis", r.Header.Get("X-Amz-Target"))
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, failf(codeSerialization, "read the request: %v", err)
	}
	return f(k, body)
}

// readBody reads a request into its own buffer, which stored records keep pointing to.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(limited)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(limited, body)
	return body, err
}
