package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/local/localtest"
)

// start has fakes for the start of a worker: AWS in one region, and an OpenSearch that accepts
// everything. It counts the requests.
type start struct {
	t        *testing.T
	kinesis  *kinesis.Client
	dynamoDB *dynamodb.Client

	mu        sync.Mutex
	faults    map[string][]fakeaws.Fault // faults of the next calls, by operation; the last one repeats
	calls     map[string]int             // number by operation
	inputs    []fakeaws.Call             // calls to Kinesis
	regions   map[string]bool            // "SERVICE REGION" for which requests were signed
	requests  int                        // writing requests to OpenSearch
	documents int
}

func newStart(t *testing.T, options fakeaws.KinesisOptions) *start {
	t.Helper()
	return newStartOn(t, options, "")
}

// newStartOn uses the DynamoDB at a URL, or an in-process one for "".
func newStartOn(t *testing.T, options fakeaws.KinesisOptions, dynamoDBURL string) *start {
	t.Helper()
	s := &start{t: t, faults: map[string][]fakeaws.Fault{}, calls: map[string]int{}, regions: map[string]bool{}}
	streams := s.serve(fakeaws.NewKinesis(options), "us-east-1")
	tables := dynamoDBURL
	if tables == "" {
		tables = s.serve(fakedynamodb.New(fakedynamodb.Options{}), "")
	}
	search := httptest.NewServer(http.HandlerFunc(s.search))
	t.Cleanup(search.Close)
	keys := credentials.NewStaticCredentialsProvider("x", "x", "")
	s.kinesis = kinesis.New(kinesis.Options{BaseEndpoint: &streams, Region: "us-east-1", Credentials: keys})
	s.dynamoDB = dynamodb.New(dynamodb.Options{BaseEndpoint: &tables, Region: "us-east-1", Credentials: keys})
	if _, err := s.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("logs"), ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
	s.calls, s.regions, s.inputs = map[string]int{}, map[string]bool{}, nil
	s.env(map[string]string{
		"STREAM_NAME": "logs", "APPLICATION_NAME": fmt.Sprintf("t%d", time.Now().UnixNano()), "INDEX_PREFIX": "p", "OPENSEARCH_URL": search.URL, "LOG_LEVEL": "info",
		"SHARD_SYNC_INTERVAL": "10ms", "LEASE_DURATION": "3s", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
		"AWS_MAX_ATTEMPTS":         "1", // retries of the SDK would take seconds
		"AWS_ENDPOINT_URL_KINESIS": streams, "AWS_ENDPOINT_URL_DYNAMODB": tables,
	})
	return s
}

func (s *start) env(env map[string]string) {
	for name, value := range env {
		setenv(s.t, name, value)
	}
}

// serve serves a service with s.faults, in one region, or in all for "".
func (s *start) serve(service http.Handler, region string) string {
	faulty := fakeaws.Inject(service, func(call fakeaws.Call) (fault fakeaws.Fault) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[call.Operation]++
		if region != "" {
			s.inputs = append(s.inputs, call)
		}
		if next := s.faults[call.Operation]; len(next) > 0 {
			fault = next[0]
			s.faults[call.Operation] = next[min(1, len(next)-1):]
		}
		return fault
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Credential=ID/DATE/REGION/SERVICE/aws4_request
		parts := strings.Split(r.Header.Get("Authorization"), "/")
		s.mu.Lock()
		s.regions[parts[3]+" "+parts[2]] = true
		s.mu.Unlock()
		if region != "" && parts[2] != region {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"ResourceNotFoundException","message":"Stream logs under account 000000000000 not found."}`)
			return
		}
		faulty.ServeHTTP(w, r)
	}))
	s.t.Cleanup(server.Close)
	return server.URL
}

// search acts as OpenSearch.
func (s *start) search(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodGet {
		s.requests++
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/_bulk":
		n := bytes.Count(body, []byte("\n")) / 2
		s.documents += n
		fmt.Fprintf(w, `{"took":1,"errors":false,"items":[%s]}`, strings.TrimSuffix(strings.Repeat(`{"create":{"_index":"i","status":201}},`, n), ","))
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{}`)
	default:
		io.WriteString(w, `{"acknowledged":true}`)
	}
}

