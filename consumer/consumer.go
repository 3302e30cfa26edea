package consumer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"logsluice/checkpoint"
	"logsluice/consumer/kcl"
	"logsluice/indexer"
	"logsluice/internal/statelog"
	"logsluice/internal/timetext"
	"logsluice/mapping"
	"logsluice/subscription"
)

// The life of a worker: its configuration, start, sync loop and end.

// Config configures one worker.
type Config struct {
	// Stream is the Kinesis stream's name or ARN, Application the name of the KCL
	// application, and Worker the name of this worker in the lease table.
	Stream, Application, Worker string
	// AWS contains the region, the credentials and the endpoint of Kinesis.
	AWS aws.Config
	// PollInterval is the minimum time between two reads of a shard. Kinesis allows 5 reads
	// per second and shard for all consumers together.
	PollInterval time.Duration
	// SyncInterval is the time between two calls of checkpoint.Table.Sync.
	SyncInterval time.Duration
	// MaxInflated is the maximum size of an inflated record in bytes.
	MaxInflated int
	// DrainTimeout bounds the time from the end of Run's context until Run returns.
	DrainTimeout time.Duration
	// Explain returns the text of an AWS error for the log, and a remedy, "" if unknown. It
	// may be nil.
	Explain  func(error) (found, remedy string)
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

// awsWarning starts a warning about the error of a call to AWS.
func (c Config) awsWarning(err error) *zerolog.Event {
	if c.Explain == nil {
		return c.Log.Warn().Err(err)
	}
	found, remedy := c.Explain(err)
	line := c.Log.Warn().Str(zerolog.ErrorFieldName, found)
	if remedy != "" {
		line = line.Str("remedy", remedy)
	}
	return line
}

func (c Config) check() error {
	switch {
	case c.Application == "" || c.Worker == "":
		return errors.New("the consumer needs the names of an application and a worker")
	case CheckStream(c.Stream) != nil:
		return fmt.Errorf("%q %w", c.Stream, CheckStream(c.Stream))
	case c.AWS.Region == "":
		return errors.New("the consumer needs an AWS region")
	case c.PollInterval < 0 || c.SyncInterval < time.Millisecond || c.DrainTimeout <= 0:
		return errors.New("the consumer needs a poll interval of 0 or more, a sync interval of at least 1ms and a drain timeout above 0")
	case c.MaxInflated <= 0:
		return errors.New("the consumer needs a maximum above 0 for the size of an inflated record")
	}
	return nil
}

// Consumer runs a worker whose processors index what they read.
type Consumer struct {
	cfg     Config
	table   *checkpoint.Table
	mapper  *mapping.Mapper
	indexer *indexer.Indexer
	metrics *metrics
	stream  *stream
	// decoders holds the idle decoders. Each may hold one inflated record, even while it waits
	// for bytes in flight.
	decoders chan *subscription.Decoder
	large    *semaphore.Weighted // of size 1, for decoding a large record
	shards   *shards
	lag      *lagCollector
	syncing  syncLoop
	failure  chan error        // of capacity 1; an error ends Run
	identity checkpoint.Stream // completed by Check

	reading  context.Context // ends when the worker stops reading
	stop     context.CancelFunc
	draining context.Context // ends when the time for draining is over
	giveUp   context.CancelFunc
}

// New returns a Consumer, or an error if the configuration is invalid.
func New(cfg Config, table *checkpoint.Table, mapper *mapping.Mapper, ix *indexer.Indexer) (*Consumer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	m := newMetrics()
	c := &Consumer{
		cfg:      cfg,
		table:    table,
		mapper:   mapper,
		indexer:  ix,
		metrics:  m,
		decoders: newDecoders(cfg.MaxInflated),
		large:    semaphore.NewWeighted(1),
		failure:  make(chan error, 1),
		identity: Identity(cfg.Stream),
		shards:   new(shards),
	}
	c.lag = newLagCollector(c.shards, table.ReadStatuses)
	if err := m.register(cfg.Registry, table, c.lag); err != nil {
		return nil, fmt.Errorf("register the consumer's metrics: %w", err)
	}
	c.reading, c.stop = context.WithCancel(context.Background())
	c.draining, c.giveUp = context.WithCancel(context.Background())
	c.stream = newStream(c.reading, cfg, table, m, c.shards)
	return c, nil
}

// maxDecoders bounds the memory for inflated records, regardless of the number of CPUs.
const maxDecoders = 4

func newDecoders(maxInflated int) chan *subscription.Decoder {
	decoders := make(chan *subscription.Decoder, min(runtime.GOMAXPROCS(0), maxDecoders))
	for range cap(decoders) {
		decoders <- subscription.NewDecoder(maxInflated)
	}
	return decoders
}

// Run consumes the stream until ctx ends. Then it stops reading, waits for the outcomes of
// the records that were read, writes checkpoints, and releases its leases, all within the
// drain timeout. Records without an outcome by then are read again by another worker.
//
// Run returns ErrRefused if Kinesis has refused every call for 5 minutes since the start, and
// *checkpoint.OtherStreamError if the lease table was deleted and now belongs to another
// stream.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.giveUp()
	defer c.stop()
	defer c.table.Close()

	if err := c.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it was starting
		}
		return err
	}
	w := kcl.New(kcl.Config{
		Application: c.cfg.Application, Stream: c.cfg.Stream, Region: c.cfg.AWS.Region, Worker: c.cfg.Worker,
		Table: c.table, Reader: c.stream, NewProcessor: c.createProcessor,
		IsStopping: c.stopping, Log: c.cfg.Log,
	})
	if err := w.Start(); err != nil {
		return err
	}
	var syncing sync.WaitGroup
	syncing.Go(func() { c.sync(c.reading) })
	defer syncing.Wait()
	c.cfg.Log.Info().Str("stream", c.cfg.Stream).Msg("consuming")

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-c.failure:
	}
	c.cfg.Log.Info().Int("leases", c.table.Held()).Msg("stopping: draining records in flight")
	// The last fifth of the time is for the final checkpoints, including those of shards whose
	// readers hang.
	deadline := time.NewTimer(c.cfg.DrainTimeout)
	defer deadline.Stop()
	drained := time.NewTimer(c.cfg.DrainTimeout * 4 / 5)
	defer drained.Stop()
	c.stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.Shutdown()
	}()
	select {
	case <-stopped:
	case <-drained.C:
		c.giveUp()
		c.table.ReleaseAll()
	}
	select {
	case <-stopped:
		c.cfg.Log.Info().Msg("stopped")
	case <-deadline.C:
		c.cfg.Log.Warn().Int("leases", c.table.Held()).Msg("drain timeout exceeded: another worker reads the remaining records again")
	}
	return failure
}

