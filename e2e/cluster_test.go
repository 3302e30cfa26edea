package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	opensearchgo "github.com/opensearch-project/opensearch-go/v4"

	"logsluice/indexer/deadletter"
	"logsluice/internal/fakeaws"
	"logsluice/internal/loggen"
	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// cluster has its own in-process Kinesis with a stream, and its own application name and index
// prefix on the shared servers.
type cluster struct {
	t           *testing.T
	kinesis     *kinesis.Client
	kinesisURL  string
	dynamoDB    *dynamodb.Client
	dynamoDBURL string
	search      *opensearchgo.Client
	searchURL   string
	application string
	lease       time.Duration // lease duration of holders, 0 for a short one
	prefix      string
	program     string       // path of the workers' program
	ahead       atomic.Int64 // how far Kinesis' clock is ahead, in nanoseconds
	decide      atomic.Pointer[func(fakeaws.Call) fakeaws.Fault]
	expected    map[string]loggen.Event
	controls    map[string]bool // sequence numbers of control messages
}

func newCluster(t *testing.T, shards int32) *cluster {
	t.Helper()
	return newClusterOn(t, opensearch.ClientConfig{URL: localtest.OpenSearch(t)}, shards)
}

// newClusterOn returns a cluster with its indices on another OpenSearch.
func newClusterOn(t *testing.T, search opensearch.ClientConfig, shards int32) *cluster {
	t.Helper()
	unique := fmt.Sprintf("t%d", time.Now().UnixNano())
	c := &cluster{
		t: t, application: unique, prefix: unique, program: os.Args[0],
		searchURL: search.URL, dynamoDBURL: localtest.DynamoDB(t), expected: make(map[string]loggen.Event),
		controls: make(map[string]bool),
	}
	c.connect(fakeaws.KinesisOptions{Retention: 24 * time.Hour}, shards)
	search.Connections = 1
	var err error
	if c.search, err = opensearch.NewClient(search); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.search.Close() })
	t.Cleanup(c.clean)
	return c
}

// connect starts Kinesis with the stream, and creates the clients.
func (c *cluster) connect(options fakeaws.KinesisOptions, shards int32) {
	c.t.Helper()
	options.Clock = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	server := httptest.NewServer(fakeaws.Inject(fakeaws.NewKinesis(options), func(call fakeaws.Call) fakeaws.Fault {
		if decide := c.decide.Load(); decide != nil {
			return (*decide)(call)
		}
		return fakeaws.Fault{}
	}))
	c.t.Cleanup(server.Close)
	c.kinesisURL = server.URL
	keys := credentials.NewStaticCredentialsProvider("x", "x", "")
	c.kinesis = kinesis.New(kinesis.Options{BaseEndpoint: aws.String(c.kinesisURL), Region: "us-east-1", Credentials: keys})
	c.dynamoDB = dynamodb.New(dynamodb.Options{BaseEndpoint: aws.String(c.dynamoDBURL), Region: "us-east-1", Credentials: keys})
	if _, err := c.kinesis.CreateStream(c.t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(shards)}); err != nil {
		c.t.Fatal(err)
	}
}

// faults makes Kinesis fail as decide returns.
func (c *cluster) faults(decide func(fakeaws.Call) fakeaws.Fault) { c.decide.Store(&decide) }

// clean removes the test's indices and templates from OpenSearch.
func (c *cluster) clean() {
	for _, path := range []string{"/" + c.prefix + "*", "/_index_template/" + c.prefix + "*"} {
		// They might not exist.
		_ = inspect.Ask(context.Background(), c.search, "DELETE", path, "", nil)
	}
}

// put puts data under a partition key.
func (c *cluster) put(key string, data []byte) {
	c.t.Helper()
	if _, err := c.kinesis.PutRecord(c.t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(key), Data: data}); err != nil {
		c.t.Fatal(err)
	}
}

// produce puts generated records until n more events are in the stream. The records
// have different partition keys, which spread them over all shards.
func (c *cluster) produce(g *loggen.Generator, n int) {
	c.t.Helper()
	var entries []types.PutRecordsRequestEntry
	var controls []bool
	for n > 0 {
		r, more := g.Next()
		if !more {
			break
		}
		entries = append(entries, types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(fmt.Sprint(len(c.expected)))})
		controls = append(controls, r.Control)
		if !r.Control {
			n -= len(r.Events)
			for _, e := range r.Events {
				c.expected[e.ID] = e
			}
		}
	}
	for len(entries) > 0 {
		batch := entries[:min(len(entries), 100)]
		entries = entries[len(batch):]
		out, err := c.kinesis.PutRecords(c.t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: batch})
		if err != nil || *out.FailedRecordCount > 0 {
			c.t.Fatal(out, err)
		}
		for i, result := range out.Records {
			c.controls[*result.SequenceNumber] = controls[i]
		}
		controls = controls[len(batch):]
	}
}

func generator(seed uint64, events int) *loggen.Generator {
	return loggen.New(loggen.Options{Seed: seed, Events: events, Start: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Span: 24 * time.Hour})
}

