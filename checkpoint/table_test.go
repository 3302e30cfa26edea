package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/local/localtest"
)

const leaseDuration = time.Second

var transport = http.DefaultTransport.(*http.Transport).Clone()

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { transport.CloseIdleConnections() }),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

// realDB returns a client of DynamoDB Local that sends each request once.
func realDB(t *testing.T) *dynamodb.Client { return newDB(localtest.DynamoDB(t), transport) }

// fakeDB returns a client of an in-process DynamoDB that can be used in a synctest bubble. Its
// calls take no time.
func fakeDB() *dynamodb.Client { return slowDB(0) }

// slowDB is like fakeDB, but its calls take some time, so that they overlap.
func slowDB(delay time.Duration) *dynamodb.Client {
	db := fakeaws.Inject(fakedynamodb.New(fakedynamodb.Options{}), func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{Delay: delay} })
	return newDB(fakeEndpoint, fakeaws.RoundTripper(db))
}

const fakeEndpoint = "http://aws.invalid"

func newDB(endpoint string, transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint,
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient:   &http.Client{Transport: transport},
		Retryer:      aws.NopRetryer{},
	})
}

// onDynamoDB runs a test that checks times: in virtual time with the in-process DynamoDB, so
// that the result does not depend on the machine. make test-long also runs it with DynamoDB
// Local.
func onDynamoDB(t *testing.T, f func(t *testing.T, db *dynamodb.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, fakeDB()) })
	if localtest.IsLong() {
		t.Run("real", func(t *testing.T) { f(t, realDB(t)) })
	}
}

// onBoth runs a test that does not check times, with patient workers, with the in-process
// DynamoDB and with DynamoDB Local.
func onBoth(t *testing.T, f func(t *testing.T, db *dynamodb.Client)) {
	t.Run("fake", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, slowDB(10*time.Millisecond)) })
	})
	t.Run("real", func(t *testing.T) { f(t, realDB(t)) })
}

// took checks how long something took: exactly exact in virtual time, and in real time up to
// early less or late more.
func took(t *testing.T, db *dynamodb.Client, what string, begun time.Time, exact, early, late time.Duration) {
	t.Helper()
	if *db.Options().BaseEndpoint == fakeEndpoint {
		early, late = 0, 0
	}
	if got := time.Since(begun); got < exact-early || got > exact+late {
		t.Errorf("%s after %s, want %s", what, got, exact)
	}
}

var tables atomic.Int64

func tableName() string {
	return fmt.Sprintf("leases-%d-%d", time.Now().UnixNano(), tables.Add(1))
}

// open opens a table for a worker.
func open(t *testing.T, db DynamoDB, name, worker string, shards ...Shard) *Table {
	t.Helper()
	return openAt(t, db, name, worker, "TRIM_HORIZON", shards...)
}

func openAt(t *testing.T, db DynamoDB, name, worker, initial string, shards ...Shard) *Table {
	t.Helper()
	position, err := ParsePosition(initial)
	if err != nil {
		t.Fatal(err)
	}
	return openFor(t, db, name, worker, leaseDuration, position, shards...)
}

// openPatient opens a table for a worker whose requests may take long.
func openPatient(t *testing.T, db DynamoDB, name, worker string, shards ...Shard) *Table {
	t.Helper()
	return openFor(t, db, name, worker, 10*time.Minute, Position{kind: trimHorizon}, shards...)
}

func openFor(t *testing.T, db DynamoDB, name, worker string, lease time.Duration, initial Position, shards ...Shard) *Table {
	t.Helper()
	return openTable(t, db, Config{Table: name, Worker: worker, LeaseDuration: lease, InitialPosition: initial, Log: zerolog.Nop()}, Stream{Name: "logs"}, lists(shards...))
}

// openTable opens the table of a configuration.
func openTable(t *testing.T, db DynamoDB, cfg Config, stream Stream, list List) *Table {
	t.Helper()
	table, err := New(cfg, db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	if err := table.Open(t.Context(), stream, list); err != nil {
		t.Fatal(err)
	}
	return table
}

// lists returns a List that returns shards.
func lists(shards ...Shard) List {
	return func(context.Context) ([]Shard, time.Time, error) {
		return append([]Shard{}, shards...), time.Now(), nil
	}
}

// resync calls Sync with the same shards as before.
func resync(t *testing.T, table *Table) {
	t.Helper()
	if err := table.Sync(t.Context(), lists(table.listed()...)); err != nil {
		t.Fatal(err)
	}
}

func (t *Table) listed() []Shard {
	t.mu.Lock()
	defer t.mu.Unlock()
	var shards []Shard
	for _, s := range t.shards {
		if s.isListed() {
			shards = append(shards, s.listed.Shard)
		}
	}
	return shards
}

// tick makes the calls that the KCL makes for one shard in a tick.
func tick(table *Table, id string) error {
	if _, checkpoint := table.Observed(id); checkpoint == ShardEnd {
		return errors.New("shard is at its end")
	}
	_, err := table.Acquire(context.Background(), id)
	return err
}

// acquired acquires a lease that must be available.
func acquired(t *testing.T, table *Table, id string) *Lease {
	t.Helper()
	resync(t, table)
	if err := tick(table, id); err != nil {
		t.Fatalf("%s cannot lease %s: %v", table.cfg.Worker, id, err)
	}
	return table.Lease(id)
}

// notAcquired expects that the lease is not acquired.
func notAcquired(t *testing.T, table *Table, id string) {
	t.Helper()
	resync(t, table)
	err := tick(table, id)
	if err == nil {
		t.Fatalf("%s leased %s", table.cfg.Worker, id)
	}
	if !errors.Is(err, ErrNotAcquired) {
		t.Fatalf("%s: want ErrNotAcquired, got %v", id, err)
	}
}

func rowOf(t *testing.T, db *dynamodb.Client, table, id string) (r row, exists bool) {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(table), Key: item{attrShard: str(id)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	return readRow(out.Item), out.Item != nil
}

func putRow(t *testing.T, db *dynamodb.Client, table string, it item) {
	t.Helper()
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: it}); err != nil {
		t.Fatal(err)
	}
}