// open opens the lease table.
func (c *Consumer) open(ctx context.Context) error {
	return c.retryAtStart(ctx, "cannot open the lease table or list the shards; trying again: run logsluice doctor", func(ctx context.Context) error {
		return c.table.Open(ctx, c.identity, c.stream.list)
	})
}

// longestPause is the maximum pause between two calls at start.
const longestPause = 10 * time.Second

// retryAtStart makes a call at start. It retries while AWS cannot be reached or a resource is
// not ready yet, because a restart would not help, and logs message when the cause changes.
// It returns errors that a setting or a permission causes.
func (c *Consumer) retryAtStart(ctx context.Context, message string, call func(context.Context) error) error {
	retryables := retry.IsErrorRetryables(retry.DefaultRetryables)
	var changes statelog.Changes
	for pause := c.cfg.SyncInterval; ; pause = max(min(2*pause, longestPause), pause) {
		err := call(ctx)
		waits := errors.Is(err, errCreating) || errors.Is(err, checkpoint.ErrDeleting) ||
			errors.Is(err, context.DeadlineExceeded) || // from the call, unless ctx has ended
			retryables.IsErrorRetryable(err) == aws.TrueTernary
		if err == nil || ctx.Err() != nil || !waits {
			return err
		}
		if changes.Failed(statelog.Kind(err)) {
			c.cfg.awsWarning(err).Str("longest_pause", longestPause.String()).Msg(message)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sync calls Table.Sync at intervals until ctx ends.
func (c *Consumer) sync(ctx context.Context) {
	var changes statelog.Changes
	for {
		c.syncing.begin()
		interval := c.cfg.SyncInterval
		if c.table.Claiming() {
			// A shard is not read while its lease is handed off.
			interval /= 4
		}
		// Jitter spreads workers that started at the same time.
		wait := time.NewTimer(interval - time.Duration(rand.Int64N(int64(interval)/10+1))) //nolint:gosec // no secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		err := c.table.Sync(ctx, c.stream.list)
		switch {
		case errors.As(err, new(*checkpoint.OtherStreamError)):
			c.fail(err)
		case err != nil && ctx.Err() == nil:
			if changes.Failed(statelog.Kind(err)) {
				c.cfg.awsWarning(err).Msg("cannot sync shards and leases; trying again: run logsluice doctor")
			}
		case err == nil && changes.Worked():
			c.cfg.Log.Info().Msg("shards and leases are synced again")
		}
		c.reportUnread()
		if since, cause := c.table.Refused(); cause != nil && time.Since(since) >= refusedFor {
			c.fail(fmt.Errorf("%w for %s since the start: %w", ErrRefused, timetext.Format(refusedFor), cause))
		}
	}
}

// fail ends Run with an error. Only the first call has an effect.
func (c *Consumer) fail(err error) {
	select {
	case c.failure <- err:
	default:
	}
}

// refusedFor is how long a worker runs while Kinesis has refused every call since its start.
// Then it ends, and ECS replaces it or rolls the deployment back.
const refusedFor = 5 * time.Minute

// ErrRefused is returned by Run when Kinesis has refused every call for too long since the
// start.
var ErrRefused = errors.New("the stream cannot be read")