func (s *start) tables() []string {
	s.t.Helper()
	answer, err := s.dynamoDB.ListTables(s.t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.TableNames
}

// table creates a table with a hash key of type string.
func (s *start) table(name, key string) {
	s.t.Helper()
	_, err := s.dynamoDB.CreateTable(s.t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: &key, AttributeType: dynamotypes.ScalarAttributeTypeS}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: &key, KeyType: dynamotypes.KeyTypeHash}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// untouched checks that nothing was created or written.
func (s *start) untouched() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range []string{"CreateTable", "UpdateItem", "PutItem", "DeleteItem"} {
		if n := s.calls[operation]; n > 0 {
			s.t.Errorf("%d calls of %s", n, operation)
		}
	}
	if s.requests > 0 {
		s.t.Errorf("%d requests to OpenSearch that write", s.requests)
	}
}

// running runs a worker until its log contains line and more returns true, and stops it. It
// returns the log.
func (s *start) running(line string, more func() bool) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer cancel()
	log := &localtest.Buffer{}
	exited := make(chan int, 1)
	go func() { exited <- program(ctx, s.t, []string{"run"}, nil, io.Discard, log) }()
	for ctx.Err() == nil && len(exited) == 0 && (!strings.Contains(log.String(), line) || !more()) {
		time.Sleep(5 * time.Millisecond)
	}
	if ctx.Err() != nil || len(exited) > 0 {
		s.t.Errorf("the worker ended or timed out before %q", line)
	}
	cancel()
	if code := <-exited; code != exitOK || s.t.Failed() {
		s.t.Errorf("exit %d, %s", code, log)
	}
	return log.String()
}

// ended runs a command that should end by itself, and stops it after two minutes.
func ended(t *testing.T, env map[string]string, args ...string) (code int, out, errOut string) {
	t.Helper()
	for name, value := range env {
		setenv(t, name, value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code = program(ctx, t, args, nil, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func refuse(code string) fakeaws.Fault {
	return fakeaws.Fault{Refuse: &fakeaws.APIError{Code: code, Message: "because"}}
}

// status returns a fault that changes ACTIVE in a description to another status.
func status(status string) fakeaws.Fault {
	return fakeaws.Fault{Edit: func(answer []byte) []byte {
		return bytes.Replace(answer, []byte(`"ACTIVE"`), []byte(`"`+status+`"`), 1)
	}}
}

const othersARN = "arn:aws:kinesis:us-east-1:111111111111:stream/logs"

// If the stream cannot be read because of a setting, the worker ends with exit code 2 and one
// line, before anything is created.
func TestRunStream_Failure(t *testing.T) {
	t.Parallel()
	const correct = ": correct STREAM_NAME (--stream-name) or AWS_REGION, or create the stream (deploy/logsluice.yaml)\n"
	type faults = map[string][]fakeaws.Fault
	f := func(name, want string, env map[string]string, wrong faults) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newStart(t, fakeaws.KinesisOptions{})
			maps.Copy(s.faults, wrong)
			code, out, errOut := ended(t, env, "run")
			if _, line, _ := strings.Cut(errOut, "logsluice: "); code != exitSettings || out != "" || line != want || !strings.HasSuffix(errOut, "logsluice: "+want) || strings.Contains(errOut, "summary") {
				t.Errorf("exit %d, %q, want the line %q", code, errOut, want)
			}
			s.untouched()
			if tables := s.tables(); len(tables) > 0 {
				t.Errorf("tables %q", tables)
			}
		})
	}
	f("no stream", `stream "other" does not exist in us-east-1`+correct, map[string]string{"STREAM_NAME": "other"}, nil)
	f("another region", `stream "logs" does not exist in eu-west-1`+correct, map[string]string{"AWS_REGION": "eu-west-1"}, nil)
	f("no stream of another account", `stream "`+othersARN+`" does not exist in us-east-1`+correct, map[string]string{"STREAM_NAME": othersARN, "AWS_REGION": "eu-west-1"}, nil)
	denied := faults{"DescribeStreamSummary": {refuse("AccessDeniedException")}}
	f("no stream, describing denied", `stream "other" does not exist in us-east-1`+correct, map[string]string{"STREAM_NAME": "other"}, denied)
	f("deleting", `stream "logs" in us-east-1 is being deleted`+correct, nil, faults{"DescribeStreamSummary": {status("DELETING")}})
	f("deleted while it was being created", `stream "logs" in us-east-1 is being deleted`+correct, nil, faults{"DescribeStreamSummary": {status("CREATING"), status("DELETING")}})
	f("throttled, then missing", `stream "logs" does not exist in us-east-1`+correct, nil, faults{"DescribeStreamSummary": {refuse("LimitExceededException"), refuse("LimitExceededException"), refuse("ResourceNotFoundException")}})
	const renew = ": renew the credentials: for an ECS task its task role, otherwise AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and check this machine's clock\n"
	for _, code := range []string{"UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"} {
		f(code, "AWS refuses the credentials: api error "+code+": because"+renew, nil, faults{"DescribeStreamSummary": {refuse(code)}})
	}
}

// Temporary errors and optional permissions do not keep a worker from starting.
func TestRunStream_Success(t *testing.T) {
	t.Parallel()
	f := func(name, line string, wrong map[string][]fakeaws.Fault) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newStart(t, fakeaws.KinesisOptions{})
			maps.Copy(s.faults, wrong)
			log := s.running("consuming", func() bool { return true })
			if n := strings.Count(log, line); n != 1 {
				t.Errorf("%d lines with %q: %s", n, line, log)
			}
			if !strings.Contains(log, `"arn":"arn:aws:kinesis:us-east-1:000000000000:stream/logs"`) && name != "denied" {
				t.Errorf("the log has no ARN: %s", log)
			}
		})
	}
	active := fakeaws.Fault{}
	f("creating", "logs: the stream is being created", map[string][]fakeaws.Fault{"DescribeStreamSummary": {status("CREATING"), status("CREATING"), active}})
	f("updating", "stream found", map[string][]fakeaws.Fault{"DescribeStreamSummary": {status("UPDATING")}})
	f("denied", "grant kinesis:DescribeStreamSummary on the stream to the task role", map[string][]fakeaws.Fault{"DescribeStreamSummary": {refuse("AccessDeniedException")}})
	away := refuse("InternalFailure")
	away.Refuse.Status = http.StatusInternalServerError
	f("away", "cannot use the stream yet; trying again", map[string][]fakeaws.Fault{"DescribeStreamSummary": {away, away, active}})
	f("throttled", "cannot use the stream yet; trying again", map[string][]fakeaws.Fault{"DescribeStreamSummary": {refuse("LimitExceededException"), active}})
	f("no connection", "cannot use the stream yet; trying again", map[string][]fakeaws.Fault{"DescribeStreamSummary": {{Lose: true}, active}})
	f("lease table away", "cannot use the lease table yet; trying again", map[string][]fakeaws.Fault{"DescribeTable": {away, active}})
}

