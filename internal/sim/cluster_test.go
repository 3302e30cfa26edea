package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/consumer"
	"logsluice/indexer"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/mapping"
	"logsluice/mapping/schema"
)

const (
	streamName = "logs"
	tableName  = "leases"
	prefix     = "app"
)

// timing is the configuration of a cluster.
type timing struct {
	lease, sync, poll, drain time.Duration
	pageBytes                int           // of a scan, the service's if 0
	inFlight                 int64         // bytes of documents
	wait                     time.Duration // for an index
	hasStore                 bool          // for dead letters that their index rejects
}

// cluster is a stream, a lease table, an index, and their workers.
type cluster struct {
	*history
	timing
	system   system
	seed     uint64
	latency  time.Duration // of each call
	position checkpoint.Position
	kinesis  *fakeaws.Kinesis
	dynamodb *fakedynamodb.DynamoDB
	index    *index
	admin    *kinesis.Client // without faults
	mapper   *mapping.Mapper
	shift    atomic.Int64 // nanoseconds by which Kinesis' clock is ahead

	calling sync.Mutex // one call to DynamoDB at a time, so that its sender is known
	author  *process

	mu      sync.Mutex
	workers []*worker
	trouble []trouble
	calls   map[string]uint64 // by worker, operation and shard
	watch
}

// worker is a sequence of processes.
type worker struct {
	number  int
	skew    time.Duration
	process *process // the newest
	down    bool     // it has ended or is ending
}

// process is one process of a worker.
type process struct {
	worker *worker
	name   string // as in the lease table
	stream string
	cancel context.CancelFunc
	ended  chan struct{}
	dead   atomic.Bool // it no longer sends or receives anything
	failed atomic.Bool // it ended with an error
	listed time.Time   // the first listing of the shards since the stream was created
	// consumer is nil if the process is not logsluice. lag has its metrics.
	consumer *consumer.Consumer
	lag      prometheus.Gatherer
}

// trouble is a lasting fault.
type trouble struct {
	event
	until time.Time
	only  string // the shard whose reads by all workers it affects, "" for the calls of one worker
}

func (t trouble) active() bool { return t.forever || time.Now().Before(t.until) }

func newCluster(seed uint64, s system, t timing, latest bool) *cluster {
	initial := "TRIM_HORIZON"
	if latest {
		initial = "LATEST"
	}
	position, err := checkpoint.ParsePosition(initial)
	if err != nil {
		panic(err)
	}
	mapper, err := mapping.New(mapping.Config{Naming: schema.Naming{Prefix: prefix, Zone: time.UTC}})
	if err != nil {
		panic(err)
	}
	c := &cluster{
		history:  &history{begun: time.Now()},
		timing:   t,
		system:   s,
		seed:     seed,
		position: position,
		mapper:   mapper,
		calls:    make(map[string]uint64),
		watch:    newWatch(),
	}
	c.kinesis = fakeaws.NewKinesis(fakeaws.KinesisOptions{Clock: c.kinesisClock, Retention: retention})
	c.dynamodb = fakedynamodb.New(fakedynamodb.Options{PageBytes: t.pageBytes, Changed: c.changed})
	c.index = newIndex()
	c.index.requestFault, c.index.itemFault = c.requestFault, c.itemFault
	c.index.sent, c.index.outcome = c.sent, c.outcome
	c.admin = kinesis.NewFromConfig(c.aws(c.kinesis))
	return c
}

// retention is how long Kinesis keeps records and closed shards.
const retention = time.Hour

func (c *cluster) kinesisClock() time.Time { return time.Now().Add(time.Duration(c.shift.Load())) }

func (c *cluster) aws(h http.Handler) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		BaseEndpoint: aws.String("http://aws.invalid"),
		HTTPClient:   &http.Client{Transport: fakeaws.RoundTripper(h)},
	}
}

// start starts a process of a worker under a name.
func (c *cluster) start(w *worker, name string) { c.startOn(w, name, streamName) }

// startOn is like start for a given stream.
func (c *cluster) startOn(w *worker, name, stream string) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{worker: w, name: name, stream: stream, cancel: cancel, ended: make(chan struct{})}
	config := c.aws(fakeaws.Inject(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { c.serve(p, rw, r) }),
		func(call fakeaws.Call) fakeaws.Fault { return c.fault(p, call) }))
	run := c.system(c, p, config)
	c.mu.Lock()
	w.process, w.down = p, false
	c.mu.Unlock()
	c.add("%s starts", name)
	go func() {
		defer close(p.ended)
		// An error at start ends the process, and ECS starts another one.
		if err := run(ctx); err != nil {
			c.add("%s ends: %v", name, err)
			p.failed.Store(true)
		}
	}()
}

