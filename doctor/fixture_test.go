package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"logsluice/consumer"
	"logsluice/indexer/deadletter"
	"logsluice/internal/fakeaccount"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/local/localtest"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
)

// The tests of the links share one fixture: a chain in which every link is healthy, with AWS
// and OpenSearch in process. A case breaks one thing in it and compares the finding. Each
// case has its own synctest bubble, so pauses and timeouts take no time, it is always
// 2000-01-01T00:00:00Z, and ages are exact.

// ARNs of the fixture.
const (
	testStream = "arn:aws:kinesis:us-east-1:" + fakeaccount.ID + ":stream/s"
	testRole   = "arn:aws:iam::" + fakeaccount.ID + ":role/cwl"
	testCaller = "arn:aws:sts::" + fakeaccount.ID + ":assumed-role/logsluice/task"
)

// Indices of the fixture, by day.
const (
	today     = "app-2000-01-01"
	yesterday = "app-1999-12-31"
)

// chain is a walk with fakes of everything that it checks. A case changes it before the walk.
type chain struct {
	*walk
	t    *testing.T
	ctx  context.Context // of the walk
	sts  *fakeaccount.STS
	logs *fakeaccount.Logs
	s3   http.Handler
	// fault returns the fault of a call to Kinesis, DynamoDB or CloudWatch Logs.
	fault func(fakeaws.Call) fakeaws.Fault
	// transport, if set, replaces all of AWS.
	transport  answers
	bucket     gofakes3.Backend
	search     *domain
	dashboards *domain
	found      Finding // of the link that was checked
}

// newChain returns a chain without faults in the state after the link AWS was checked.
func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{
		t: t, ctx: t.Context(),
		sts:    &fakeaccount.STS{Key: "x", Expired: "OLD", ARN: testCaller},
		logs:   fakeaccount.NewLogs(),
		bucket: s3mem.New(),
		search: newDomain(searchAnswers), dashboards: newDomain(dashboardsAnswers),
	}
	c.s3 = gofakes3.New(c.bucket, gofakes3.WithTimeSkewLimit(0)).Server()
	streams, tables := fakeaws.NewKinesis(fakeaws.KinesisOptions{}), fakedynamodb.New(fakedynamodb.Options{})
	services := fakeaws.RoundTripper(fakeaws.Inject(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasPrefix(target, "Kinesis_"):
			streams.ServeHTTP(w, r)
		case strings.HasPrefix(target, "DynamoDB_"):
			tables.ServeHTTP(w, r)
		case strings.HasPrefix(target, "Logs_"):
			c.logs.ServeHTTP(w, r)
		case r.Header.Get("Content-Type") == "application/x-www-form-urlencoded":
			c.sts.ServeHTTP(w, r)
		default:
			c.s3.ServeHTTP(w, r)
		}
	}), func(call fakeaws.Call) fakeaws.Fault {
		if c.fault == nil {
			return fakeaws.Fault{}
		}
		return c.fault(call)
	}))
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://aws.invalid"),
		Credentials:      credentials.NewStaticCredentialsProvider("x", "x", ""),
		RetryMaxAttempts: 2, // as the command has it
		HTTPClient: &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
			if c.transport != nil {
				return c.transport(r)
			}
			return services.RoundTrip(r)
		})},
	}
	c.walk = &walk{account: fakeaccount.ID, streamARN: testStream, Config: Config{
		AWS: cfg, DynamoDB: dynamodb.NewFromConfig(cfg), Kinesis: consumer.NewKinesis(cfg, "s"),
		Stream: "s", Application: "leases", MostLogGroups: 100,
		Search: c.search, SearchAccess: Access{URL: "http://localhost:9200", Setting: "OPENSEARCH_URL (--opensearch-url)"},
		Naming:     schema.Naming{Prefix: "app", Zone: time.UTC},
		Templates:  []opensearch.Template{{Name: "app", Bodies: [][]byte{[]byte(templateBody)}}, {Name: "app-dead-letter", Bodies: [][]byte{[]byte(lettersBody)}}},
		Policy:     []byte(policyBody),
		Dashboards: &opensearch.Dashboards{Client: c.dashboards}, DashboardsAccess: Access{URL: "http://localhost:5601", Setting: "DASHBOARDS_URL (--dashboards-url)"},
		SavedObjects: [][]byte{[]byte(searchObject), []byte(patternObject)},
		Archive:      &deadletter.URL{Bucket: "archive", Prefix: "cwl/"},
	}}
	c.createStream("s", 2)
	c.put("s", "0", envelope(fakeaccount.ID))
	c.createTable("leases", "ShardID", dynamotypes.ScalarAttributeTypeS)
	for _, id := range []string{shard0, shard1} {
		c.lease("leases", id, map[string]string{"AssignedTo": "w", "LeaseTimeout": time.Now().Add(10 * time.Second).Format(time.RFC3339Nano), "LeaseDurationMillis": "15000"})
	}
	c.logs.Group("/api", forwarding(nil))
	c.check(c.bucket.CreateBucket("archive"))
	c.object("cwl/2000/01/01/00/new")
	return c
}

func (c *chain) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// checkLink creates a chain, applies change unless it is nil, and checks one link.
func checkLink(t *testing.T, link func(*walk, context.Context, *Finding), change func(*chain)) (c *chain) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c = newChain(t)
		all(change)(c)
		c.found.State = OK
		link(c.walk, c.ctx, &c.found)
	})
	return c
}

