package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"

	"logsluice/internal/statelog"
)

// Table: one worker's access to the lease table, its configuration, and its life from Open
// to Close.

// DynamoDB is the part of the service's client that this package uses.
type DynamoDB interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// MinLeaseDuration is the minimum lease duration. It leaves each heartbeat time for an
// answer and a second attempt.
const MinLeaseDuration = time.Second

// createTimeout bounds the calls that describe and create the table, and tableDeadline the
// wait for a table that was just created.
const (
	createTimeout = 15 * time.Second
	tableDeadline = 2 * time.Minute
)

// Config configures a worker's Table.
type Config struct {
	// Table is the table's name; it is created when it does not exist.
	Table string
	// Domain and IndexPrefix are the OpenSearch host and the prefix of the indices that this
	// worker writes to. The table records them, so that two services which share it by mistake
	// are detected.
	Domain, IndexPrefix string
	// Worker is this worker's name. Running workers must have different names.
	Worker string
	// LeaseDuration is how long a silent worker keeps its shards, at least
	// MinLeaseDuration. A lease is renewed three times within it.
	LeaseDuration time.Duration
	// InitialPosition is where the application begins to read on its first start ever. The
	// zero value is TRIM_HORIZON. Any other value is logged as ignored if it differs from that
	// of the first start.
	InitialPosition Position
	// Clock is the wall clock for LeaseTimeout and other informative times in the table. It is
	// time.Now if nil.
	Clock func() time.Time
	Log   zerolog.Logger
}

// Table is the lease table as one worker uses it. consumer/kcl adapts it to the Checkpointer
// of vmware-go-kcl-v2.
//
// Lock order: Table.mu, then Lease.mu. No request is made while either is held.
type Table struct {
	cfg Config
	db  DynamoDB

	// ctx ends at Close. It ends the heartbeats and the writes for leases.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup // heartbeats and releases
	writes statelog.Changes

	mu             sync.Mutex
	shards         shardStates
	clock          kinesisClock
	scanned        time.Time // when the last scan ended
	scanBegan      time.Time // when that scan began
	listing        time.Time // when the shards were last listed
	listedAt       time.Time // the same by Kinesis' clock
	retried        time.Time // when retrySoon last scheduled attempts
	cooldown       cooldown
	refusals       refusals
	claimed        time.Time     // when this worker last claimed a lease
	changed        chan struct{} // closed when a lease may have become free
	stream         Stream        // set by Open
	start          start
	streamReplaced bool      // the stream was created again since Open
	absences       int       // consecutive scans without the row of the first start
	recreatedAt    time.Time // when this worker noticed that the table was created again, zero if it was not
	// deletionLogged is set from the log line about the deleted table until the table is
	// created again.
	deletionLogged bool
	warned         map[string]bool // warnings that are logged only once
}

// New returns a Table, or an error if the configuration is invalid. Only Check may be
// called before Open.
func New(cfg Config, db DynamoDB) (*Table, error) {
	switch {
	case cfg.Table == "":
		return nil, errors.New("the lease table needs a name")
	case cfg.Worker == "":
		return nil, errors.New("the worker needs a name")
	case cfg.LeaseDuration < MinLeaseDuration:
		return nil, fmt.Errorf("a lease duration of %s is too short: at least %s is needed", cfg.LeaseDuration, MinLeaseDuration)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Table{
		cfg:      cfg,
		db:       db,
		ctx:      ctx,
		cancel:   cancel,
		shards:   make(shardStates),
		cooldown: cooldown{failed: make(map[string]failedReading)},
		refusals: refusals{causes: make(map[string]refusal), readers: make(map[string]time.Time)},
		changed:  make(chan struct{}),
		warned:   make(map[string]bool),
	}
	return t, nil
}

// Open creates the stream's table if it does not exist, and determines where the application
// starts. It returns *OtherStreamError if the table belongs to another stream.
func (t *Table) Open(ctx context.Context, stream Stream, list List) error {
	t.stream = stream
	if err := t.ensureTable(ctx, tableDeadline); err != nil {
		return err
	}
	begun := time.Now()
	rows, _, err := t.scan(ctx)
	if err != nil {
		return err
	}
	scanned := time.Now()
	shards, now, err := list(ctx)
	if err != nil {
		return err
	}
	if err := t.initStart(ctx, shards, len(rows) > 0, now); err != nil {
		return err
	}
	t.setClock(now)
	t.observe(shards, rows, begun, scanned)
	t.reportStreamRecreated()
	return nil
}

// signal wakes Assignment. t.mu must be held.
func (t *Table) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// ReleaseAll releases all leases that are still held, each with its last checkpoint. It does
// not wait for the readers, which can hang in a sleep or a call. No more records of any shard
// may be accepted.
func (t *Table) ReleaseAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.shards {
		if lease := s.lease; lease != nil && t.ctx.Err() == nil {
			// The reader gets the error from Release, if it ever ends.
			t.tasks.Go(func() { _ = lease.release() })
		}
	}
}

// Close ends the heartbeats and returns when they have ended. It does not release leases that
// are still held: other workers take them over after the lease duration.
func (t *Table) Close() {
	t.mu.Lock()
	t.cancel()
	t.mu.Unlock()
	t.tasks.Wait()
}

// Shards returns the number of open shards in the last listing.
func (t *Table) Shards() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.shards {
		if s.isListed() && !s.listed.Closed {
			n++
		}
	}
	return n
}

// Held returns the number of leases that this worker holds.
func (t *Table) Held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.shards {
		if s.lease != nil && !s.lease.isLost() {
			n++
		}
	}
	return n
}

// ensureTable creates the table if it does not exist, and waits until it can be used. It
// creates it only after a ResourceNotFoundException: other errors do not show whether the
// table exists. timeout bounds the wait.
func (t *Table) ensureTable(ctx context.Context, timeout time.Duration) error {
	name := aws.String(t.cfg.Table)
	waitCtx := ctx
	// Meanwhile the heartbeats renew the leases that are held.
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err := t.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
	if missingTable(err) {
		t.cfg.Log.Info().Str("table", t.cfg.Table).Msg("creating the lease table")
		_, err = t.db.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName:            name,
			BillingMode:          types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(attrShard), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(attrShard), KeyType: types.KeyTypeHash}},
		})
		// Another worker may create it at the same time.
		var exists *types.ResourceInUseException
		if errors.As(err, &exists) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("lease table %s: %w", t.cfg.Table, err)
	}
	waiter := dynamodb.NewTableExistsWaiter(t.db, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 500*time.Millisecond, 5*time.Second
	})
	if err := waiter.Wait(waitCtx, &dynamodb.DescribeTableInput{TableName: name}, timeout); err != nil {
		return fmt.Errorf("lease table %s did not become active: %w", t.cfg.Table, err)
	}
	return nil
}