// system creates a process that runs until the context ends.
type system func(c *cluster, p *process, config aws.Config) (run func(context.Context) error)

// logsluice is the real program, except for the times.
func logsluice(c *cluster, p *process, config aws.Config) (run func(context.Context) error) {
	log := zerolog.New(logWriter{c, p}).Level(zerolog.InfoLevel)
	table, err := checkpoint.New(checkpoint.Config{
		Table: tableName, Worker: p.name, LeaseDuration: c.lease, InitialPosition: c.position, Log: log,
		Clock: func() time.Time { return time.Now().Add(p.worker.skew) },
	}, dynamodb.NewFromConfig(config))
	must(err)
	registry := prometheus.NewRegistry()
	ix, err := indexer.New(indexer.Config{
		Prefix: prefix, BatchBytes: 1 << 20, BatchDocuments: 1000, Linger: 100 * time.Millisecond, Connections: 2,
		RequestTimeout: 5 * time.Second, RetryMin: 100 * time.Millisecond, RetryMax: 2 * time.Second,
		InFlightBytes: c.inFlight, WaitForIndex: c.wait, Store: c.storeOf(p), Fallback: c.mapper, Registry: registry, Log: log,
	}, processIndex{c, p})
	must(err)
	p.lag = registry
	p.consumer, err = consumer.New(consumer.Config{
		Stream: p.stream, Application: tableName, Worker: p.name, AWS: config, PollInterval: c.poll, SyncInterval: c.sync,
		MaxInflated: 1 << 20, DrainTimeout: c.drain, Registry: registry, Log: log,
	}, table, c.mapper, ix)
	must(err)
	return func(ctx context.Context) error {
		defer ix.Close()
		_, err := p.consumer.Check(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			table.Close()
			return err
		}
		return p.consumer.Run(ctx)
	}
}

// crash ends a process at once. Requests that it has sent may still arrive.
func (c *cluster) crash(p *process) {
	p.dead.Store(true)
	c.add("%s crashes", p.name)
	p.cancel()
}

// stop ends a process like SIGTERM and checks its deadline.
func (c *cluster) stop(p *process) {
	c.add("%s gets SIGTERM", p.name)
	begun := time.Now()
	p.cancel()
	deadline := time.NewTimer(c.drain + 100*time.Millisecond)
	defer deadline.Stop()
	select {
	case <-p.ended:
		c.add("%s has stopped", p.name)
	case <-deadline.C:
		c.violation(inTime, "%s does not stop within %s", p.name, c.drain)
		p.dead.Store(true)
		<-p.ended
		c.add("%s has stopped after %s", p.name, time.Since(begun))
	}
	p.dead.Store(true) // the process is gone
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hindered(p, begun) || c.byKCL {
		return
	}
	for shard, row := range c.rows {
		if row.owner == p.name && c.holders[shard] == p && c.isListed(shard) {
			c.violated(releasedOnStop, "%s has stopped but still owns %s: %+v", p.name, shard, row)
		}
	}
}

