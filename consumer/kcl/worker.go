package kcl

import (
	"context"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rs/zerolog"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"

	"logsluice/checkpoint"
	"logsluice/internal/statelog"
)

// Reader reads shards. For each shard the Worker calls Acquired, then Begin, then Read until
// it fails or returns the last answer, and finally Ended, from one goroutine at a time.
//
// The implementation must log errors of Begin and Read: after an error the Worker ends the
// reading and logs nothing. When Kinesis throttles, it retries a few times.
type Reader interface {
	// Assignment waits until there are leases to acquire, and returns their shards and
	// those of the leases that are held.
	Assignment(ctx context.Context) (shards []string, err error)
	// Acquired is called after the lease of a shard was acquired.
	Acquired(shard string)
	// Begin determines where the reading of a shard begins.
	Begin(ctx context.Context, shard string) error
	// Read returns the next records of a shard.
	Read(ctx context.Context, shard string) (Answer, error)
	// Ended is called after the reading of a shard has ended, for whatever reason, and before
	// its lease is released.
	Ended(shard string)
}

// Answer is the result of a read.
type Answer struct {
	Records []types.Record
	// MillisBehindLatest is how far the records are behind the tip of the shard.
	MillisBehindLatest int64
	// IsLast is set at the end of a closed shard, which gets no more records.
	IsLast bool
}

// Processor processes the records of one shard, from one goroutine.
type Processor interface {
	ProcessRecords(records []types.Record)
	// Shutdown is called after the last records of a closed shard with a function that
	// writes the shard's end to the lease table, and with nil when the worker stops. It is
	// not called when a lease is lost or a read fails.
	Shutdown(finish func() error)
}

// Config configures a Worker.
type Config struct {
	// Application, Stream and Worker are names. Worker is the worker's name in the lease table.
	Application, Stream, Region, Worker string
	Table                               *checkpoint.Table
	Reader                              Reader
	// NewProcessor returns the processor of a shard whose reading begins.
	NewProcessor func(shard string) Processor
	// IsStopping reports whether the worker is stopping: then failed calls are expected.
	IsStopping func() bool
	Log        zerolog.Logger
}

// Worker is a worker of vmware-go-kcl-v2.
type Worker struct{ worker *worker.Worker }

// New returns a Worker. It does nothing before Start.
func New(cfg Config) *Worker {
	w := worker.NewWorker(processors(cfg.NewProcessor), cfg.library())
	return &Worker{w.WithKinesis(newClient(cfg.Region, cfg.Reader)).WithCheckpointer(&leases{cfg.Table, cfg.Reader, cfg.Worker})}
}

// Start starts to acquire leases and to read their shards.
func (w *Worker) Start() error {
	if err := w.worker.Start(); err != nil {
		return fmt.Errorf("start the KCL worker: %w", err)
	}
	return nil
}

// Shutdown ends all readings and returns when they have ended. It does not interrupt a call,
// nor the sleep of a reader that was throttled.
func (w *Worker) Shutdown() { w.worker.Shutdown() }

// tick is the mean time in milliseconds between two listings of the library while there are
// leases to acquire. It acquires one lease per listing.
const tick = 10

func (c Config) library() *config.KinesisClientLibConfiguration {
	cfg := config.NewKinesisClientLibConfig(c.Application, c.Stream, c.Region, c.Worker)
	cfg.Logger = libraryLog{log: c.Log, isStopping: c.IsStopping, sampler: statelog.NewSampler()}
	cfg.ShardSyncIntervalMillis = tick
	// The Reader decides when to read and how many records.
	cfg.IdleTimeBetweenReadsInMillis = 1
	// Never: the heartbeat renews leases, and the Reader does not read without a lease. If the
	// library renewed a lease after its reader has ended, it would acquire it without a reader.
	cfg.LeaseRefreshWaitTime = math.MaxInt32
	// The Reader determines the position of each shard.
	cfg.InitialPositionInStream = config.TRIM_HORIZON
	// After it was throttled five times in a row, a reader releases its lease. The library's
	// pause doubles with each KMS throttle, up to 3 s, and cannot be interrupted.
	cfg.MaxRetryCount = 5
	return cfg
}
