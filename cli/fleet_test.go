package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/internal/fakecloudwatch"
)

// fleet is the ECS service of a stack in virtual time: two tasks with the environment of the
// template's task definition; the stream, lease table, bucket and domain that they use; a
// producer; and the metrics that CloudWatch extracts from the tasks' log lines.
type fleet struct {
	t        *testing.T
	settings map[string]string // of the tasks, by variable; changed only while no task runs
	stream   string
	streams  *fakeaws.Kinesis
	tables   *fakedynamodb.DynamoDB
	kinesis  *kinesis.Client // without faults, like dynamoDB
	dynamoDB *dynamodb.Client
	metrics  fakecloudwatch.Metrics
	stop     func() // stops the tasks; nil when stopped

	mu       sync.Mutex
	fault    func(fakeaws.Call) fakeaws.Fault
	search   searchState
	noBucket bool // S3 refuses to write
	quiet    bool // nothing is produced
	lives    int
	lines    map[string]int // warnings and errors, by message
}

// searchState is how the domain behaves.
type searchState struct {
	status int                     // of every request, 0 for none
	took   time.Duration           // time of a bulk request
	refuse func(index string) bool // whether an index is read-only, nil for none
}

// fleetVariables are the variables of the template that the tasks of a fleet have.
var fleetVariables = []string{"STREAM_NAME", "APPLICATION_NAME", "EMF_NAMESPACE", "INITIAL_POSITION", "INDEX_PREFIX", "INDEX_DATE", "INDEX_TIMEZONE",
	"SCHEMA", "DOCUMENT_IDS", "IN_FLIGHT_BYTES", "DRAIN_TIMEOUT", "DEAD_LETTER_URL", "LOG_LEVEL"}

const (
	fleetTasks  = 2
	fleetShards = 2
	// ecsRestart is how long ECS takes to replace a task that ended.
	ecsRestart = 30 * time.Second
)

// newFleet returns a fleet with the template's environment.
func newFleet(t *testing.T, environment map[string]string) *fleet {
	t.Helper()
	f := &fleet{t: t, lines: make(map[string]int), tables: fakedynamodb.New(fakedynamodb.Options{}), streams: fakeaws.NewKinesis(fakeaws.KinesisOptions{Retention: 24 * time.Hour})}
	f.settings = maps.Clone(environment)
	maps.Copy(f.settings, map[string]string{
		"OPENSEARCH_URL": "http://opensearch.invalid",
		// Longer than the defaults, so that an hour has fewer calls.
		"POLL_INTERVAL": "8s", "SHARD_SYNC_INTERVAL": "20s", "LEASE_DURATION": "60s",
	})
	f.stream = f.settings["STREAM_NAME"]
	f.kinesis, f.dynamoDB = kinesis.NewFromConfig(f.aws(f.services())), dynamodb.NewFromConfig(f.aws(f.services()))
	_, err := f.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &f.stream, ShardCount: aws.Int32(fleetShards)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (*fleet) aws(h http.Handler) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://aws.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		HTTPClient:  &http.Client{Transport: fakeaws.RoundTripper(h)},
	}
}

// services returns a handler that acts as Kinesis, DynamoDB and S3.
func (f *fleet) services() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasPrefix(target, "Kinesis_"):
			f.streams.ServeHTTP(w, r)
		case strings.HasPrefix(target, "DynamoDB_"):
			f.tables.ServeHTTP(w, r)
		default:
			f.bucket(w, r)
		}
	})
}

func (f *fleet) bucket(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // fails if the client has gone
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.noBucket {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
}

// change runs how under the lock.
func (f *fleet) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
}

// endFaults ends all faults, and starts the tasks if they are stopped.
func (f *fleet) endFaults() {
	f.change(func() { f.fault, f.search, f.noBucket, f.quiet = nil, searchState{}, false, false })
	f.start()
}

// start starts the tasks. A task that ends is started again, as by ECS.
func (f *fleet) start() {
	if f.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	var tasks sync.WaitGroup
	for range fleetTasks {
		tasks.Go(func() {
			for ctx.Err() == nil {
				if err := f.run(ctx); err != nil {
					f.note("task ended: " + err.Error())
				}
				select {
				case <-time.After(ecsRestart):
				case <-ctx.Done():
				}
			}
		})
	}
	f.stop = func() {
		f.stop = nil
		cancel()
		tasks.Wait()
	}
}