// hindered reports whether a worker's calls to DynamoDB had trouble since a lease duration
// before a time. Then it may not know of a lease, and cannot release it.
func (c *cluster) hindered(p *process, since time.Time) bool {
	return slices.ContainsFunc(c.trouble, func(t trouble) bool {
		return t.worker == p.worker.number && t.until.After(since.Add(-c.lease)) &&
			slices.Contains([]eventKind{pause, cutDynamoDB, deafDynamoDB, throttleDynamoDB, loseAnswers, slowCalls, lateCalls}, t.what)
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// serve handles a call.
func (c *cluster) serve(p *process, w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_") {
		c.kinesis.ServeHTTP(w, r)
		return
	}
	c.calling.Lock()
	defer c.calling.Unlock()
	c.author = p
	c.dynamodb.ServeHTTP(w, r)
	c.author = nil
}

// fault returns the fault of a call.
func (c *cluster) fault(p *process, call fakeaws.Call) fakeaws.Fault {
	if p.dead.Load() {
		return fakeaws.Fault{Lose: true}
	}
	onKinesis, shard := false, ""
	switch call.Operation {
	case "GetRecords", "GetShardIterator":
		onKinesis, shard = true, call.Shard()
		c.reads(p, call.Operation, shard)
	case "ListShards":
		onKinesis = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range c.trouble {
		if t.only == "" && t.worker != p.worker.number || t.only != "" && t.only != shard || kinds[t.what].ofOpenSearch || !t.active() {
			continue
		}
		key := fmt.Sprint(t.worker, call.Operation, shard)
		c.calls[key]++
		if !c.affects(t.percent, key, c.calls[key]) {
			continue
		}
		fault, once := t.on(call.Operation, onKinesis, c.hash("how", key, c.calls[key]))
		if fault.none() {
			continue
		}
		if once {
			c.trouble[i].until = time.Time{}
		}
		c.add("%s: %s %s affected by %q", p.name, call.Operation, shard, t.what)
		if fault.Refuse == nil && !fault.Lose && !fault.LoseAnswer {
			c.answers(p, call.Operation, shard)
		}
		return fault.Fault
	}
	c.answers(p, call.Operation, shard)
	return fakeaws.Fault{Delay: c.latency}
}

// affects decides whether the nth call with a key is affected. It depends only on the seed and
// its arguments, so it does not depend on the order of calls for different shards.
func (c *cluster) affects(percent int, key string, n uint64) bool {
	return c.hash("whether", key, n)%100 < uint64(percent)
}

func (c *cluster) hash(parts ...any) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, c.seed)
	fmt.Fprint(h, parts...)
	return h.Sum64() >> 8
}

type callFault struct {
	fakeaws.Fault
	any bool
}

func (f callFault) none() bool { return !f.any }

// on returns the fault that a trouble causes in a call.
func (t trouble) on(operation string, onKinesis bool, dice uint64) (f callFault, once bool) {
	f.any = true
	share := time.Duration(dice%1000) * time.Second / 1000 // up to one second
	left := time.Until(t.until)
	switch {
	case t.what == pause:
		f.Delay, f.Outlive = left, true
	case t.what == cutDynamoDB && !onKinesis, t.what == cutKinesis && onKinesis:
		if dice%2 == 0 {
			f.Lose = true
		} else {
			f.Delay = left
			f.Lose = true
		}
	case t.what == deafDynamoDB && !onKinesis, t.what == deafKinesis && onKinesis:
		f.Late, f.LoseAnswer = left, true
	case t.what == throttleDynamoDB && !onKinesis:
		f.Refuse = &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "The level of configured provisioned throughput for the table was exceeded."}
	case t.what == throttleKinesis && onKinesis:
		f.Refuse = &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "Rate exceeded"}
	case t.what == throttleKMS && operation == "GetRecords":
		f.Refuse = &fakeaws.APIError{Code: "KMSThrottlingException", Message: "throttled by KMS"}
	case t.what == failKinesis && onKinesis:
		f.Refuse = &fakeaws.APIError{Code: "InternalFailure", Message: "the service failed", Status: http.StatusInternalServerError}
	case t.what == loseAnswers:
		f.LoseAnswer = true
	case t.what == slowCalls:
		f.Delay, f.Late = 2*share, share
	case t.what == lateCalls:
		f.Delay, f.Outlive = 10*share, true
	case t.what == denyReads, t.what == denyWorker && (operation == "GetRecords" || operation == "GetShardIterator"):
		f.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "not authorized to perform: kinesis:" + operation}
		if operation == "GetRecords" && dice%2 == 0 {
			f.Refuse = &fakeaws.APIError{Code: "KMSAccessDeniedException", Message: "The ciphertext refers to a key that you have no access to."}
		}
	case t.what == expireIterators && operation == "GetRecords":
		f.Refuse = &fakeaws.APIError{Code: "ExpiredIteratorException", Message: "Iterator expired."}
	case t.what == missShards && operation == "ListShards":
		f.Edit = fakeaws.MissShards(func(id string) bool { return (dice>>(id[len(id)-1]%16))&1 == 0 })
		return f, true
	default:
		f.any = false
	}
	return f, false
}

// processIndex is the index as one process sees it.
type processIndex struct {
	cluster *cluster
	process *process
}

// Stream implements opensearch.Client.
func (x processIndex) Stream(r *http.Request) (*http.Response, error) {
	if x.process.dead.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	return x.cluster.index.serve(x.process, r)
}

// logWriter writes a worker's log to the history.
type logWriter struct {
	cluster *cluster
	process *process
}

// Write implements io.Writer.
func (w logWriter) Write(p []byte) (int, error) {
	w.cluster.logged(w.process, p)
	w.cluster.add("%s logs %s", w.process.name, strings.TrimSpace(string(p)))
	return len(p), nil
}

// database is DynamoDB without faults.
func (c *cluster) database() *dynamodb.Client {
	return dynamodb.NewFromConfig(c.aws(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calling.Lock()
		defer c.calling.Unlock()
		c.dynamodb.ServeHTTP(w, r)
	})))
}

// adminDelete deletes a row like a person would.
func (c *cluster) adminDelete(shard string) {
	_, err := c.database().DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: aws.String(tableName),
		Key: map[string]ddbtypes.AttributeValue{"ShardID": &ddbtypes.AttributeValueMemberS{Value: shard}}})
	must(err)
}
