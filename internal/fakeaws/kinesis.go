package fakeaws

import (
	"bufio"
	"math"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// KinesisOptions change what the service does. The zero value is the service
// with its limits and with all records kept.
type KinesisOptions struct {
	// Clock tells the time; time.Now if nil. It must be safe for concurrent use.
	Clock func() time.Time
	// NoReadLimits lifts the limits of GetRecords calls and bytes per shard and
	// second. Those of one answer stay.
	NoReadLimits bool
	// IteratorLifetime is how long a shard iterator is good; the service's 5
	// minutes if zero.
	IteratorLifetime time.Duration
	// Retention is how long records, and shards once they are closed, are kept.
	// Zero keeps them for good.
	Retention time.Duration
	// MaxRecordBytes bounds a record's data and partition key together, as a
	// stream's MaxRecordSizeInKiB does; the service's 1 MiB if zero.
	MaxRecordBytes int
	// Account owns the streams; that of the callers if empty. Streams of another
	// account are found by their ARN only.
	Account string
}

// Kinesis is the service: an http.Handler.
type Kinesis struct {
	options KinesisOptions
	numbers atomic.Uint64 // sequence numbers given
	fault   atomic.Pointer[func(shardID string) error]
	writers sync.Pool // of *bufio.Writer

	mu      sync.RWMutex // before that of a stream
	streams map[string]*stream
}

// NewKinesis makes a service without streams.
func NewKinesis(opts KinesisOptions) *Kinesis {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.IteratorLifetime == 0 {
		opts.IteratorLifetime = 5 * time.Minute
	}
	if opts.MaxRecordBytes == 0 {
		opts.MaxRecordBytes = 1 << 20
	}
	if opts.Account == "" {
		opts.Account = account
	}
	k := &Kinesis{options: opts, streams: make(map[string]*stream)}
	k.writers.New = func() any { return bufio.NewWriterSize(nil, answerBuffer) }
	return k
}

// FailPut sets a function that is asked before each record is put, alone or
// with others, with the shard it goes to: the error fails that record. It is an
// *APIError; any other is an InternalFailure. It is called from many goroutines. A
// nil function ends the faults. Inject has those of whole calls.
func (k *Kinesis) FailPut(f func(shardID string) error) {
	if f == nil {
		k.fault.Store(nil)
		return
	}
	k.fault.Store(&f)
}

// failed asks for the fault of a record.
func (k *Kinesis) failed(shardID string) error {
	if f := k.fault.Load(); f != nil {
		return (*f)(shardID)
	}
	return nil
}

// now is the time in milliseconds since the epoch, as exact as the service is.
func (k *Kinesis) now() int64 { return k.options.Clock().UnixMilli() }

// horizon is the time before which everything is forgotten.
func (k *Kinesis) horizon() int64 {
	if k.options.Retention <= 0 {
		return math.MinInt64
	}
	return k.now() - k.options.Retention.Milliseconds()
}

// streamRef names a stream, by name or by ARN.
type streamRef struct {
	StreamName string
	StreamARN  string
}

const account = "000000000000" // of the callers

// streamARN is the pattern of the API reference, in one region and partition.
var streamARN = regexp.MustCompile(`^arn:aws:kinesis:us-east-1:(\d{12}):stream/(\S+)$`)

// arn is the ARN of a stream.
func (k *Kinesis) arn(name string) string {
	return "arn:aws:kinesis:us-east-1:" + k.options.Account + ":stream/" + name
}

// stream finds the stream that a request is about.
func (k *Kinesis) stream(ref streamRef) (*stream, error) {
	name, owner := ref.StreamName, account
	if ref.StreamARN != "" {
		parts := streamARN.FindStringSubmatch(ref.StreamARN)
		switch {
		case parts == nil:
			return nil, failf(codeValidation, "1 validation error detected: Value '%s' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", ref.StreamARN, streamARN)
		case name != "" && name != parts[2]:
			return nil, failf(codeInvalidArgument, "StreamARN %s and StreamName %s are different streams", ref.StreamARN, name)
		}
		owner, name = parts[1], parts[2]
	}
	if name == "" {
		return nil, failf(codeInvalidArgument, "Either StreamName or StreamARN must be provided.")
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if s := k.streams[name]; s != nil && owner == k.options.Account {
		return s, nil
	}
	return nil, failf(codeNotFound, "Stream %s under account %s not found.", name, owner)
}
