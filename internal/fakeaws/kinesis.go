package fakeaws

import (
	"bufio"
	"math"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// KinesisOptions configures the service. The zero value has the service's limits and keeps
// all records.
type KinesisOptions struct {
	// Clock returns the time. It is time.Now if nil, and must be safe for concurrent use.
	Clock func() time.Time
	// NoReadLimits removes the limits of GetRecords calls and bytes per shard and second, but
	// not those of one answer.
	NoReadLimits bool
	// IteratorLifetime is how long a shard iterator is valid, the service's 5 minutes if zero.
	IteratorLifetime time.Duration
	// Retention is how long records and closed shards are kept. Zero keeps them forever.
	Retention time.Duration
	// MaxRecordBytes bounds the size of a record's data and partition key, like a stream's
	// MaxRecordSizeInKiB. It is the service's 1 MiB if zero.
	MaxRecordBytes int
	// Account owns the streams. It is the callers' account if empty. Streams of another
	// account are only found by ARN.
	Account string
}

// Kinesis is the service. It is an http.Handler.
type Kinesis struct {
	options KinesisOptions
	numbers atomic.Uint64 // last sequence number
	fault   atomic.Pointer[func(shardID string) error]
	writers sync.Pool // of *bufio.Writer

	mu      sync.RWMutex // locked before that of a stream
	streams map[string]*stream
}

// NewKinesis returns a service without streams.
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

// FailPut sets a function that is called with the target shard before each record is put,
// alone or with others. If it returns an error, that record fails. An error that is not an
// *APIError becomes an InternalFailure. f must be safe for concurrent use. A nil function ends
// the faults. Inject injects faults into whole calls.
func (k *Kinesis) FailPut(f func(shardID string) error) {
	if f == nil {
		k.fault.Store(nil)
		return
	}
	k.fault.Store(&f)
}

// faultOf returns the fault of a record for a shard, nil without one.
func (k *Kinesis) faultOf(shardID string) error {
	if f := k.fault.Load(); f != nil {
		return (*f)(shardID)
	}
	return nil
}

// now returns the time in milliseconds since the Unix epoch, the precision of the service.
func (k *Kinesis) now() int64 { return k.options.Clock().UnixMilli() }

// horizon returns the time before which all records have expired.
func (k *Kinesis) horizon() int64 {
	if k.options.Retention <= 0 {
		return math.MinInt64
	}
	return k.now() - k.options.Retention.Milliseconds()
}

// streamRef identifies a stream by name or ARN.
type streamRef struct {
	StreamName string
	StreamARN  string
}

const account = "000000000000" // the callers' account

// streamARN is the pattern of the API reference, in one region and partition.
var streamARN = regexp.MustCompile(`^arn:aws:kinesis:us-east-1:(\d{12}):stream/(\S+)$`)

// arn returns the ARN of a stream.
func (k *Kinesis) arn(name string) string {
	return "arn:aws:kinesis:us-east-1:" + k.options.Account + ":stream/" + name
}

// stream returns the stream of a request.
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
