package indexer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/internal/statelog"
	"logsluice/opensearch"
)

// The indexer as callers see it: its configuration, Put and Close.

// Config bounds the batches and the work in flight.
type Config struct {
	// Prefix of the index names. The dead-letter index has it too.
	Prefix string
	// BatchBytes and BatchDocuments end a batch: the size of the request's body in bytes,
	// and its number of documents. OpenSearch works best with 5 to 15 MB.
	BatchBytes     int
	BatchDocuments int
	// Linger is how long at most a document waits for its batch to fill.
	Linger time.Duration
	// Connections is the maximum number of concurrent requests. There are fewer while
	// OpenSearch pushes back or is slow.
	Connections int
	// RequestTimeout bounds one request. Documents of a request that times out are sent
	// again.
	RequestTimeout time.Duration
	// RetryMin and RetryMax bound the pause before documents are sent again. It is
	// random, from 0 to RetryMin, which doubles with each attempt up to RetryMax.
	RetryMin, RetryMax time.Duration
	// Gzip compresses request bodies.
	Gzip bool
	// NoIDs is for an OpenSearch that does not accept ids from clients: documents and
	// dead letters are sent without ids.
	NoIDs bool
	// InFlightBytes bounds the memory of documents without an outcome in the whole
	// process. Reserve waits for documents that do not fit.
	InFlightBytes int64
	// WaitForIndex is how long documents wait for an index that does not accept them
	// before they become dead letters, not counting outages. 0 waits indefinitely.
	WaitForIndex time.Duration
	// Store keeps dead letters that their index has refused for WaitForIndex. If it is
	// nil, they wait for the index.
	Store Store
	// Remedy returns what to do about a request's error, for the log, or "" if that is
	// not known. It may be nil.
	Remedy func(error) string
	// Fallback makes simpler versions of documents that are refused.
	Fallback Fallback
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

func (c Config) check() error {
	for _, bound := range []struct {
		name string
		ok   bool
	}{
		{"an index prefix", c.Prefix != ""},
		{"batch bytes above 0", c.BatchBytes > 0},
		{"batch documents above 0", c.BatchDocuments > 0},
		{"a linger of 0 or more", c.Linger >= 0},
		{"connections above 0", c.Connections > 0},
		{"a request timeout above 0", c.RequestTimeout > 0},
		{"bytes in flight above 0", c.InFlightBytes > 0},
		{"a wait for an index of 0 or more", c.WaitForIndex >= 0},
		{"a fallback for refused documents", c.Fallback != nil},
		{"retry pauses above 0, the maximum not below the minimum", c.RetryMin > 0 && c.RetryMax >= c.RetryMin},
	} {
		if !bound.ok {
			return errors.New("the indexer needs " + bound.name)
		}
	}
	return nil
}

// Indexer sends documents until each has its outcome: indexed, already present, or kept
// as a dead letter. Reserve and Begin bound the work in flight.
type Indexer struct {
	cfg     Config
	client  opensearch.Client
	metrics metrics
	budget  *budget
	reasons reasons
	aliases aliases

	retriesLog, refusedLog, lettersLog, storeLog sampler
	requests                                     statelog.Changes // whether requests are answered

	inbox   *inbox
	results chan result            // results of requests
	ends    chan shardEnd          // shards that are read to their end
	pings   chan struct{}          // received by the dispatcher while it is alive
	queries chan func(*dispatcher) // functions that the dispatcher calls

	sheds        sync.Map    // by shard: the function that drops the shard to read it again later
	hasTargets   atomic.Bool // an index does not accept documents
	wrongSetting atomic.Pointer[wrongSetting]
	stalled      atomic.Pointer[error]
	ctx          context.Context // canceled by Close
	cancel       context.CancelFunc
	running      sync.WaitGroup
}

// New starts an indexer. Close stops it.
func New(cfg Config, client opensearch.Client) (*Indexer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ix := &Indexer{
		cfg:     cfg,
		client:  client,
		budget:  newBudget(cfg.InFlightBytes),
		inbox:   newInbox(),
		results: make(chan result),
		ends:    make(chan shardEnd),
		ctx:     ctx,
		cancel:  cancel,
		pings:   make(chan struct{}),
		queries: make(chan func(*dispatcher)),
	}
	if err := errors.Join(ix.metrics.register(cfg.Registry, ix.budget), cfg.Registry.Register(newOldestDocuments(ix))); err != nil {
		cancel()
		return nil, fmt.Errorf("register the indexer's metrics: %w", err)
	}
	ix.running.Go(newDispatcher(ix).run)
	return ix, nil
}

// Put accepts documents for which bytes were reserved. done is called once, usually from
// another goroutine, and must not block. settled reports whether each document was indexed,
// already present, or kept as a dead letter. After ctx ends, failed documents are not
// sent again and settled is false. Put returns an error if the indexer is closed; done is
// not called then. The reservation is released in any case.
func (ix *Indexer) Put(ctx context.Context, docs *Documents, reserved int64, done func(settled bool)) error {
	shard := docs.source.Shard
	if docs.Len() == 0 {
		docs.Recycle()
		ix.budget.add(shard, -reserved)
		done(true)
		return nil
	}
	docs.group = &putGroup{ctx: ctx, put: time.Now(), done: done, pending: docs.Len()}
	docs.reserved, docs.pending, docs.bytes = reserved, docs.Len(), len(docs.Body)
	if docs.fallback != nil {
		ix.reportLetter(docs)
	}
	if ix.ctx.Err() != nil {
		ix.budget.add(shard, -reserved)
		return errors.New("put documents: the indexer is closed")
	}
	ix.inbox.put(part{docs: docs, to: docs.Len(), fallback: docs.fallback})
	return nil
}

// reportLetter logs that a record, or a part of it, becomes a dead letter.
func (ix *Indexer) reportLetter(docs *Documents) {
	leftOut, ok := ix.lettersLog.allow()
	if !ok {
		return
	}
	of := docs.fallback.letter
	ix.cfg.Log.Error().Str("shard", docs.source.Shard).Str("sequence_number", docs.source.SequenceNumber).
		Str("stage", of.Stage).Str("error", of.Cause.Reason).Int("lines_left_out", leftOut).Msg("record kept as a dead letter")
}

// Close stops the indexer immediately. Documents without an outcome get none.
func (ix *Indexer) Close() {
	ix.cancel()
	ix.running.Wait()
}
