package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"logsluice/consumer"
	"logsluice/internal/fakeaws"
)

// fineFindings has the findings of a chain without faults, in order.
var fineFindings = []string{
	"AWS ok: …:assumed-role/logsluice/task of account 000000000000 in us-east-1; clocks agree",
	"subscription filters ok: 1 forward to stream s: …",
	"stream ok: s is ACTIVE, …; 2 shards open, 0 closed; a record of …",
	"lease table ok: table leases is ACTIVE, …; 1 workers hold 2 shards, …",
	"OpenSearch ok: …is opensearch 3.8.0, …; clocks agree",
	"index templates ok: app is in place; …; app-2000-01-01 has the fields",
	"writing ok: a document was written and read back",
	"lifecycle policy ok: app is in place",
	"Dashboards ok: …is OpenSearch Dashboards 3.8.0; …",
	"archive ok: the newest object of s3://archive/cwl/ …",
	"dead letters ok: none in the last day",
}

func TestWalk(t *testing.T) {
	t.Parallel()
	// differ has the findings that differ from fineFindings, each as link, state and text.
	f := func(name string, change func(*chain), differ ...string) {
		t.Helper()
		var findings []Finding
		synctest.Test(t, func(t *testing.T) {
			c := newChain(t)
			all(change)(c)
			findings = Walk(c.ctx, c.Config)
		})
		want := slices.Clone(fineFindings)
		for _, text := range differ {
			i := slices.IndexFunc(fineFindings, func(f string) bool {
				link, _, _ := strings.Cut(f, " ok: ")
				return strings.HasPrefix(text, link+" ")
			})
			want[i] = text
		}
		if len(findings) != len(want) {
			t.Fatalf("%s: %d findings", name, len(findings))
		}
		for i, f := range findings {
			if got := fmt.Sprintf("%s %s: %s", f.Link, f.State, f.Found); !matches(got, want[i]) {
				t.Errorf("%s\ngot  %s\nwant %s", name, got, want[i])
			}
		}
	}
	expired := func(c *chain) { c.AWS.Credentials = credentials.NewStaticCredentialsProvider("OLD", "x", "") }
	signed := func(service string) func(*chain) {
		return func(c *chain) { c.SearchAccess.SigningService = service }
	}
	const (
		noAWS        = "AWS broken: AWS refuses the credentials …"
		noFilters    = "subscription filters skipped: AWS is broken"
		noStream     = "stream skipped: AWS is broken"
		noLeases     = "lease table skipped: AWS is broken"
		noArchive    = "archive skipped: AWS is broken"
		noTemplates  = "index templates skipped: OpenSearch is broken"
		noWriting    = "writing skipped: OpenSearch is broken"
		noPolicy     = "lifecycle policy skipped: OpenSearch is broken"
		noLetters    = "dead letters skipped: OpenSearch is broken"
		notSet       = "archive skipped: ARCHIVE_URL (--archive-url) is not set"
		noDashboards = "Dashboards skipped: DASHBOARDS_URL (--dashboards-url) is not set"
	)
	f("fine", nil)
	f("AWS is broken", expired, noAWS, noFilters, noStream, noLeases, noArchive)
	f("AWS is broken, requests are signed", all(expired, signed("es")), noAWS, noFilters, noStream, noLeases, noArchive,
		"OpenSearch skipped: AWS is broken", noTemplates, noWriting, noPolicy, "Dashboards skipped: AWS is broken", noLetters)
	f("OpenSearch is broken", answer("GET /", "refused"), "OpenSearch broken: …", noTemplates, noWriting, noPolicy, noLetters)
	f("Serverless", signed("aoss"), "OpenSearch ok: … answers as OpenSearch Serverless", "lifecycle policy skipped: OpenSearch Serverless has its own lifecycle policies in AWS")
	f("not set", func(c *chain) { c.Archive, c.Dashboards = nil, nil }, notSet, noDashboards)
	f("not set, and all is broken", all(expired, answer("GET /", "refused"), func(c *chain) { c.Archive, c.Dashboards = nil, nil }),
		noAWS, noFilters, noStream, noLeases, "OpenSearch broken: …", noTemplates, noWriting, noPolicy, noLetters, notSet, noDashboards)
	f("the stream is broken", func(c *chain) { c.Stream = "other" }, "stream broken: stream other does not exist in us-east-1",
		"subscription filters broken: no filter points at stream other in us-east-1; 1 point elsewhere: …")

	// The links after the stream wait for its result, even if Kinesis is slow.
	slow := func(c *chain) {
		c.fault = func(call fakeaws.Call) (fault fakeaws.Fault) {
			if slices.Contains([]string{"DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"}, call.Operation) {
				fault.Delay = time.Second
			}
			return fault
		}
	}
	f("stream of another account's events", func(c *chain) {
		c.Stream = "t"
		c.createStream("t", 3)
		c.lease("leases", shard0, nil)
		c.lease("leases", shard1, nil)
		time.Sleep(time.Second) // after the newest object
		c.put("t", "0", envelope("222222222222"))
		time.Sleep(archiveDelay)
		slow(c)
	}, "subscription filters warning: log events of account 222222222222 arrive; no filter …", "stream ok: t is …; 3 shards open, …",
		"lease table warning: …; 3 shards have no owner: …", "archive warning: …; a record that arrived in the stream 30m4s ago is not there")

	// The link writing waits for the templates and the dead letters.
	f("today's index accepts nothing", all(answer("bulk "+today, readOnly), answer("GET /_index_template/app", "slow "+searchAnswers["GET /_index_template/app"])), "writing broken: "+today+" accepts no documents: …; a document was written and read back")
	f("name taken", answer("GET /app/_settings", `slow 200 {".ds-app-000001":{"settings":{}}}`),
		"index templates broken: …app is a data stream", "writing skipped: run writes nothing: DATA_STREAM does not fit the domain")
	f("documents given up", all(answer("bulk "+yesterday, readOnly), answer("POST /app-dead-letter/_search",
		`slow 200 {"hits":{"total":{"value":4}},"aggregations":{"blocked":{"indices":{"buckets":[{"key":"`+yesterday+`","doc_count":4}]}}}}`)),
		"writing broken: …; "+yesterday+" accepts no documents: …; documents for it that became dead letters in the last day: 4", "dead letters warning: 4 in the last day:…")
}

// Remedies name the stream by its ARN if that is known.
func TestWalkStreamARN(t *testing.T) {
	t.Parallel()
	f := func(stream string, change func(*chain), want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newChain(t)
			c.logs.Reset()
			c.Stream, c.Kinesis = stream, consumer.NewKinesis(c.AWS, stream)
			change(c)
			remedy := Walk(c.ctx, c.Config)[1].Remedy
			if !strings.Contains(remedy, " --destination-arn "+want+" ") {
				t.Errorf("%s: %s", stream, remedy)
			}
		})
	}
	f("s", func(*chain) {}, testStream)
	f(testStream, func(*chain) {}, testStream)
	f("s", func(c *chain) { c.sts.ARN = "nobody" }, "STREAM_ARN")
	f(testStream, func(c *chain) { c.sts.ARN = "nobody" }, testStream)
}
