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

// Indexer from outside: its configuration, Put, and Close.

// Config bounds the batches and the work in flight.
type Config struct {
	// Prefix of the index names, for the dead-letter index.
	Prefix string
	// BatchBytes and BatchDocuments end a batch: the size of the request's body
	// in bytes, and its number of documents. OpenSearch works best with
	// 5 to 15 MB.
	BatchBytes     int
	BatchDocuments int
	// Linger is how long a document waits at the most for its batch to fill.
	Linger time.Duration
	// Connections is how many requests run at once, at the most: fewer while
	// OpenSearch pushes back or is slow.
	Connections int
	// RequestTimeout bounds one request. What it cuts off is sent again.
	RequestTimeout time.Duration
	// RetryMin and RetryMax bound the pause before documents are sent again:
	// at random from 0 to RetryMin, doubling with each attempt up to RetryMax.
	RetryMin, RetryMax time.Duration
	// Gzip compresses the requests' bodies.
	Gzip bool
	// NoIDs is for an OpenSearch that takes no ids from outside: the documents
	// have none, and so have the dead letters.
	NoIDs bool
	// InFlightBytes bounds the memory of documents without an outcome, in the whole
	// process: what does not fit waits in Reserve.
	InFlightBytes int64
	// WaitForIndex is how long documents wait for an index that does not accept them
	// until they become dead letters, outages not counted; 0 waits indefinitely.
	WaitForIndex time.Duration
	// Store keeps dead letters that their index has refused for as long; nil if they
	// are to wait.
	Store Store
	// Remedy returns what to do about the error of a request, for the log, "" if that is
	// not known. It may be nil.
	Remedy func(error) string
	// Fallback makes what can be indexed of a document that is refused.
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
		{"retry pauses above 0, the greatest not below the least", c.RetryMin > 0 && c.RetryMax >= c.RetryMin},
	} {
		if !bound.ok {
			return errors.New("the indexer needs " + bound.name)
		}
	}
	return nil
}

// Indexer sends documents until each has its outcome: it is indexed, found already
// there, or kept as a dead letter. What bounds the work is that Reserve and Begin
// let no more in.
type Indexer struct {
	cfg     Config
	client  opensearch.Client
	metrics metrics
	budget  *budget
	reasons reasons
	aliases aliases

	retriesLog, refusedLog, lettersLog, storeLog sampled
	requests                                     statelog.Changes // whether they are answered

	inbox   *inbox
	results chan result            // requests saying what became of their documents
	ends    chan shardEnd          // shards that are read to their ends
	pings   chan struct{}          // taken by the dispatcher when it is alive
	asks    chan func(*dispatcher) // called by the dispatcher

	watchers   sync.Map    // by shard: what is called to have it read again later
	watched    atomic.Bool // some index does not accept documents
	wrong      atomic.Pointer[wrong]
	standstill atomic.Pointer[error]
	ctx        context.Context // ends at Close
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// New starts an indexer; Close ends it.
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
		asks:    make(chan func(*dispatcher)),
	}
	if err := errors.Join(ix.metrics.register(cfg.Registry, ix.budget), cfg.Registry.Register(newOldestDocuments(ix))); err != nil {
		cancel()
		return nil, fmt.Errorf("register the indexer's metrics: %w", err)
	}
	ix.running.Go(newDispatcher(ix).run)
	return ix, nil
}

// Put accepts documents, for which bytes are reserved. done is called from another
// goroutine, once, and must not block: settled reports whether each of them is
// indexed, found already there, or kept as a dead letter. When ctx ends, what fails
// is not sent again, and done reports false. After an error, which says that the
// indexer is closed, done is not called. The reservation is released in any case.
func (ix *Indexer) Put(ctx context.Context, docs *Documents, reserved int64, done func(settled bool)) error {
	shard := docs.source.Shard
	if docs.Len() == 0 {
		docs.Recycle()
		ix.budget.add(shard, -reserved)
		done(true)
		return nil
	}
	docs.group = &ackGroup{ctx: ctx, put: time.Now(), done: done, pending: docs.Len()}
	docs.reserved, docs.undecided, docs.bytes = reserved, docs.Len(), len(docs.Body)
	if docs.form != nil {
		ix.reportLetter(docs)
	}
	if ix.ctx.Err() != nil {
		ix.budget.add(shard, -reserved)
		return errors.New("put documents: the indexer is closed")
	}
	ix.inbox.put(part{docs: docs, to: docs.Len(), form: docs.form})
	return nil
}

// reportLetter logs what of a record becomes a dead letter.
func (ix *Indexer) reportLetter(docs *Documents) {
	leftOut, ok := ix.lettersLog.allow()
	if !ok {
		return
	}
	of := docs.form.letter
	ix.cfg.Log.Error().Str("shard", docs.source.Shard).Str("sequence_number", docs.source.SequenceNumber).
		Str("stage", of.Stage).Str("error", of.Cause.Reason).Int("lines_left_out", leftOut).Msg("record kept as a dead letter")
}

// Close ends the work at once. Documents without a verdict get none.
func (ix *Indexer) Close() {
	ix.cancel()
	ix.running.Wait()
}
