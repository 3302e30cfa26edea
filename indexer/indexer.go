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

	"logsluice/domain"
)

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
	// Fallback makes what can be indexed of a document that is refused.
	Fallback Fallback
	// Store keeps dead letters that their index refuses; nil: none.
	Store    Store
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
		{"a fallback for refused documents", c.Fallback != nil},
		{"retry pauses above 0, the greatest not below the least", c.RetryMin > 0 && c.RetryMax >= c.RetryMin},
	} {
		if !bound.ok {
			return errors.New("the indexer needs " + bound.name)
		}
	}
	return nil
}

// Indexer sends documents until each has its final verdict. It retries for as
// long as they are its caller's: what bounds the work is that callers stop
// putting in more.
type Indexer struct {
	cfg        Config
	client     domain.Client
	metrics    metrics
	retriesLog zerolog.Logger

	inbox   *inbox
	results chan result   // requests telling what became of their documents
	pings   chan struct{} // taken by the dispatcher when it is alive
	wrong   atomic.Pointer[wrong]
	ctx     context.Context // ends at Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New starts an indexer; Close ends it.
func New(cfg Config, client domain.Client) (*Indexer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ix := &Indexer{
		cfg:        cfg,
		client:     client,
		retriesLog: sampled(cfg.Log),
		inbox:      newInbox(),
		results:    make(chan result),
		ctx:        ctx,
		cancel:     cancel,
		pings:      make(chan struct{}),
	}
	if err := ix.metrics.register(cfg.Registry); err != nil {
		cancel()
		return nil, fmt.Errorf("register the indexer's metrics: %w", err)
	}
	ix.running.Go(newDispatcher(ix).run)
	return ix, nil
}

// Put hands documents over. done is called from another goroutine, once, and
// must not block: settled tells that each of them is indexed, found already
// there, or kept as a dead letter. When ctx ends, what fails is not sent again,
// and done tells that not all is settled. After an error, which tells that the
// indexer was closed, done is not called.
func (ix *Indexer) Put(ctx context.Context, docs *Documents, done func(settled bool)) error {
	if docs.Len() == 0 {
		docs.Recycle()
		done(true)
		return nil
	}
	docs.ours, docs.done, docs.pending = ctx, done, docs.Len()
	if docs.form != nil {
		of := docs.form.letter
		ix.cfg.Log.Error().Str("shard", docs.source.Shard).Str("sequence_number", docs.source.SequenceNumber).
			Str("stage", of.Stage).Str("error", of.Error.Reason).Msg("record kept as a dead letter")
	}
	if ix.ctx.Err() != nil {
		return errors.New("put documents: the indexer is closed")
	}
	ix.inbox.put(part{docs: docs, to: docs.Len(), form: docs.form})
	return nil
}

// Close ends the work at once. Documents without a verdict get none.
func (ix *Indexer) Close() {
	ix.cancel()
	ix.running.Wait()
}
