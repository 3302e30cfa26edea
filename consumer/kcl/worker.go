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

// Reader reads shards. For one shard the Worker calls Acquired, Begin, Read until it fails
// or its answer is the last one, and Ended, from one goroutine at a time.
//
// Begin and Read log their errors, or have them logged: the Worker ends the reading after
// one and logs nothing. After Kinesis has throttled it, it tries again a few times.
type Reader interface {
	// Assignment waits until there are leases to acquire, and returns their shards and
	// those of the leases that are held.
	Assignment(ctx context.Context) (shards []string, err error)
	// Acquired is called when the lease of a shard was acquired.
	Acquired(shard string)
	// Begin finds where the reading of a shard begins.
	Begin(ctx context.Context, shard string) error
	// Read returns the next records of a shard.
	Read(ctx context.Context, shard string) (Answer, error)
	// Ended is called when the reading of a shard has ended, for whatever reason, before
	// its lease is released.
	Ended(shard string)
}

// Answer is what a read of a shard brought.
type Answer struct {
	Records []types.Record
	// MillisBehindLatest is how far the records are behind the tip of the shard.
	MillisBehindLatest int64
	// IsLast is set when the shard has no more records: it was closed.
	IsLast bool
}

// Processor processes the records of one shard, from one goroutine.
type Processor interface {
	ProcessRecords(records []types.Record)
	// Shutdown is called after the last records of a closed shard, with the function that
	// writes its end to the lease table, and with nil when the worker stops. It is not
	// called when a lease is lost or a read fails.
	Shutdown(finish func() error)
}

// Config describes a Worker.
type Config struct {
	// Application, Stream and Worker are names; Worker is the one in the lease table.
	Application, Stream, Region, Worker string
	Table                               *checkpoint.Table
	Reader                              Reader
	// NewProcessor returns the processor of a shard whose reading begins.
	NewProcessor func(shard string) Processor
	// IsStopping reports whether the worker stops: calls fail on purpose then.
	IsStopping func() bool
	Log        zerolog.Logger
}

// Worker is a worker of vmware-go-kcl-v2.
type Worker struct{ worker *worker.Worker }

// New returns a Worker that does nothing before Start.
func New(cfg Config) *Worker {
	w := worker.NewWorker(processors(cfg.NewProcessor), cfg.library())
	return &Worker{w.WithKinesis(newClient(cfg.Region, cfg.Reader)).WithCheckpointer(&leases{cfg.Table, cfg.Reader, cfg.Worker})}
}

// Start begins to acquire leases and to read their shards.
func (w *Worker) Start() error {
	if err := w.worker.Start(); err != nil {
		return fmt.Errorf("start the KCL worker: %w", err)
	}
	return nil
}

// Shutdown ends all readings and returns when they have ended. It ends no call that is
// under way, and a reader that sleeps after a throttle sleeps on.
func (w *Worker) Shutdown() { w.worker.Shutdown() }

// tick is the mean time in milliseconds between two looks of the library at its
// assignment while there are leases to take. It takes one at each.
const tick = 10

func (c Config) library() *config.KinesisClientLibConfiguration {
	cfg := config.NewKinesisClientLibConfig(c.Application, c.Stream, c.Region, c.Worker)
	cfg.Logger = libraryLog{log: c.Log, isStopping: c.IsStopping, sampler: statelog.NewSampler()}
	cfg.ShardSyncIntervalMillis = tick
	// The Reader paces the reads, and decides how many records to ask for.
	cfg.IdleTimeBetweenReadsInMillis = 1
	// Never: the heartbeat renews, and the Reader refuses to read a lost lease. A renewal of
	// the library that comes when its reader has ended would acquire the lease for nobody.
	cfg.LeaseRefreshWaitTime = math.MaxInt32
	// The Reader places each shard.
	cfg.InitialPositionInStream = config.TRIM_HORIZON
	// Throttled five times in a row, a reader gives its lease back. The library's pause
	// doubles with each KMS throttle, to 3 s, and heeds no stop.
	cfg.MaxRetryCount = 5
	return cfg
}
