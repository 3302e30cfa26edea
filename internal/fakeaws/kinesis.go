package fakeaws

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// KinesisOptions change what the service does.
type KinesisOptions struct {
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	// NoReadLimits lifts the limits of calls and bytes per shard and second.
	NoReadLimits bool
	// IteratorLifetime is how long a shard iterator is good; the service's 5
	// minutes if zero.
	IteratorLifetime time.Duration
}

// Kinesis is the service: an http.Handler.
type Kinesis struct {
	options KinesisOptions
	numbers atomic.Uint64 // sequence numbers given
	fault   atomic.Pointer[func(operation, shardID string) *APIError]

	mu      sync.RWMutex
	streams map[string]*stream
}

// NewKinesis makes a service without streams.
func NewKinesis(options KinesisOptions) *Kinesis {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.IteratorLifetime == 0 {
		options.IteratorLifetime = 5 * time.Minute
	}
	return &Kinesis{options: options, streams: make(map[string]*stream)}
}

// Fail sets a function that is asked before each operation, with the shard it
// is about, if any. An error that it returns is the answer.
func (k *Kinesis) Fail(fault func(operation, shardID string) *APIError) { k.fault.Store(&fault) }

// APIError is an error answer of the service.
type APIError struct {
	// Code is the exception's name, such as ProvisionedThroughputExceededException.
	Code    string
	Message string
	// Status is the HTTP status; 400 if zero.
	Status int
}

func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// Exceptions of the service.
const (
	codeInvalidArgument = "InvalidArgumentException"
	codeNotFound        = "ResourceNotFoundException"
	codeInUse           = "ResourceInUseException"
	codeLimit           = "LimitExceededException"
	codeValidation      = "ValidationException"
	codeExpiredIterator = "ExpiredIteratorException"
	codeThroughput      = "ProvisionedThroughputExceededException"
)

func failf(code, format string, args ...any) error {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// operation answers a request body with a value to be sent as JSON, or bytes
// to be sent as they are.
type operation func(k *Kinesis, body []byte) (any, error)

// op reads the input of an operation.
func op[In any](name string, f func(k *Kinesis, in *In) (any, error)) operation {
	return func(k *Kinesis, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, failf("SerializationException", "%v", err)
		}
		if fault := k.fault.Load(); fault != nil {
			shard := ""
			if about, ok := any(in).(interface{ shard() string }); ok {
				shard = about.shard()
			}
			if err := (*fault)(name, shard); err != nil {
				return nil, err
			}
		}
		return f(k, in)
	}
}

// operations by the name in X-Amz-Target.
var operations = map[string]operation{
	"CreateStream":          op("CreateStream", (*Kinesis).createStream),
	"DeleteStream":          op("DeleteStream", (*Kinesis).deleteStream),
	"DescribeStream":        op("DescribeStream", (*Kinesis).describeStream),
	"DescribeStreamSummary": op("DescribeStreamSummary", (*Kinesis).describeStreamSummary),
	"GetRecords":            op("GetRecords", (*Kinesis).getRecords),
	"GetShardIterator":      op("GetShardIterator", (*Kinesis).getShardIterator),
	"ListShards":            op("ListShards", (*Kinesis).listShards),
	"MergeShards":           op("MergeShards", (*Kinesis).mergeShards),
	"PutRecord":             op("PutRecord", (*Kinesis).putRecord),
	"PutRecords":            op("PutRecords", (*Kinesis).putRecords),
	"SplitShard":            op("SplitShard", (*Kinesis).splitShard),
	"UpdateShardCount":      op("UpdateShardCount", (*Kinesis).updateShardCount),
}

// maxBody is above any request that the service takes.
const maxBody = 32 << 20

// ServeHTTP answers one request.
func (k *Kinesis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("Date", k.options.Clock().UTC().Format(http.TimeFormat))
	answer, err := k.answer(w, r)
	if err != nil {
		api := &APIError{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
		errors.As(err, &api)
		answer, _ = json.Marshal(map[string]string{"__type": api.Code, "message": api.Message})
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(max(api.Status, http.StatusBadRequest))
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	}
	w.Write(answer)
}

func (k *Kinesis) answer(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
	run, known := operations[name]
	if !ours || !known {
		return nil, failf("UnknownOperationException", "%q is not an operation of this Kinesis", r.Header.Get("X-Amz-Target"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, failf("SerializationException", "%v", err)
	}
	result, err := run(k, body)
	if err != nil {
		return nil, err
	}
	if raw, ok := result.([]byte); ok {
		return raw, nil
	}
	if result == nil {
		return nil, nil
	}
	return json.Marshal(result)
}

// streamRef names a stream, by name or by ARN.
type streamRef struct {
	StreamName string
	StreamARN  string
}

const arnPrefix = "arn:aws:kinesis:us-east-1:000000000000:stream/"

// stream finds the stream that a request is about.
func (k *Kinesis) stream(ref streamRef) (*stream, error) {
	name := ref.StreamName
	if name == "" {
		name = ref.StreamARN[strings.LastIndex(ref.StreamARN, "/")+1:]
	}
	if name == "" {
		return nil, failf(codeInvalidArgument, "either StreamName or StreamARN must be given")
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if s := k.streams[name]; s != nil {
		return s, nil
	}
	return nil, failf(codeNotFound, "Stream %s under account 000000000000 not found.", name)
}

// firstNumber makes sequence numbers as long as the service's, so that they
// are in the same order as strings and as numbers.
const firstNumber = "49600000000000000000000000000000000"

func sequenceNumber(n uint64) string { return fmt.Sprintf("%s%021d", firstNumber, n) }

// parseSequenceNumber reads a sequence number given by this service.
func parseSequenceNumber(s string) (uint64, error) {
	digits, ours := strings.CutPrefix(s, firstNumber)
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ours || err != nil {
		return 0, failf(codeInvalidArgument, "%q is not a valid sequence number", s)
	}
	return n, nil
}