// poll is the time between two checks of a test.
const poll = leaseDuration / 50

// eventually waits for a condition that must become true within a few lease durations.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(6 * leaseDuration); time.Now().Before(deadline); time.Sleep(poll) {
		if ok() {
			return
		}
	}
	t.Fatalf("not true in time: %s", what)
}

// faultyDB is a proxy between a table and DynamoDB.
type faultyDB struct {
	*dynamodb.Client
	scans  atomic.Int64
	writes atomic.Int64
	// update, unless it is nil, replaces UpdateItem.
	update atomic.Pointer[func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error)]
}

func (f *faultyDB) Scan(ctx context.Context, in *dynamodb.ScanInput, opts ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	f.scans.Add(1)
	in.Limit = aws.Int32(2) // pages
	return f.Client.Scan(ctx, in, opts...)
}

func (f *faultyDB) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	f.writes.Add(1)
	if update := f.update.Load(); update != nil {
		return (*update)(ctx, in)
	}
	return f.Client.UpdateItem(ctx, in, opts...)
}

func (f *faultyDB) inject(update func(context.Context, *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error)) {
	f.update.Store(&update)
}

var errBroken = errors.New("connection reset by peer")

func TestNew_Failure(t *testing.T) {
	position, _ := ParsePosition("LATEST")
	good := Config{Table: "t", Worker: "w", LeaseDuration: time.Second, InitialPosition: position}
	f := func(name string, change func(*Config)) {
		t.Helper()
		cfg := good
		change(&cfg)
		if _, err := New(cfg, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f("no table", func(c *Config) { c.Table = "" })
	f("no worker", func(c *Config) { c.Worker = "" })
	f("short lease", func(c *Config) { c.LeaseDuration = time.Millisecond })
}

func TestOpenCreatesTable(t *testing.T) {
	onBoth(t, func(t *testing.T, db *dynamodb.Client) {
		name := tableName()
		// Workers that start together create it once.
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { openPatient(t, db, name, fmt.Sprint("w", i)) })
		}
		wg.Wait()
		out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(name)})
		if err != nil {
			t.Fatal(err)
		}
		if mode := out.Table.BillingModeSummary.BillingMode; mode != types.BillingModePayPerRequest {
			t.Errorf("billing mode %s", mode)
		}
	})
}

// A failed DescribeTable does not show whether the table exists.
func TestOpenCreatesTableOnlyWhenMissing(t *testing.T) {
	onDynamoDB(t, func(t *testing.T, real *dynamodb.Client) {
		db := &undescribable{Client: real}
		position, _ := ParsePosition("LATEST")
		table, err := New(Config{Table: tableName(), Worker: "w", LeaseDuration: leaseDuration, InitialPosition: position, Log: zerolog.Nop()}, db)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		if err := table.Open(t.Context(), Stream{Name: "logs"}, lists()); !errors.Is(err, errBroken) {
			t.Errorf("want the error of DescribeTable, got %v", err)
		}
		if db.created {
			t.Error("a table was created")
		}
	})
}

type undescribable struct {
	*dynamodb.Client
	created bool
}

func (u *undescribable) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return nil, errBroken
}

func (u *undescribable) CreateTable(ctx context.Context, in *dynamodb.CreateTableInput, opts ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error) {
	u.created = true
	return u.Client.CreateTable(ctx, in, opts...)
}

// In steady state a worker makes one paginated scan per sync, regardless of the number of
// shards, and the renewals of its leases.
func TestOneScanPerSync(t *testing.T) {
	onBoth(t, func(t *testing.T, real *dynamodb.Client) {
		db := &faultyDB{Client: real}
		var shards []Shard
		for i := range 5 {
			shards = append(shards, Shard{ID: fmt.Sprintf("shardId-%012d", i)})
		}
		name := tableName()
		table := openPatient(t, db, name, "w", shards...)
		for _, s := range shards {
			acquired(t, table, s.ID)
		}
		scans, writes := db.scans.Load(), db.writes.Load()
		begun := time.Now()
		for range 10 {
			resync(t, table)
			for _, s := range shards {
				if err := tick(table, s.ID); err == nil {
					t.Errorf("%s leased twice", s.ID)
				}
			}
		}
		// 6 rows by pages of 2: three pages and the empty one that may follow.
		if pages := db.scans.Load() - scans; pages < 30 || pages > 40 {
			t.Errorf("%d pages were scanned in 10 syncs", pages)
		}
		if most := int64(5 * (1 + time.Since(begun)*heartbeatsPerLease*5/4/table.cfg.LeaseDuration)); db.writes.Load()-writes > most {
			t.Errorf("%d writes, at most %d renewals are due", db.writes.Load()-writes, most)
		}
	})
}