// expect compares a finding: its state, its text, and the beginning of each remedy. In text
// and remedies, "…" stands for anything.
func expect(t *testing.T, name string, got Finding, state State, found string, remedies ...string) {
	t.Helper()
	same := got.State == state && matches(got.Found, found) && len(got.Remedies()) == len(remedies)
	for i := range min(len(got.Remedies()), len(remedies)) {
		same = same && matches(got.Remedies()[i], remedies[i]+"…")
	}
	if !same {
		t.Errorf("%s\ngot  %s: %s\n     %q\nwant %s: %s\n     %q", name, got.State, got.Found, got.Remedies(), state, found, remedies)
	}
}

func matches(text, pattern string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), "…", ".*") + "$").MatchString(text)
}

// answers implements the clients of all services by a function.
type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
func (f answers) Stream(r *http.Request) (*http.Response, error)    { return f(r) }

// refused fails as if nothing listened.
func refused(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// hang blocks until the request's context ends.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// answering returns the same answer to each request.
func answering(status int, header http.Header, body string) answers {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
			Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
}

// notAWS answers with the page of a proxy.
var notAWS = answering(http.StatusBadGateway, http.Header{}, "<html>")

// refuse returns a change that answers an operation with an error code.
func refuse(operation, code string) func(*chain) {
	return onCall(operation, fakeaws.Fault{Refuse: &fakeaws.APIError{Code: code, Message: "no"}})
}

// edit returns a change that replaces a text in the answers to an operation.
func edit(operation, old, replacement string) func(*chain) {
	return onCall(operation, fakeaws.Fault{Edit: func(answer []byte) []byte {
		return bytes.Replace(answer, []byte(old), []byte(replacement), 1)
	}})
}

func onCall(operation string, fault fakeaws.Fault) func(*chain) {
	return func(c *chain) {
		before := c.fault
		c.fault = func(call fakeaws.Call) fakeaws.Fault {
			if call.Operation == operation {
				return fault
			}
			if before != nil {
				return before(call)
			}
			return fakeaws.Fault{}
		}
	}
}

// awsUnreachable makes all of AWS unreachable.
func awsUnreachable(c *chain) { c.transport = refused }

// answer returns a change that replaces OpenSearch's answer to a request, in the form of domain.
func answer(asked, answer string) func(*chain) {
	return func(c *chain) { c.search.answers[asked] = answer }
}

// interrupted returns a change that interrupts the walk after a time.
func interrupted(after time.Duration) func(*chain) {
	return func(c *chain) {
		ctx, cancel := context.WithCancel(c.ctx)
		time.AfterFunc(after, cancel)
		c.ctx = ctx
	}
}

// all combines changes, which can be nil.
func all(changes ...func(*chain)) func(*chain) {
	return func(c *chain) {
		for _, change := range changes {
			if change != nil {
				change(c)
			}
		}
	}
}

// Remedies that several links give.
const (
	noRoute   = "AWS cannot be reached from here"
	lookAtAWS = "try again; if it persists, see the AWS Health Dashboard"
	isHealthy = "check the domain's health, and try again"
)

const (
	shard0 = "shardId-000000000000"
	shard1 = "shardId-000000000001"
)

func (c *chain) createStream(name string, shards int32) {
	c.t.Helper()
	_, err := c.Kinesis.CreateStream(c.t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	c.check(err)
}

// put puts a record into the shard of a hash key.
func (c *chain) put(stream, hashKey string, data []byte) {
	c.t.Helper()
	_, err := c.Kinesis.PutRecord(c.t.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String("k"), ExplicitHashKey: &hashKey, Data: data})
	c.check(err)
}

// envelope returns a record of CloudWatch Logs with two events of an account.
func envelope(owner string) []byte {
	return localtest.Gzip([]byte(`{"messageType":"DATA_MESSAGE","owner":"` + owner + `","logGroup":"/api","logStream":"l","subscriptionFilters":["f"],` +
		`"logEvents":[{"id":"1","timestamp":1,"message":"a"},{"id":"2","timestamp":1,"message":"b"}]}`))
}

func (c *chain) createTable(name, key string, kind dynamotypes.ScalarAttributeType) {
	c.t.Helper()
	_, err := c.DynamoDB.CreateTable(c.t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: &key, AttributeType: kind}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: &key, KeyType: dynamotypes.KeyTypeHash}},
	})
	c.check(err)
}

// lease puts a row into a lease table. Attributes that are whole numbers are written as numbers.
func (c *chain) lease(table, shard string, attributes map[string]string) {
	c.t.Helper()
	row := map[string]dynamotypes.AttributeValue{"ShardID": &dynamotypes.AttributeValueMemberS{Value: shard}}
	for name, value := range attributes {
		row[name] = &dynamotypes.AttributeValueMemberS{Value: value}
		if _, err := strconv.ParseInt(value, 10, 64); err == nil {
			row[name] = &dynamotypes.AttributeValueMemberN{Value: value}
		}
	}
	_, err := c.DynamoDB.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: row})
	c.check(err)
}

// forwarding returns a subscription filter as CloudWatch Logs returns it, with some members
// changed.
func forwarding(members map[string]any) map[string]any {
	filter := map[string]any{"filterName": "f", "filterPattern": "", "destinationArn": testStream, "roleArn": testRole, "distribution": "Random"}
	maps.Copy(filter, members)
	return filter
}

func (c *chain) object(key string) {
	c.t.Helper()
	_, err := c.bucket.PutObject("archive", key, map[string]string{}, strings.NewReader("x"), 1, nil)
	c.check(err)
}