// worker is a process of the program.
type worker struct {
	t       *testing.T
	name    string
	command *exec.Cmd
	log     string
	ended   <-chan error
	once    sync.Once
	err     error
}

// start starts a worker. settings override those of the cluster.
func (c *cluster) start(name string, settings ...string) *worker {
	c.t.Helper()
	w := &worker{t: c.t, name: name, log: filepath.Join(c.t.TempDir(), name+".log"), command: exec.Command(c.program, "run")}
	log, err := os.Create(w.log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	w.command.Stderr = log
	w.command.Env = append(os.Environ(), append([]string{
		asProgram + "=1", "STREAM_NAME=s", "APPLICATION_NAME=" + c.application, "WORKER_ID=" + name,
		"OPENSEARCH_URL=" + c.searchURL, "INDEX_PREFIX=" + c.prefix, "LEASE_DURATION=30s", "SHARD_SYNC_INTERVAL=300ms", // a busy machine must not lose leases
		"DRAIN_TIMEOUT=" + drainTimeout.String(), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"EVENT_MAX_AGE=0", "EVENT_MAX_AHEAD=0", // most events of tests have fixed times
		"AWS_ENDPOINT_URL_KINESIS=" + c.kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB=" + c.dynamoDBURL,
	}, settings...)...)
	if w.ended, err = local.Start(w.command); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		w.command.Process.Kill()
		w.wait()
		if c.t.Failed() {
			c.t.Logf("end of the log of %s:\n%s", name, w.tail(100))
		}
	})
	return w
}

func (w *worker) wait() error {
	w.once.Do(func() { w.err = <-w.ended })
	return w.err
}

func (w *worker) lines() string {
	raw, _ := os.ReadFile(w.log)
	return string(raw)
}

// tail returns the last n lines of the log.
func (w *worker) tail(n int) string {
	lines := slices.Collect(strings.Lines(w.lines()))
	return strings.Join(lines[max(len(lines)-n, 0):], "")
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.command.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// drainTimeout is the default DRAIN_TIMEOUT of workers, which a busy machine needs: what was
// not drained is sent twice.
const drainTimeout = 5 * time.Minute

// stop drains the worker, which must exit with 0, at most two minutes after the drain timeout.
func (w *worker) stop() {
	w.t.Helper()
	w.stopWithin(drainTimeout)
}

func (w *worker) stopWithin(timeout time.Duration) {
	w.t.Helper()
	w.signal(syscall.SIGTERM)
	began := time.Now()
	exited := make(chan error, 1)
	go func() { exited <- w.wait() }()
	select {
	case err := <-exited:
		if err != nil {
			w.t.Errorf("%s: %v", w.name, err)
		}
	case <-time.After(timeout + 2*time.Minute):
		w.t.Errorf("%s still runs %s after SIGTERM", w.name, time.Since(began))
		w.command.Process.Kill()
		<-exited
	}
	if strings.Contains(w.lines(), "DATA RACE") {
		w.t.Errorf("%s: data race", w.name)
	}
	w.checkSummaries()
}

// checkSummaries checks that all summary lines have the same keys.
func (w *worker) checkSummaries() {
	w.t.Helper()
	var keys []string
	for line := range strings.Lines(w.lines()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil || fields["message"] != "summary" || fields["_aws"] != nil {
			continue // a metric in the embedded metric format has a number
		}
		these := slices.Sorted(maps.Keys(fields))
		if keys != nil && !slices.Equal(keys, these) {
			w.t.Errorf("%s: a summary has the keys %q, another %q", w.name, these, keys)
			return
		}
		keys = these
	}
}

// summaries returns the values of a field in the summary lines of the worker's log.
func (w *worker) summaries(field string) (values []float64) {
	for line := range strings.Lines(w.lines()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == "summary" {
			n, _ := fields[field].(float64)
			values = append(values, n)
		}
	}
	return values
}

// total returns the total growth of a counter.
func (w *worker) total(counter string) float64 {
	sum := 0.0
	for _, n := range w.summaries(counter) {
		sum += n
	}
	return sum
}

// greatest returns the greatest value of a field, or 0 before the first summary.
func (w *worker) greatest(field string) float64 { return slices.Max(append(w.summaries(field), 0)) }

// eventually waits until ok returns true, and fails the test if that takes more than ten minutes.
func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	c.within(10*time.Minute, what, ok)
}

func (c *cluster) within(timeout time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	c.t.Fatalf("not true after %s: %s", timeout, what)
}

// index returns the index of an event's day.
func (c *cluster) index(e loggen.Event) string {
	return c.prefix + "-" + time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly)
}

func (c *cluster) documents() string { return c.prefix + "-*,-" + deadletter.Index(c.prefix) }