// A stream that is deleted after it was found is reported with the same error.
func TestRunStreamGone(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.faults["ListShards"] = []fakeaws.Fault{refuse("ResourceNotFoundException")}
	code, _, errOut := ended(t, nil, "run")
	if code != exitSettings || !strings.Contains(errOut, `logsluice: stream "logs" does not exist in us-east-1: correct STREAM_NAME`) {
		t.Errorf("exit %d, %s", code, errOut)
	}
}

// A worker without permission to list the shards ends before it creates anything.
func TestRunShardsDenied(t *testing.T) {
	t.Parallel()
	for _, operations := range [][]string{{"ListShards"}, {"ListShards", "DescribeStreamSummary"}} {
		s := newStart(t, fakeaws.KinesisOptions{})
		for _, operation := range operations {
			s.faults[operation] = []fakeaws.Fault{refuse("AccessDeniedException")}
		}
		code, _, errOut := ended(t, nil, "run")
		if code != exitSettings || !strings.Contains(errOut, `logsluice: stream "logs" in us-east-1: `) || !strings.Contains(errOut, "grant kinesis:ListShards on the stream") {
			t.Errorf("%v denied: exit %d, %s", operations, code, errOut)
		}
		s.untouched()
	}
}

// While the stream is being created, the worker creates nothing.
func TestRunStreamCreating(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.faults["DescribeStreamSummary"] = []fakeaws.Fault{status("CREATING")}
	asked := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.calls["DescribeStreamSummary"] > 5
	}
	s.running("the stream is being created", asked)
	s.untouched()
}