// run acts as the command run, with its own AWS configuration and OpenSearch client.
func (f *fleet) run(ctx context.Context) error {
	settings := maps.Clone(f.settings)
	f.change(func() {
		f.lives++
		settings["WORKER_ID"] = fmt.Sprintf("task-%d", f.lives)
	})
	var root commands
	parsing := newValues()
	parser, err := kong.New(&root, append(parsing.options(), kong.Vars{"version": ""}, kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if value, ok := settings[name]; ok {
				return value, nil
			}
		}
		return nil, nil
	})))...)
	if err != nil {
		return err
	}
	command, err := parser.Parse([]string{"run"})
	if err != nil {
		return err
	}
	if err := parsing.err(command.Flags()); err != nil {
		return err
	}
	r := &root.Run
	registry := prometheus.NewRegistry()
	documents, err := r.documents(r.settings())
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(r.LogLevel)
	if err != nil {
		return err
	}
	config := f.aws(fakeaws.Inject(f.services(), func(call fakeaws.Call) fakeaws.Fault {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.fault == nil {
			return fakeaws.Fault{}
		}
		return f.fault(call)
	}))
	return r.consume(ctx, config, documents, f, registry, newLogger(f, level).With().Str("worker", r.worker()).Logger(), false)
}

// Write receives a line of the tasks' log.
func (f *fleet) Write(line []byte) (int, error) {
	if err := f.metrics.Log(line); err != nil {
		f.t.Errorf("CloudWatch extracts no metrics from %s: %v", line, err)
	}
	var l struct{ Level, Message, Error string }
	if err := json.Unmarshal(line, &l); err != nil {
		f.t.Errorf("%v: %s", err, line)
	}
	if l.Level == "warn" || l.Level == "error" {
		f.note(l.Message + ": " + l.Error)
	}
	return len(line), nil
}

func (f *fleet) note(message string) { f.change(func() { f.lines[message]++ }) }

// noted returns the warnings and errors with their counts.
func (f *fleet) noted() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, message := range slices.Sorted(maps.Keys(f.lines)) {
		all = append(all, fmt.Sprintf("%6d × %s", f.lines[message], message))
	}
	return strings.Join(all, "\n")
}

// Stream acts as the domain. It implements opensearch.Client.
func (f *fleet) Stream(r *http.Request) (*http.Response, error) {
	return fakeaws.RoundTripper(http.HandlerFunc(f.answer)).RoundTrip(r)
}

func (f *fleet) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	search := f.search
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case search.status != 0:
		w.WriteHeader(search.status)
		fmt.Fprint(w, `{"error":{"type":"x","reason":"x"}}`)
	case r.URL.Path == "/_bulk":
		select {
		case <-time.After(search.took):
		case <-r.Context().Done():
		}
		fmt.Fprintf(w, `{"took":1,"errors":true,"items":[%s]}`, strings.Join(search.items(body), ","))
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{}`)
	default:
		fmt.Fprint(w, `{"acknowledged":true}`)
	}
}

// items returns the outcomes of a bulk request.
func (s searchState) items(body []byte) (items []string) {
	for pair := range slices.Chunk(bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")), 2) {
		var action map[string]struct {
			Index string `json:"_index"`
		}
		_ = json.Unmarshal(pair[0], &action) // the indexer's tests check the body
		for operation, target := range action {
			item := `{"status":201}`
			if s.refuse != nil && s.refuse(target.Index) {
				item = fmt.Sprintf(`{"status":403,"error":{"type":"cluster_block_exception","reason":"index [%s] blocked by: [FORBIDDEN/8/index write (api)];"}}`, target.Index)
			}
			items = append(items, fmt.Sprintf(`{%q:%s}`, operation, item))
		}
	}
	return items
}

// produce puts an event every ten seconds until ctx ends. Every fifth is dated the day before,
// so that documents go to two indices.
func (f *fleet) produce(ctx context.Context) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	for n := 0; ctx.Err() == nil; n++ {
		at := time.Now()
		if n%5 == 4 {
			at = at.AddDate(0, 0, -1)
		}
		packed.Reset()
		zip.Reset(&packed)
		// Writing to a buffer does not fail.
		_, _ = fmt.Fprintf(zip, `{"messageType":"DATA_MESSAGE","owner":"o","logGroup":"g","logStream":"s","logEvents":[{"id":"%056d","timestamp":%d,"message":"line %d"}]}`, n, at.UnixMilli(), n)
		_ = zip.Close()
		quiet := false
		if f.change(func() { quiet = f.quiet }); !quiet {
			f.put(n, packed.Bytes())
		}
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
		}
	}
}

// put puts a record into one of the two shards and counts it in Kinesis' metric.
func (f *fleet) put(shard int, data []byte) {
	key := "0"
	if shard%fleetShards == 1 {
		key = "300000000000000000000000000000000000000" // above half of 2^128
	}
	_, err := f.kinesis.PutRecord(context.WithoutCancel(f.t.Context()), &kinesis.PutRecordInput{StreamName: &f.stream, PartitionKey: aws.String("k"), ExplicitHashKey: &key, Data: data})
	if err != nil {
		f.t.Error(err)
	}
	f.metrics.Put(fakecloudwatch.Metric{Namespace: "AWS/Kinesis", Name: "IncomingRecords", Dimensions: []fakecloudwatch.Dimension{{Name: "StreamName", Value: f.stream}}}, time.Now(), 1)
}