// count returns the number of documents. It retries, because an index that was just created
// answers 503 until its shard is available.
func (c *cluster) count(indices string) int {
	c.t.Helper()
	for try := 0; ; try++ {
		n, err := inspect.Count(c.t.Context(), c.search, indices)
		if err == nil {
			return n
		}
		if try == 50 {
			c.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// indexed waits until as many documents are found as events were produced.
func (c *cluster) indexed() {
	c.t.Helper()
	c.eventually("every event is found", func() bool { return c.count(c.documents()) >= len(c.expected) })
}

// exact checks that each event is found once, in the index of its day and with its text
// unchanged, and that no dead letters exist.
func (c *cluster) exact() {
	c.t.Helper()
	if n := c.found(); n != len(c.expected) {
		c.t.Errorf("%d events found of %d", n, len(c.expected))
	}
	if n := c.count(deadletter.Index(c.prefix)); n != 0 {
		c.t.Errorf("%d dead letters", n)
	}
}

// found returns the number of events found, and checks each as exact does.
func (c *cluster) found() int {
	c.t.Helper()
	c.count(c.documents()) // refreshes
	seen := make(map[string]bool)
	err := inspect.Each(c.t.Context(), c.search, c.documents(), func(d inspect.Document) {
		want, known := c.expected[d.ID]
		var source struct{ Message string }
		if err := json.Unmarshal(d.Source, &source); err != nil {
			c.t.Error(err)
		}
		switch {
		case !known:
			c.t.Errorf("document %s belongs to no event", d.ID)
		case seen[d.ID]:
			c.t.Errorf("event %s is indexed twice", d.ID)
		case d.Index != c.index(want):
			c.t.Errorf("event %s is in %s, not in %s", d.ID, d.Index, c.index(want))
		case source.Message != want.Message:
			c.t.Errorf("event %s: text %q, want %q", d.ID, source.Message, want.Message)
		}
		seen[d.ID] = true
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return len(seen)
}

// leaseRow is a row of the lease table.
type leaseRow struct {
	owner, checkpoint, claim string
	epoch, counter           int64
}

// rows returns the rows of the lease table, or none if it does not exist. It can be called from
// any goroutine.
func (c *cluster) rows(ctx context.Context) (map[string]leaseRow, error) {
	out, err := c.dynamoDB.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(c.application), ConsistentRead: aws.Bool(true)})
	var missing *dynamotypes.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows := make(map[string]leaseRow)
	for _, item := range out.Items {
		text := func(name string) string {
			switch v := item[name].(type) {
			case *dynamotypes.AttributeValueMemberS:
				return v.Value
			case *dynamotypes.AttributeValueMemberN:
				return v.Value
			}
			return ""
		}
		number := func(name string) int64 {
			n, _ := strconv.ParseInt(text(name), 10, 64)
			return n
		}
		if id := text("ShardID"); strings.HasPrefix(id, "shardId-") {
			rows[id] = leaseRow{text("AssignedTo"), text("Checkpoint"), text("ClaimRequest"), number("LeaseEpoch"), number("LeaseCounter")}
		}
	}
	return rows, nil
}

// leases returns the owner and checkpoint of each shard in the lease table.
func (c *cluster) leases() map[string][2]string {
	c.t.Helper()
	rows, err := c.rows(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	leases := make(map[string][2]string)
	for id, row := range rows {
		leases[id] = [2]string{row.owner, row.checkpoint}
	}
	return leases
}

// held returns the number of a worker's leases.
func (c *cluster) held(worker string) int {
	c.t.Helper()
	n := 0
	for _, lease := range c.leases() {
		if lease[0] == worker {
			n++
		}
	}
	return n
}

// shards returns the shards of the stream, including closed ones.
func (c *cluster) shards() []types.Shard {
	c.t.Helper()
	out, err := c.kinesis.ListShards(c.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Shards
}

// firstKey returns the first hash key of a shard.
func firstKey(shard types.Shard) *big.Int {
	n, _ := new(big.Int).SetString(*shard.HashKeyRange.StartingHashKey, 10)
	return n
}

// split splits a shard in the middle.
func (c *cluster) split(shard types.Shard) {
	c.t.Helper()
	last, _ := new(big.Int).SetString(*shard.HashKeyRange.EndingHashKey, 10)
	middle := last.Add(last, firstKey(shard)).Rsh(last, 1)
	if _, err := c.kinesis.SplitShard(c.t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("s"), ShardToSplit: shard.ShardId, NewStartingHashKey: aws.String(middle.String())}); err != nil {
		c.t.Fatal(err)
	}
}

// merge merges two adjacent shards.
func (c *cluster) merge(a, b types.Shard) {
	c.t.Helper()
	if _, err := c.kinesis.MergeShards(c.t.Context(), &kinesis.MergeShardsInput{
		StreamName: aws.String("s"), ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId}); err != nil {
		c.t.Fatal(err)
	}
}

// reshard splits two shards of a stream of four and merges the others.
func (c *cluster) reshard() {
	c.t.Helper()
	shards := c.shards()
	c.split(shards[0])
	c.split(shards[1])
	c.merge(shards[2], shards[3])
}