// A worker waits until a lease table is deleted, and creates it again.
func TestRunTableDeleting(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.env(map[string]string{"APPLICATION_NAME": "app"})
	s.table("app", "ShardID")
	s.calls = map[string]int{}
	gone := fakeaws.Fault{Edit: func([]byte) []byte {
		s.untouched()
		if _, err := s.dynamoDB.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String("app")}); err != nil {
			t.Error(err)
		}
		return []byte(`{"Table":{"TableName":"app","TableStatus":"DELETING","KeySchema":[{"AttributeName":"ShardID","KeyType":"HASH"}]}}`)
	}}
	s.faults["DescribeTable"] = []fakeaws.Fault{status("DELETING"), status("DELETING"), gone, {}}
	log := s.running("consuming", func() bool { return true })
	if !strings.Contains(log, "app: the lease table is being deleted") || s.calls["CreateTable"] != 1 {
		t.Errorf("%d tables created: %s", s.calls["CreateTable"], log)
	}
}

// A worker whose stream is not the lease table's fails before anything is created, and so does
// the command leases.
func TestTableOfAnotherStream(t *testing.T) {
	t.Parallel()
	const account = "arn:aws:kinesis:us-east-1:000000000000:stream/"
	f := func(name, asked string, wrong map[string][]fakeaws.Fault) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newStart(t, fakeaws.KinesisOptions{})
			s.running("consuming", func() bool { return true })
			if _, err := s.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("other"), ShardCount: aws.Int32(1)}); err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			s.calls, s.requests = map[string]int{}, 0
			maps.Copy(s.faults, wrong)
			s.mu.Unlock()
			for args, asked := range map[string]string{"run": asked, "leases": "other"} {
				code, out, errOut := command(t, map[string]string{"STREAM_NAME": "other"}, nil, args)
				want := fmt.Sprintf("belongs to stream %slogs, not to %s: set APPLICATION_NAME (--application-name) to a name that no other stream has, or correct STREAM_NAME (--stream-name)\n", account, asked)
				if code != exitSettings || out != "" || !strings.HasSuffix(errOut, want) {
					t.Errorf("%s: exit %d, %q, want %q", args, code, errOut, want)
				}
			}
			s.untouched()
		})
	}
	f("described", account+"other", nil)
	f("describing denied", "other", map[string][]fakeaws.Fault{"DescribeStreamSummary": {refuse("AccessDeniedException")}})
}

// run and leases refuse a table that is not a lease table, such as one of the KCL for Java and
// Python, in one line, and do not change it.
func TestOtherTable(t *testing.T) {
	t.Parallel()
	f := func(t *testing.T, s *start, key string) {
		t.Helper()
		app := fmt.Sprintf("java-%d", time.Now().UnixNano())
		s.env(map[string]string{"APPLICATION_NAME": app})
		s.table(app, key)
		row := map[string]dynamotypes.AttributeValue{key: &dynamotypes.AttributeValueMemberS{Value: shardID(0)}}
		if _, err := s.dynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &app, Item: row}); err != nil {
			t.Fatal(err)
		}
		s.calls = map[string]int{}
		want := fmt.Sprintf("APPLICATION_NAME (--application-name): %q is not a lease table (its key is %s, not ShardID): use a name that no other table has\n", app, key)
		for _, args := range [][]string{{"run"}, {"leases"}, {"leases", "--stream-name="}, {"leases", "reset", "--to=latest", "--yes"}} {
			code, out, errOut := ended(t, nil, args...)
			if _, line, _ := strings.Cut(errOut, "logsluice: "); code != exitSettings || out != "" || line != want {
				t.Errorf("%q: exit %d, %q, %q, want %q", args, code, out, errOut, want)
			}
		}
		s.untouched()
	}
	t.Run("in process", func(t *testing.T) { f(t, newStart(t, fakeaws.KinesisOptions{}), "leaseKey") })
	t.Run("another", func(t *testing.T) { f(t, newStart(t, fakeaws.KinesisOptions{}), "id") })
	t.Run("DynamoDB Local", func(t *testing.T) {
		f(t, newStartOn(t, fakeaws.KinesisOptions{}, localtest.DynamoDB(t)), "leaseKey")
	})
}

