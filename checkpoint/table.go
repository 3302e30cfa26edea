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

// Table, the view that one worker has of the lease table: its configuration, its life from
// Open to Close, and the conditional update that every other file writes by.

// DynamoDB is what the table needs of the service's client.
type DynamoDB interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// MinLeaseDuration leaves a heartbeat time for an answer and a second try.
const MinLeaseDuration = time.Second

// createTimeout bounds the calls that ask for the table and create it, and
// tableDeadline the wait for one that was just created.
const (
	createTimeout = 15 * time.Second
	tableDeadline = 2 * time.Minute
)

// Config describes a worker's view of the lease table.
type Config struct {
	// Table is the table's name; it is created when it does not exist.
	Table string
	// Domain and IndexPrefix are the host of OpenSearch and the prefix of the indices
	// that this worker writes to: the table notes them, so that two services which
	// share it by mistake are found.
	Domain, IndexPrefix string
	// Worker names this worker; no two living workers may share a name.
	Worker string
	// LeaseDuration is how long a silent worker keeps its shards, at least
	// MinLeaseDuration. A lease is renewed three times within it.
	LeaseDuration time.Duration
	// InitialPosition is where the application starts on its first start ever. The zero
	// value is TRIM_HORIZON; with another one, a later start warns that it is ignored when
	// the first start had another.
	InitialPosition Position
	// Clock is the wall clock that LeaseTimeout, which is for people, is written
	// by; time.Now if nil.
	Clock func() time.Time
	Log   zerolog.Logger
}

// Table is the lease table as one worker uses it. consumer/kcl makes it the Checkpointer
// of vmware-go-kcl-v2.
//
// Lock order: Table.mu, then Lease.mu. No request is made under either.
type Table struct {
	cfg Config
	db  DynamoDB

	// ctx ends at Close, and with it the heartbeats and what is written for leases.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup // heartbeats and releases
	writes statelog.Changes

	mu       sync.Mutex
	shards   shardStates
	clock    kinesisClock
	scanned  time.Time // when the rows were read last
	looked   time.Time // when that scan began
	listing  time.Time // when the shards were listed last
	listedAt time.Time // the same by Kinesis' clock
	retried  time.Time // when the failing shards were to be retried soon
	cooldown cooldown
	refusals refusals
	claimed  time.Time     // when this worker claimed a lease last
	changed  chan struct{} // closed when there may be something to take
	stream   Stream        // set by Open
	start    start
	replaced bool      // the stream was created again since Open
	absences int       // scans in a row that lack the row of the first start
	again    time.Time // when the table was seen to be made again, zero if it was not
	// deletionLogged is set from the line that says that the table was deleted until it
	// is made again.
	deletionLogged bool
	warned         map[string]bool // what warnings were logged that come once
}

// New checks the configuration; Open makes the table ready.
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

// Open creates the table of a stream if it does not exist, and settles where the
// application starts. A table of another stream is an *OtherStreamError.
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
	if err := t.settleStart(ctx, shards, len(rows) > 0, now); err != nil {
		return err
	}
	t.tell(now)
	t.observe(shards, rows, begun, scanned)
	t.reportCreatedAgain()
	return nil
}

// signal wakes Assignment. t.mu must be held.
func (t *Table) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// ReleaseAll releases the leases whose readers have not, each with its last
// checkpoint, and does not wait for it: a reader can hang in a sleep or a call. No more
// records of any shard may be accepted.
func (t *Table) ReleaseAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.shards {
		if lease := s.lease; lease != nil && t.ctx.Err() == nil {
			// The reader gets its error, if it ever ends.
			t.tasks.Go(func() { _ = lease.release() })
		}
	}
}

// Close ends the heartbeats without releasing what is still held: other
// workers take it over after the lease duration. It returns when they ended.
func (t *Table) Close() {
	t.mu.Lock()
	t.cancel()
	t.mu.Unlock()
	t.tasks.Wait()
}

// Shards counts the open shards of the stream as they were listed last.
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

// Held counts the leases this worker holds.
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

// ensureTable creates the table on ResourceNotFound alone: any other error
// does not show whether it exists. It waits until the table can be used, for
// a time at most.
func (t *Table) ensureTable(ctx context.Context, most time.Duration) error {
	name := aws.String(t.cfg.Table)
	whole := ctx
	// No lease is held yet that could be lost meanwhile.
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
	if err := waiter.Wait(whole, &dynamodb.DescribeTableInput{TableName: name}, most); err != nil {
		return fmt.Errorf("lease table %s does not become active: %w", t.cfg.Table, err)
	}
	return nil
}