// A lease table that is being created or deleted is not treated as empty.
func TestLeasesTableNotReady(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.env(map[string]string{"APPLICATION_NAME": "app"})
	s.table("app", "ShardID")
	for _, state := range []string{"CREATING", "DELETING"} {
		s.faults["DescribeTable"] = []fakeaws.Fault{status(state)}
		code, out, errOut := command(t, nil, nil, "leases")
		if want := "logsluice: lease table \"app\" is " + state + ": try again when it is ACTIVE\n"; code != exitFailure || out != "" || errOut != want {
			t.Errorf("exit %d, %q, %q, want %q", code, out, errOut, want)
		}
	}
}

// For a stream of another account and region than the lease table's, every call has its ARN.
func TestRunStreamOfAnotherAccount(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{Account: "111111111111"})
	arn := othersARN
	envelope, _ := sample(t)
	put := &kinesis.PutRecordInput{StreamARN: &arn, PartitionKey: aws.String("k"), Data: localtest.Gzip(envelope)}
	if _, err := s.kinesis.PutRecord(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	s.inputs, s.regions = nil, map[string]bool{}
	s.env(map[string]string{"STREAM_NAME": arn, "AWS_REGION": "eu-west-1", "EVENT_MAX_AGE": "0", "EVENT_MAX_AHEAD": "0"})
	read := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.documents == 2 && s.calls["GetRecords"] > 4
	}
	s.running("consuming", read)

	code, out, errOut := command(t, nil, nil, "leases", "--lag", "--output=json")
	var leases []lease
	if err := json.Unmarshal([]byte(out), &leases); err != nil || code != exitOK || len(leases) != 2 {
		t.Fatalf("exit %d, %s%s", code, out, errOut)
	}
	for _, l := range leases {
		if l.Lag == nil || l.State == "expired" {
			t.Errorf("%+v", l)
		}
	}
	if want := map[string]bool{"kinesis us-east-1": true, "dynamodb eu-west-1": true}; !maps.Equal(s.regions, want) {
		t.Errorf("signed for %v", s.regions)
	}
	for _, call := range s.inputs {
		var in struct{ StreamARN, StreamName string }
		if err := json.Unmarshal(call.Body, &in); err != nil || in.StreamARN != arn || in.StreamName != "" {
			t.Errorf("%s: %s", call.Operation, call.Body)
		}
	}
}

// Each command refuses names that are invalid in AWS in one line, before any request.
func TestNames_Failure(t *testing.T) {
	t.Parallel()
	asked := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("request to %s %s", r.URL, r.Header.Get("X-Amz-Target"))
	}))
	t.Cleanup(asked.Close)
	complete := map[string]string{
		"STREAM_NAME": "s", "APPLICATION_NAME": "app", "OPENSEARCH_URL": asked.URL, "INDEX_PREFIX": "p", "AWS_REGION": "us-east-1",
		"AWS_ENDPOINT_URL": asked.URL, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "WORKER_ID": "",
	}
	f := func(variable, flag, value, remedy string, commands ...string) {
		t.Helper()
		for _, name := range commands {
			t.Run(name+" "+variable+" "+value, func(t *testing.T) {
				env := maps.Clone(complete)
				env[variable] = value
				code, out, errOut := ended(t, env, name)
				if code != exitSettings || out != "" || strings.Count(errOut, "\n") != 1 ||
					!strings.HasPrefix(errOut, fmt.Sprintf("logsluice: %s: %q", strings.TrimSuffix(variable+" ("+flag+")", " ()"), value)) || !strings.Contains(errOut, remedy) {
					t.Errorf("exit %d, %q, %q", code, out, errOut)
				}
			})
		}
	}
	all := []string{"run", "leases", "doctor"}
	for value, remedy := range map[string]string{" s": "has leading or trailing whitespace", "s ": "trailing whitespace", " ": "is blank", "s\t": "trailing whitespace", "s\n": "ends in a newline: remove it", "s\r": "ends in a carriage return: remove it", `"s"`: "has quotes around it: remove them"} {
		f("STREAM_NAME", "--stream-name", value, remedy, all...)
		f("APPLICATION_NAME", "--application-name", value, remedy, all...)
		f("WORKER_ID", "--worker-id", value, remedy, "run")
	}
	for _, value := range []string{"s s", "a/b", "ARN:aws:kinesis:us-east-1:111111111111:stream/s", "é", strings.Repeat("s", 129)} {
		f("STREAM_NAME", "--stream-name", value, "use the name or the ARN of the stream", all...)
	}
	for _, value := range []string{
		"arn:", "arn:aws:kinesis", "arn:aws:kinesis:us-east-1:111111111111:stream/",
		"arn:aws:kinesis:us-east-1:111111111111:stream/s/consumer/c:1", "arn:aws:kinesis:us-east-1:111111111111:consumer/s",
		"arn:aws:kinesis:us-east-1:11111111111:stream/s", "arn:aws:kinesis:us-east-1::stream/s", "arn:aws:kinesis::111111111111:stream/s",
		"arn:aws:firehose:us-east-1:111111111111:stream/s", "arn:aws-cn:kinesis:us-east-1:111111111111:stream/s", "arn:aws:kinesis:cn-north-1:111111111111:stream/s",
		"arn:aws:kinesis:us east:111111111111:stream/s", "arn::kinesis:us-east-1:111111111111:stream/s",
	} {
		f("STREAM_NAME", "--stream-name", value, "arn:aws:kinesis:us-east-1:123456789012:stream/NAME", all...)
	}
	for _, value := range []string{"my app", "ab", "arn:aws:dynamodb:us-east-1:111111111111:table/app", strings.Repeat("a", 256)} {
		f("APPLICATION_NAME", "--application-name", value, "3 to 255", all...)
	}
	for _, value := range []string{"us east 1", "us-east-1/", "-"} {
		f("AWS_REGION", "", value, "such as us-east-1", all...)
	}
	for _, value := range []string{" us-east-1", "us-east-1\n"} {
		f("AWS_REGION", "", value, "remove it", all...)
	}
	for _, value := range []string{"a\tb", "a\x01b", "\u200bw", strings.Repeat("w", 129)} {
		f("WORKER_ID", "--worker-id", value, "", "run")
	}
}

// While AWS is unavailable, problems with OpenSearch are also reported, and nothing is created.
func TestRunAWSAndOpenSearchAway(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.faults["DescribeStreamSummary"] = []fakeaws.Fault{{Lose: true}}
	url := "http://" + localtest.FreeAddress(t)
	s.env(map[string]string{"OPENSEARCH_URL": url})
	log := s.running("the index templates cannot be installed", func() bool { return true })
	for _, line := range []string{"cannot use the stream yet", url + " cannot be connected to"} {
		if n := strings.Count(log, line); n != 1 {
			t.Errorf("%d lines with %q: %s", n, line, log)
		}
	}
	s.untouched()
	if tables := s.tables(); len(tables) > 0 {
		t.Errorf("tables %q", tables)
	}
}

// Missing credentials are reported in one line with the remedy.
func TestRunWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	for _, name := range []string{"run", "leases"} {
		code, out, errOut := ended(t, map[string]string{
			"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true",
			"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		}, name)
		wantExit(t, exitSettings, []string{"no credentials for AWS were found", "AWS_PROFILE", "task role"}, code, errOut)
		if out != "" || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: %q, %q", name, out, errOut)
		}
	}
	s.untouched()
}

// If the task role lacks a permission at the start, run ends with an error that names it.
func TestRunTableDenied(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	s.faults["DescribeTable"] = []fakeaws.Fault{refuse("AccessDeniedException")}
	for _, name := range []string{"run", "leases"} {
		code, _, errOut := ended(t, nil, name)
		if code != exitSettings || !strings.Contains(errOut, "logsluice: DynamoDB DescribeTable: AccessDeniedException: because: grant dynamodb:DescribeTable to the task role (see TaskRole in deploy/logsluice.yaml)\n") {
			t.Errorf("%s: exit %d, %s", name, code, errOut)
		}
	}
	s.untouched()
}

// Errors of AWS are logged without the SDK's prefix, and an HTML page of a proxy is recognized.
func TestRunBadAnswers(t *testing.T) {
	t.Parallel()
	s := newStart(t, fakeaws.KinesisOptions{})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			w.WriteHeader(http.StatusBadGateway)
		}
		io.WriteString(w, "<html>")
	}))
	t.Cleanup(page.Close)
	s.env(map[string]string{"AWS_ENDPOINT_URL_KINESIS": page.URL, "OPENSEARCH_URL": page.URL})
	log := s.running("is not OpenSearch", func() bool { return true })
	for _, want := range []string{`"error":"Kinesis DescribeStreamSummary: the response is 502 Bad Gateway, not one from AWS"`, `"remedy":"AWS cannot be reached`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
}
