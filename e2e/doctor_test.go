package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"logsluice/doctor"
	"logsluice/indexer/deadletter"
	"logsluice/internal/fakeaccount"
	"logsluice/internal/fakeaws"
	"logsluice/internal/fakedomain"
	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// chain is everything that logs pass through: a real OpenSearch, a real DynamoDB Local, and
// fakes of the rest.
type chain struct {
	t *testing.T
	*site
	leases *cluster
	sts    *fakeaccount.STS
	logs   *fakeaccount.Logs
	bucket gofakes3.Backend
	clock  gofakes3.TimeSourceAdvancer // of the bucket
	// deny maps "service:Operation" of AWS to the error code with which to answer it.
	deny  map[string]string
	rows  atomic.Int64 // writes to the lease table
	hangs bool         // the test has a server that does not answer
}

const (
	roleARN   = "arn:aws:iam::" + fakeaccount.ID + ":role/cwl"
	streamARN = "arn:aws:kinesis:us-east-1:" + fakeaccount.ID + ":stream/"
	random    = "Random"
)

// subscriptionTo returns a subscription filter as CloudWatch Logs returns it.
func subscriptionTo(stream string) map[string]any {
	return map[string]any{"filterName": "f", "filterPattern": "", "destinationArn": stream, "roleArn": roleARN, "distribution": random}
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t, site: newSite(t), leases: newLeaseCluster(t, 2), logs: fakeaccount.NewLogs(), deny: map[string]string{}}
	c.sts = &fakeaccount.STS{Key: "x", Expired: "OLD", ARN: "arn:aws:sts::" + fakeaccount.ID + ":assumed-role/logsluice/task"}
	c.clock = gofakes3.FixedTimeSource(time.Now().Truncate(time.Second))
	c.bucket = s3mem.New(s3mem.WithTimeSource(c.clock))
	if err := c.bucket.CreateBucket("archive"); err != nil {
		t.Fatal(err)
	}
	if err := c.bucket.CreateBucket("empty"); err != nil {
		t.Fatal(err)
	}
	through := func(target string) http.Handler {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(u)
		proxy.ModifyResponse = func(r *http.Response) error {
			_, operation, _ := strings.Cut(r.Request.Header.Get("X-Amz-Target"), ".")
			if r.StatusCode == http.StatusOK && slices.Contains([]string{"UpdateItem", "PutItem", "DeleteItem", "CreateTable"}, operation) {
				c.rows.Add(1)
			}
			return nil
		}
		return proxy
	}
	maps.Copy(c.env, map[string]string{
		"AWS_ENDPOINT_URL_KINESIS":         c.serve("kinesis", through(c.leases.kinesisURL)),
		"AWS_ENDPOINT_URL_DYNAMODB":        c.serve("dynamodb", through(c.leases.dynamoDBURL)),
		"AWS_ENDPOINT_URL_STS":             c.serve("sts", c.sts),
		"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": c.serve("logs", c.logs),
		"AWS_ENDPOINT_URL_S3":              strings.Replace(c.serve("s3", gofakes3.New(c.bucket, gofakes3.WithTimeSkewLimit(0)).Server()), "127.0.0.1", "localhost", 1), // not an IP address, with which path style is always used
		"ARCHIVE_URL":                      "s3://archive/_/cwl/ecs/",
	})
	c.leases.lease = time.Minute // enough for a busy machine
	c.leases.holder("worker-a", 0)
	c.leases.holder("worker-b", 1)
	c.leases.put("k", recordFrom(t, fakeaccount.ID))
	c.object("archive", "_/cwl/ecs/"+time.Now().UTC().Format("2006/01/02/15/")+"new")
	c.object("archive", "_/cwl/ecs/2019/12/31/23/old")
	c.object("archive", "_/cwl/ecs/zzzz/no-date")
	c.setup(exitOK)
	c.ask(http.MethodPut, "/"+c.today(), "")
	if tomorrow := c.day(time.Now().Add(time.Hour)); tomorrow != c.today() { // the day can change during the test
		c.ask(http.MethodPut, "/"+tomorrow, "")
	}
	c.reset()
	return c
}

// recordFrom returns the sample record as sent by account.
func recordFrom(t *testing.T, account string) []byte {
	t.Helper()
	envelope, _ := sample(t)
	return localtest.Gzip(regexp.MustCompile(`("owner": *)"[^"]*"`).ReplaceAll(envelope, []byte(`$1"`+account+`"`)))
}

// serve serves a service, denies the calls in c.deny, and has streams in us-east-1 only. It
// returns the URL.
func (c *chain) serve(service string, h http.Handler) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if service == "s3" {
			operation = map[string]string{http.MethodGet: "ListObjectsV2", http.MethodPut: "PutObject"}[r.Method]
		}
		code := c.deny[service+":"+operation]
		if service == "kinesis" && !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/") {
			code = "ResourceNotFoundException"
		}
		switch {
		case code == "":
			h.ServeHTTP(w, r)
		case service == "s3":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no identity-based policy allows it</Message></Error>`, code)
		default:
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no identity-based policy allows the " + service + ":" + operation + " action"})
		}
	}))
	c.t.Cleanup(server.Close)
	return server.URL
}

// reset removes all faults of the fakes.
func (c *chain) reset() {
	clear(c.deny)
	c.logs.Reset()
	c.logs.Group("/ecs/api", subscriptionTo(streamARN+"s"))
	c.logs.Group("/ecs/shop", subscriptionTo(streamARN+"s"))
	c.logs.Group("/other")
	c.sts.Ahead = 0
	c.leases.faults(func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
	c.mu.Lock()
	c.refuse = nil
	c.mu.Unlock()
	c.dashboards.NotReady, c.ism.Path, c.ism.Settings = false, fakedomain.Path, nil
	c.writes()
}

func (c *chain) object(bucket, key string) {
	c.t.Helper()
	if _, err := c.bucket.PutObject(bucket, key, map[string]string{}, bytes.NewReader([]byte("x")), 1, nil); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) ask(method, path, body string) {
	c.t.Helper()
	if err := inspect.Ask(c.t.Context(), localtest.Client(c.t), method, path, body, nil); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) today() string { return c.day(time.Now()) }

func (c *chain) day(t time.Time) string { return c.prefix + "-" + t.UTC().Format(time.DateOnly) }

// run runs the command. Unless the test has a server that hangs, it tries again after timeouts,
// which a busy machine can cause.
func (c *chain) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	const tries = 20
	for range tries {
		code, out, errOut = command(t, c.env, nil, append([]string{"doctor"}, args...)...)
		if c.hangs || !strings.Contains(out, "answer in time") && !strings.Contains(out, "deadline exceeded") {
			break
		}
	}
	return code, out, errOut
}

// doctor runs the command, checks that its exit code matches its findings, and returns these
// by link.
func (c *chain) doctor(t *testing.T, args ...string) map[string]doctor.Finding {
	t.Helper()
	code, out, errOut := c.run(t, append([]string{"--output=json"}, args...)...)
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		t.Fatalf("exit %d: %v: %s%s", code, err, out, errOut)
	}
	found, broken := map[string]doctor.Finding{}, 0
	for _, f := range findings {
		found[f.Link] = f
		if f.State == doctor.Broken {
			broken++
		}
		if (f.State == doctor.Broken || f.State == doctor.Warning) != (f.Remedy != "") || f.Found == "" || strings.Contains(f.Found+f.Remedy, "\n") {
			t.Errorf("%+v", f)
		}
	}
	want, message := exitOK, ""
	if broken > 0 {
		want, message = exitFailure, fmt.Sprintf("logsluice: %d of 11 links are broken\n", broken)
	}
	if code != want || errOut != message || len(findings) != 11 {
		t.Errorf("exit %d with %d broken of %d, %q", code, broken, len(findings), errOut)
	}
	return found
}

var chainLinks = []string{
	"AWS", "subscription filters", "stream", "lease table", "OpenSearch", "index templates", "writing", "lifecycle policy", "Dashboards", "archive", "dead letters",
}

// doctor reports a chain without faults link by link, and changes nothing.
func TestDoctor(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	code, out, errOut := c.run(t)
	if code != exitOK || errOut != "" {
		t.Errorf("exit %d, %q", code, errOut)
	}
	out = strings.ReplaceAll(out, c.prefix, "PREFIX")
	t.Log("\n" + out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, want := range []string{
		"AWS: " + c.sts.ARN + " of account 000000000000 in us-east-1; clocks agree",
		"subscription filters: 2 forward to stream s: /ecs/api (f, all events, Random), /ecs/shop (f, all events, Random)",
		"stream: s is ACTIVE, PROVISIONED, keeps records 24h, not encrypted; 2 shards open, 0 closed; a record of shardId-0000",
		"lease table: table " + c.leases.application + " is ACTIVE, PAY_PER_REQUEST; 2 workers hold 2 shards, the oldest heartbeat is ",
		"OpenSearch: " + c.search.URL + " is opensearch 3.8.0, and accepts unsigned requests",
		"index templates: PREFIX is in place; PREFIX-dead-letter is in place; " + strings.ReplaceAll(c.today(), c.prefix, "PREFIX") + " has the fields",
		"writing: a document was written and read back",
		"lifecycle policy: PREFIX is in place",
		"Dashboards: " + c.env["DASHBOARDS_URL"] + " is OpenSearch Dashboards 3.8.0; ",
		"archive: the newest object of s3://archive/_/cwl/ecs/ is ",
		"dead letters: none in the last day",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], "ok       "+want) {
			t.Errorf("line %d is not ok: %s", i, want)
		}
	}
	if !strings.Contains(out, "has 2 events of /ecs-task") || !strings.Contains(out, "/new\n") {
		t.Error("the record's events or the newest object are missing")
	}
	c.unchanged(t)

	// With two links broken, the output is the sample in docs/commands.md.
	c.logs.Reset()
	c.logs.Group("/ecs/api", subscriptionTo(streamARN+"log"))
	c.ask(http.MethodPut, "/"+c.today()+"/_settings", `{"index.blocks.write":true}`)
	code, out, errOut = c.run(t)
	if code != exitFailure || errOut != "logsluice: 2 of 11 links are broken\n" {
		t.Errorf("exit %d, %q", code, errOut)
	}
	page, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(page), "\n## doctor\n")
	_, sample, _ = strings.Cut(sample, "```\n")
	sample, _, _ = strings.Cut(sample, "```")
	if got, want := c.normalize(out+errOut), c.normalize(sample); got != want {
		t.Errorf("doctor prints\n%s\nbut docs/commands.md has\n%s", got, want)
	}
}

// normalize replaces what differs between runs: names, addresses, numbers and ages.
func (c *chain) normalize(out string) string {
	out = strings.NewReplacer(c.prefix, "logs", c.leases.application, "logsluice").Replace(out)
	out = regexp.MustCompile(`http://\S+`).ReplaceAllString(out, "URL")
	return regexp.MustCompile(`\d+`).ReplaceAllString(regexp.MustCompile(`[\d.]+(ms|s)\b`).ReplaceAllString(out, "TIME"), "N")
}

// unchanged checks that doctor wrote nothing but its scratch document, and removed that.
func (c *chain) unchanged(t *testing.T) {
	t.Helper()
	for _, w := range c.writes() {
		scratch := strings.HasPrefix(w, "DELETE /PREFIX-doctor-")
		if !scratch && w != "POST /_bulk" && w != "POST /PREFIX-dead-letter/_search" {
			t.Errorf("doctor sent %s", w)
		}
	}
	var left []any
	if err := inspect.Ask(t.Context(), localtest.Client(t), http.MethodGet, "/_cat/indices/"+c.prefix+"-doctor*?format=json", "", &left); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if n, err := inspect.Count(t.Context(), localtest.Client(t), c.today()); err != nil || n != 0 {
		t.Errorf("%d documents in the index of today, %v", n, err)
	}
	if n := c.rows.Load(); n > 0 {
		t.Errorf("%d writes to the lease table", n)
	}
}

// doctor reports each fault of each link with its remedy, and exits with the code of the
// worst finding. The findings of the other links do not change.
func TestDoctor_Failure(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	type states map[string]doctor.State
	const ok, warning, broken, skipped = doctor.OK, doctor.Warning, doctor.Broken, doctor.Skipped
	f := func(name string, fault func(), env map[string]string, want states, link string, words ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			c.reset()
			defer c.reset()
			before := maps.Clone(c.env)
			defer func() {
				c.env = before
				for k := range env {
					setenv(t, k, before[k])
				}
			}()
			c.env = maps.Clone(c.env)
			args := []string{}
			for k, v := range env {
				if strings.HasPrefix(k, "--") {
					args = append(args, k+"="+v)
					continue
				}
				c.env[k] = v
			}
			if fault != nil {
				fault()
				c.writes()
			}
			c.hangs = slices.ContainsFunc(words, func(s string) bool { return strings.Contains(s, "answer in time") })
			begun := time.Now()
			found := c.doctor(t, args...)
			if took := time.Since(begun); c.hangs && took > 5*time.Minute {
				t.Errorf("doctor took %s", took)
			}
			for _, l := range chainLinks {
				state, listed := want[l]
				if !listed {
					state = ok
				}
				if found[l].State != state {
					t.Errorf("%s is %s, want %s: %s → %s", l, found[l].State, state, found[l].Found, found[l].Remedy)
				}
			}
			text := found[link].Found + " → " + found[link].Remedy
			if strings.Contains(found[link].Found, "could not be read") && strings.Contains(found[link].Found, "no filter points") {
				t.Errorf("%s reports something that was not read: %s", link, text)
			}
			for _, s := range words {
				if !strings.Contains(text, strings.ReplaceAll(s, "PREFIX", c.prefix)) {
					t.Errorf("%s: no %q in %s", link, s, text)
				}
			}
			c.unchanged(t)
		})
	}
	deny := func(call string) func() { return func() { c.deny[call] = "AccessDeniedException" } }
	answer := func(status int, body string, requests ...string) func() {
		return func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.refuse = func(r *http.Request) (int, string) {
				at := strings.ReplaceAll(r.Method+" "+r.URL.Path, c.prefix, "PREFIX")
				for _, prefix := range requests {
					if at == prefix || strings.HasSuffix(prefix, "*") && strings.HasPrefix(at, strings.TrimSuffix(prefix, "*")) {
						return status, body
					}
				}
				return 0, ""
			}
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	closed := "http://" + localtest.FreeAddress(t)
	noAWS := states{"AWS": broken, "subscription filters": skipped, "stream": skipped, "lease table": skipped, "archive": skipped}
	noSearch := states{"OpenSearch": broken, "index templates": skipped, "writing": skipped, "lifecycle policy": skipped, "dead letters": skipped}

	f("no credentials", nil, map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": missing, "AWS_CONFIG_FILE": missing,
	}, noAWS, "AWS", "no credentials", "task role")
	f("expired credentials", nil, map[string]string{"AWS_ACCESS_KEY_ID": "OLD"}, noAWS, "AWS", "EnvConfigCredentials", "ExpiredToken: The security token included in the request is expired", "renew the credentials")
	f("invalid credentials", nil, map[string]string{"AWS_ACCESS_KEY_ID": "other"}, noAWS, "AWS", "InvalidClientTokenId", "renew the credentials")
	f("no STS", nil, map[string]string{"AWS_ENDPOINT_URL_STS": closed}, states{"AWS": warning}, "AWS", "connection refused", "VPC endpoint")
	f("clock behind", func() { c.sts.Ahead = 630 * time.Second }, nil, states{"AWS": broken}, "AWS", c.sts.ARN, "clock is 10m", "s behind AWS's", "NTP", "AWS refuses signed requests")
	f("clock ahead", func() { c.sts.Ahead = -630 * time.Second }, nil, states{"AWS": broken}, "AWS", "clock is 10m", "s ahead of AWS's", "NTP")
	f("clock a little off", func() { c.sts.Ahead = 10 * time.Second }, nil, states{"AWS": warning}, "AWS", "s behind AWS's", "NTP")

	groups := func(filters ...map[string]any) func() {
		return func() {
			c.logs.Reset()
			c.logs.Group("/ecs/api", filters...)
		}
	}
	edited := func(key, value string) map[string]any {
		filter := subscriptionTo(streamARN + "s")
		filter[key] = value
		return filter
	}
	filters := func(state doctor.State) states { return states{"subscription filters": state} }
	f("no log group", func() { c.logs.Reset() }, nil, filters(broken), "subscription filters", "no filter points at stream s in us-east-1", "put-subscription-filter", "--destination-arn "+streamARN+"s ")
	f("no filter", groups(), nil, filters(broken), "subscription filters", "no filter points at stream s in us-east-1", "put-subscription-filter")
	f("filter to another stream", groups(subscriptionTo(streamARN+"s2")), nil, filters(broken), "subscription filters", "1 point elsewhere: /ecs/api to "+streamARN+"s2")
	f("filter to another region", groups(subscriptionTo(strings.Replace(streamARN, "us-east-1", "eu-west-1", 1)+"s")), nil, filters(broken), "subscription filters", "eu-west-1")
	f("filter to another account", groups(subscriptionTo(strings.Replace(streamARN, fakeaccount.ID, "111111111111", 1)+"s")), nil, filters(broken), "subscription filters", "111111111111")
	f("filter without role", groups(edited("roleArn", "")), nil, filters(broken), "subscription filters", "the filter of /ecs/api has no role", "kinesis:PutRecord")
	f("role of another account", groups(edited("roleArn", strings.Replace(roleARN, fakeaccount.ID, "111111111111", 1))), nil, filters(warning), "subscription filters", "a role of account 111111111111")
	f("by log stream", groups(edited("distribution", "ByLogStream"), subscriptionTo(streamARN+"s")), nil, filters(warning), "subscription filters", "1 with Distribution ByLogStream", "distribution to Random")
	f("by log stream, without role", groups(edited("distribution", "ByLogStream"), edited("roleArn", "")), nil, filters(broken), "subscription filters", "distribution to Random", "kinesis:PutRecord")
	f("filters of another account", func() {
		c.newStream("shared")
		c.putTo("shared", recordFrom(t, "222222222222"))
	}, map[string]string{"STREAM_NAME": "shared"}, filters(warning), "subscription filters", "log events of account 222222222222 arrive; no filter points at stream shared")
	f("with a pattern", groups(edited("filterPattern", "ERROR")), nil, nil, "subscription filters", `/ecs/api (f, "ERROR", Random)`)
	policy := func(stream string) func() {
		return func() {
			c.logs.Reset()
			c.logs.Group("/ecs/api")
			c.logs.Policy("p", `LogGroupName NOT IN ["/own"]`, map[string]any{"DestinationArn": stream, "RoleArn": roleARN, "FilterPattern": "", "Distribution": random})
		}
	}
	f("policy of the account", policy(streamARN+"s"), nil, nil, "subscription filters", `the account's log groups with LogGroupName NOT IN ["/own"] (policy p, all events, Random)`)
	f("policy to another stream", policy(streamARN+"s2"), nil, filters(broken), "subscription filters", "1 point elsewhere: the account's log groups")
	f("policy, a group named", policy(streamARN+"s"), map[string]string{"--log-group": "/ecs/api"}, nil, "subscription filters", "policy p")
	f("named", nil, map[string]string{"--log-group": "/ecs/api"}, nil, "subscription filters", "1 forward to stream s: /ecs/api")
	f("named without filter", nil, map[string]string{"--log-group": "/ecs/api,/other"}, filters(broken), "subscription filters", "no filter of /other points at stream s", "--log-group-name /other")
	f("named and missing", nil, map[string]string{"--log-group": "/ecs/api,/nowhere"}, filters(broken), "subscription filters", "log group /nowhere does not exist", "correct --log-group")
	many := func() {
		c.logs.Reset()
		for i := range 5000 {
			c.logs.Group(fmt.Sprintf("/g/%04d", i))
		}
	}
	f("too many log groups", many, map[string]string{"--most-log-groups": "12"}, filters(warning), "subscription filters", "only the first 12", "no filter points at stream s", "--log-group")
	f("account policies denied", deny("logs:DescribeAccountPolicies"), nil, filters(warning), "subscription filters", "2 forward", "AccessDeniedException", "grant logs:DescribeAccountPolicies")
	f("log groups denied", deny("logs:DescribeLogGroups"), nil, filters(warning), "subscription filters", "log groups could not be read", "grant logs:DescribeLogGroups")
	notRead := "log groups could not be read: dial tcp " + strings.TrimPrefix(closed, "http://") + ": connect: connection refused → AWS cannot be reached from here: check the route (NAT gateway or VPC endpoints), the security group and AWS_ENDPOINT_URL"
	f("CloudWatch Logs unreachable", nil, map[string]string{"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": closed}, filters(warning), "subscription filters", notRead)
	f("filters denied", deny("logs:DescribeSubscriptionFilters"), nil, filters(warning), "subscription filters", "the filters of /ecs/api could not be read", "grant logs:DescribeSubscriptionFilters")

	stream := func(state doctor.State) states { return states{"stream": state} }
	withStatus := func(status string) func() {
		return func() {
			c.leases.faults(func(call fakeaws.Call) fakeaws.Fault {
				if call.Operation != "DescribeStreamSummary" {
					return fakeaws.Fault{}
				}
				return fakeaws.Fault{Edit: func(answer []byte) []byte {
					return bytes.Replace(answer, []byte(`"ACTIVE"`), []byte(`"`+status+`"`), 1)
				}}
			})
		}
	}
	f("no stream", nil, map[string]string{"STREAM_NAME": "s2"}, states{"stream": broken, "subscription filters": broken}, "stream", "stream s2 does not exist in us-east-1", "STREAM_NAME")
	f("another region", nil, map[string]string{"AWS_REGION": "eu-west-1"}, states{"stream": broken, "subscription filters": broken, "lease table": warning}, "stream", "stream s does not exist in eu-west-1", "AWS_REGION")
	f("stream by its ARN", nil, map[string]string{"STREAM_NAME": streamARN + "s"}, nil, "subscription filters", "2 forward to stream "+streamARN+"s")
	f("stream of another account", nil, map[string]string{"STREAM_NAME": strings.Replace(streamARN, fakeaccount.ID, "222222222222", 1) + "s"}, states{"stream": broken, "subscription filters": skipped}, "subscription filters", "the stream is of account 222222222222, and so are the filters that point at it")
	f("stream being deleted", withStatus("DELETING"), nil, stream(broken), "stream", "s is DELETING", "is being deleted", "create it again")
	f("stream being created", withStatus("CREATING"), nil, stream(broken), "stream", "s is CREATING", "wait until it is ACTIVE")
	f("summary denied", deny("kinesis:DescribeStreamSummary"), nil, stream(warning), "stream", "grant kinesis:DescribeStreamSummary", "2 shards open")
	f("shards denied", deny("kinesis:ListShards"), nil, stream(broken), "stream", "AccessDeniedException", "grant kinesis:ListShards")
	f("iterator denied", deny("kinesis:GetShardIterator"), nil, stream(broken), "stream", "shardId-000000000000 cannot be read", "grant kinesis:GetShardIterator")
	f("records denied", deny("kinesis:GetRecords"), nil, stream(broken), "stream", "shardId-000000000000 cannot be read", "grant kinesis:GetRecords")
	f("key denied", func() { c.deny["kinesis:GetRecords"] = "KMSAccessDeniedException" }, nil, stream(broken), "stream", "cannot be decrypted", "kms:Decrypt")
	f("shard busy", func() { c.deny["kinesis:GetRecords"] = "ProvisionedThroughputExceededException" }, nil, nil, "stream", "but other consumers use up its reads")
	f("Kinesis unreachable", nil, map[string]string{"AWS_ENDPOINT_URL_KINESIS": closed}, stream(broken), "stream", "connection refused", "AWS_ENDPOINT_URL")
	f("no record", func() { c.newStream("quiet"); c.subscribe("quiet") }, map[string]string{"STREAM_NAME": "quiet"}, nil, "stream", "no record of the last hour in 2 shards")
	f("record of others", func() { c.newStream("foreign"); c.subscribe("foreign"); c.putTo("foreign", []byte("no envelope")) }, map[string]string{"STREAM_NAME": "foreign"}, stream(warning), "stream", "is not a subscription record", "what else writes")

	leases := func(state doctor.State) states { return states{"lease table": state} }
	f("no table", nil, map[string]string{"APPLICATION_NAME": c.prefix + "-none"}, leases(warning), "lease table", "table PREFIX-none does not exist in us-east-1", "run, which creates it", "dynamodb:CreateTable", "APPLICATION_NAME")
	f("another key", func() { c.newTable("PREFIX-key", "id", dynamotypes.ScalarAttributeTypeS) }, map[string]string{"APPLICATION_NAME": c.prefix + "-key"}, leases(broken), "lease table", "is not a lease table (its key is id, not ShardID)", "APPLICATION_NAME")
	f("a key of numbers", func() { c.newTable("PREFIX-number", "ShardID", dynamotypes.ScalarAttributeTypeN) }, map[string]string{"APPLICATION_NAME": c.prefix + "-number"}, leases(broken), "lease table", "its key ShardID is of type N, not S", "APPLICATION_NAME")
	f("no workers", func() { c.newTable("PREFIX-idle", "ShardID", dynamotypes.ScalarAttributeTypeS) }, map[string]string{"APPLICATION_NAME": c.prefix + "-idle"}, leases(warning), "lease table", "2 shards have no owner: shardId-000000000000, shardId-000000000001", "check that run is running")
	f("owner silent", func() { c.silence("PREFIX-silent") }, map[string]string{"APPLICATION_NAME": c.prefix + "-silent"}, leases(warning), "lease table", "2 shards have owners that are silent: shardId-000000000000 (worker-z, 10m", "check that run is running")
	f("shards unread", func() { c.unread("PREFIX-unread") }, map[string]string{"APPLICATION_NAME": c.prefix + "-unread"}, leases(warning), "lease table", "2 shards have not been read for 5m0s or longer: shardId-000000000000 (10m", "shard is not read")
	f("records expired", func() { c.gap("PREFIX-gap") }, map[string]string{"APPLICATION_NAME": c.prefix + "-gap"}, leases(warning), "lease table", "records of 2 shards can have expired before they were read: shardId-000000000000 (2026-01-15T00:00:00Z to 2026-01-15T12:00:00Z)", "the archive has these records", "records expired unread")
	f("shards failing", func() { c.failing("PREFIX-failing") }, map[string]string{"APPLICATION_NAME": c.prefix + "-failing"}, leases(warning), "lease table", "2 shards cannot be read: shardId-000000000000 (worker-z), shardId-000000000001 (worker-z)", "shard cannot be read")
	for _, operation := range []string{"DescribeTable", "Scan", "UpdateItem", "DeleteItem"} {
		f(operation+" denied", deny("dynamodb:"+operation), nil, leases(broken), "lease table", "AccessDeniedException: no identity-based policy", "grant ", "dynamodb:"+operation)
	}
	f("DynamoDB unreachable", nil, map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": closed}, leases(broken), "lease table", "connection refused")

	f("OpenSearch down", nil, map[string]string{"OPENSEARCH_URL": closed}, noSearch, "OpenSearch", closed+" cannot be connected to (TCP)", "connection refused", "security group")
	f("OpenSearch unknown", nil, map[string]string{"OPENSEARCH_URL": "http://search.invalid"}, noSearch, "OpenSearch", "the name search.invalid has no address (DNS)", "OPENSEARCH_URL")
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	f("unknown authority", nil, map[string]string{"OPENSEARCH_URL": secure.URL}, noSearch, "OpenSearch", "TLS", "unknown authority", "OPENSEARCH_CA_FILE")
	f("no TLS", nil, map[string]string{"OPENSEARCH_URL": strings.Replace(c.search.URL, "http://", "https://", 1)}, noSearch, "OpenSearch", "TLS", "does not use TLS", "http://")
	f("TLS only", nil, map[string]string{"OPENSEARCH_URL": strings.Replace(secure.URL, "https://", "http://", 1)}, noSearch, "OpenSearch", "OPENSEARCH_URL")
	f("OpenSearch hangs", nil, map[string]string{"OPENSEARCH_URL": "http://" + silentServer(t)}, noSearch, "OpenSearch", "does not answer in time", "check its load")
	f("TLS hangs", nil, map[string]string{"OPENSEARCH_URL": "https://" + silentServer(t)}, noSearch, "OpenSearch", "TLS", "no answer in time")
	f("another server", nil, map[string]string{"OPENSEARCH_URL": strings.Replace(c.env["DASHBOARDS_URL"], "/_dashboards", "/elsewhere", 1)}, noSearch, "OpenSearch", "404", "OPENSEARCH_URL")
	f("no OpenSearch", answer(http.StatusOK, "<html>", "GET /"), nil, noSearch, "OpenSearch", "is not OpenSearch", "OPENSEARCH_URL")
	f("unauthorized", answer(http.StatusUnauthorized, "Unauthorized", "GET /"), nil, noSearch, "OpenSearch", "401", "OPENSEARCH_USERNAME", "OPENSEARCH_SIGV4")
	const notAuthorized = `{"Message":"User: anonymous is not authorized to perform: es:ESHttpGet because no resource-based policy allows the es:ESHttpGet action"}`
	f("forbidden", answer(http.StatusForbidden, notAuthorized, "GET /*"), nil, noSearch, "OpenSearch", "403", "es:ESHttpGet", "OPENSEARCH_SIGV4=es")
	f("forbidden, signed", answer(http.StatusForbidden, notAuthorized, "GET /*"), map[string]string{"OPENSEARCH_SIGV4": "es"}, noSearch, "OpenSearch", "403", "access policy", "es:ESHttpPost")
	f("version forbidden", answer(http.StatusForbidden, notAuthorized, "GET /"), nil, states{"OpenSearch": warning}, "OpenSearch", "does not report its version", "cluster:monitor/main")
	f("unavailable", answer(http.StatusServiceUnavailable, "", "GET /"), nil, noSearch, "OpenSearch", "503", "run retries")

	f("template missing", func() { c.ask(http.MethodDelete, "/_index_template/"+c.prefix, "") }, nil, states{"index templates": warning}, "index templates", "template PREFIX does not exist", "logsluice setup")
	f("template changed by hand", func() {
		c.setup(exitOK)
		c.ask(http.MethodPut, "/_index_template/"+c.prefix+"-dead-letter", `{"index_patterns":["`+c.prefix+`-dead-letter"],"priority":1000}`)
	}, nil, states{"index templates": warning}, "index templates", "template PREFIX-dead-letter differs: template", "logsluice setup")
	c.setup(exitOK)
	f("template denied", answer(http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/index_template/get]"}}`, "GET /_index_template*"), nil,
		states{"index templates": broken}, "index templates", "403: security_exception: no permissions for [indices:admin/index_template/get]", "nothing is read without")
	f("mapping denied", answer(http.StatusForbidden, "{}", "GET /PREFIX-2*"), nil, states{"index templates": warning}, "index templates", "the fields of "+c.today()+" cannot be read", "indices:admin/mappings/get")
	f("index of an earlier schema", nil, map[string]string{"CONSTANT_FIELDS": "env=prod"}, states{"index templates": warning, "Dashboards": warning}, "index templates", "lacks fields: env", "restart run")

	others := func(body string) func() {
		return func() {
			c.ask(http.MethodPut, "/_index_template/"+c.prefix+"-others", strings.ReplaceAll(body, "PREFIX", c.prefix))
		}
	}
	const templates = "index templates"
	f("overridden", others(`{"index_patterns":["PREFIX-2*"],"priority":300,"template":{"settings":{"index.default_pipeline":"p"}}}`), map[string]string{"CONSTANT_FIELDS": ""}, states{templates: warning}, templates,
		"index template PREFIX-others (priority 300) takes precedence over PREFIX (priority ", "get ingest pipeline p (index.default_pipeline)", "delete PREFIX-others")
	f("overridden, of another type", func() {
		c.ask(http.MethodPut, "/"+c.day(time.Now().Add(time.Hour))+"/_mapping", `{"properties":{"env":{"type":"long"}}}`)
	}, map[string]string{"CONSTANT_FIELDS": "env=prod"}, states{templates: warning, "Dashboards": warning}, templates, "fields of another type", "reindex when no template takes precedence over ours")
	f("created as data streams", others(`{"index_patterns":["PREFIX-*"],"priority":300,"data_stream":{}}`), nil, states{templates: broken, "writing": skipped}, templates, "DATA_STREAM", "creates a data stream for PREFIX-outside")
	c.ask(http.MethodDelete, "/_index_template/"+c.prefix+"-others", "")
	f("a plain index", func() { c.ask(http.MethodPut, "/"+c.prefix, "") }, map[string]string{"DATA_STREAM": "true"}, states{templates: broken, "writing": skipped, "lifecycle policy": warning, "Dashboards": warning}, templates, "is true, but PREFIX is an index", "set DATA_STREAM to false")
	c.ask(http.MethodDelete, "/"+c.prefix, "")
	f("settings of indices denied", answer(http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions"}}`, "GET /PREFIX-outside*"), nil, states{templates: warning}, templates, "cannot be checked", "allow indices:monitor/settings/get")

	writing := func(state doctor.State) states { return states{"writing": state} }
	setting := func(value string) func() {
		return func() { c.ask(http.MethodPut, "/"+c.today()+"/_settings", `{"index.blocks.write":`+value+`}`) }
	}
	f("index blocked", setting("true"), nil, writing(broken), "writing", c.today()+" accepts no documents: 403 cluster_block_exception", "index.blocks.write", "PUT /"+c.today()+"/_settings")
	setting("null")()
	f("bulk denied", answer(http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk]"}}`, "POST /_bulk"), nil, writing(broken), "writing", "no permissions for [indices:data/write/bulk]", "allow")
	f("reading back denied", answer(http.StatusForbidden, "{}", "GET /PREFIX-doctor*"), nil, nil, "writing", "reading it back is denied")
	f("document missing", answer(http.StatusNotFound, "{}", "GET /PREFIX-doctor*"), nil, writing(broken), "writing", "cannot be found")
	f("disk full", answer(http.StatusOK, `{"errors":true,"items":[{"create":{"status":429,"error":{"type":"cluster_block_exception","reason":"index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"}}},{"index":{"status":409}}]}`, "POST /_bulk"), nil,
		writing(broken), "writing", "disk usage exceeded", "free disk space")
	f("no room for shards", answer(http.StatusOK, `{"errors":true,"items":[{"create":{"status":400,"error":{"type":"validation_exception","reason":"Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open;"}}},{"index":{"status":409}}]}`, "POST /_bulk"), nil,
		writing(broken), "writing", "maximum shards open", "max_shards_per_node")

	// Indices of other days, of other applications, and read-only on purpose.
	const readOnly = `{"settings":{"index.blocks.write":true}}`
	ago := func(days int) string { return c.day(time.Now().AddDate(0, 0, -days)) }
	other := func(name, index, body string, fault func(), state doctor.State, words ...string) {
		t.Helper()
		f(name, func() {
			c.ask(http.MethodPut, "/"+index+"?timeout=2s", body)
			if fault != nil {
				fault()
			}
		}, nil, writing(state), "writing", words...)
		_ = inspect.Ask(t.Context(), localtest.Client(t), http.MethodDelete, "/"+index, "", nil) // absent unless this case ran
	}
	other("yesterday's index blocked", ago(1), readOnly, nil, broken, ago(1)+" accepts no documents: 403 cluster_block_exception", "PUT /"+ago(1)+"/_settings")
	other("older index blocked", ago(9), readOnly, nil, warning, "written and read back", ago(9)+" accepts no documents: 403 cluster_block_exception", "PUT /"+ago(9)+"/_settings", "unless that is intended", "WAIT_FOR_INDEX")
	other("older index closed", ago(9), `{}`, func() { c.ask(http.MethodPost, "/"+ago(9)+"/_close", "") }, warning, ago(9)+" accepts no documents: 400 index_closed_exception", "POST /"+ago(9)+"/_open")
	other("pipeline gone", ago(9), `{"settings":{"index.default_pipeline":"gone"}}`, nil, warning, "pipeline with id [gone] does not exist", `"index.default_pipeline":null`)
	other("shards unavailable", ago(9), `{"settings":{"index.routing.allocation.require.box":"none"}}`, nil, warning, "503 unavailable_shards_exception", "all its nodes")
	other("outside blocked", c.prefix+"-outside", readOnly, nil, broken, "PREFIX-outside accepts no documents")
	other("dead letters blocked", deadletter.Index(c.prefix), readOnly, nil, broken, "PREFIX-dead-letter accepts no documents")
	other("index of another application blocked", strings.Replace(ago(1), c.prefix, c.prefix+"-web", 1), readOnly, nil, ok, "written and read back")
	other("old index that accepts", ago(9), `{}`, nil, ok, "written and read back")
	other("alias without write index", "x"+c.prefix, `{"aliases":{"`+ago(1)+`":{}}}`, func() {
		c.ask(http.MethodPut, "/y"+c.prefix, `{"aliases":{"`+ago(1)+`":{}}}`)
	}, broken, ago(1)+" accepts no documents: 400 illegal_argument_exception: no write index is defined", "give the alias "+ago(1)+" a write index")
	_ = inspect.Ask(t.Context(), localtest.Client(t), http.MethodDelete, "/y"+c.prefix, "", nil)
	f("documents given up", func() {
		c.ask(http.MethodPut, "/"+ago(9), readOnly)
		c.ask(http.MethodPut, "/"+deadletter.Index(c.prefix)+"/_doc/1?refresh=true", fmt.Sprintf(
			`{"@timestamp":%q,"stage":"blocked","target_index":%q,"error":{"type":"cluster_block_exception","reason":"r"}}`, time.Now().UTC().Format(time.RFC3339), ago(9)))
	}, nil, states{"writing": broken, "dead letters": warning}, "writing", ago(9)+" accepts no documents", "documents for it that became dead letters in the last day: 1")
	_ = inspect.Ask(t.Context(), localtest.Client(t), http.MethodDelete, "/"+deadletter.Index(c.prefix)+","+ago(9), "", nil)
	f("many older indices blocked", func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refuse = func(r *http.Request) (int, string) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/_alias"):
				var names []string
				for i := range 260 {
					names = append(names, fmt.Sprintf(`%q:{"aliases":{}}`, ago(100+i)))
				}
				return http.StatusOK, "{" + strings.Join(names, ",") + "}"
			case r.URL.Path == "/_bulk":
				body, err := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if err != nil || !bytes.HasPrefix(body, []byte(`{"index"`)) { // with the scratch document
					return 0, ""
				}
				refused := `{"index":{"status":403,"error":{"type":"cluster_block_exception","reason":"index [x] blocked by: [FORBIDDEN/8/index write (api)];"}}}`
				return http.StatusOK, `{"items":[` + strings.TrimSuffix(strings.Repeat(refused+",", bytes.Count(body, []byte("\n"))/2), ",") + `]}`
			}
			return 0, ""
		}
	}, nil, writing(warning), "writing", "60 older indices are not checked", ago(100)+" accepts no documents", ago(104)+" accepts no documents", "nor do 195 older indices")
	f("indices denied", answer(http.StatusForbidden, "{}", "GET /PREFIX-*/_alias"), nil, writing(warning), "writing", "written and read back; indices other than that of today are not checked", "allow indices:admin/aliases/get")

	original := c.ism
	f("no policy", func() { c.ism = fakedomain.NewISM() }, nil, states{"lifecycle policy": warning}, "lifecycle policy", "policy PREFIX does not exist", "logsluice setup", "before the disk is full")
	c.ism = original
	f("another policy", nil, map[string]string{"INDEX_PREFIX": c.prefix, "DELETE_AFTER": "60d"}, states{"lifecycle policy": warning}, "lifecycle policy", "policy PREFIX differs", "DELETE_AFTER")
	f("no plugin", func() { c.ism.Path = "/nowhere/" }, nil, states{"lifecycle policy": warning}, "lifecycle policy", "no Index State Management", "opensearch-index-management")
	f("policy denied", answer(http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions for [cluster:admin/opendistro/ism/policy/get]"}}`, "GET /_plugins*"), nil, states{"lifecycle policy": warning}, "lifecycle policy", "no permissions for", "allow")

	f("policies switched off", func() { c.ism.Settings = fakedomain.Enabled("persistent", "plugins", "false") }, nil, states{"lifecycle policy": warning}, "lifecycle policy", "PREFIX is in place", "switched off (plugins.index_state_management.enabled is false)", "PUT /_cluster/settings")
	f("settings denied", answer(http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no permissions for [cluster:monitor/state]"}}`, "GET /_cluster/settings"), nil, states{"lifecycle policy": warning}, "lifecycle policy", "cannot be checked", "allow cluster:monitor/state")

	dashboards := func(state doctor.State) states { return states{"Dashboards": state} }
	f("no Dashboards", nil, map[string]string{"DASHBOARDS_URL": ""}, dashboards(skipped), "Dashboards", "DASHBOARDS_URL (--dashboards-url) is not set")
	f("Dashboards down", nil, map[string]string{"DASHBOARDS_URL": closed}, dashboards(broken), "Dashboards", closed+" cannot be connected to (TCP)", "DASHBOARDS_URL")
	f("Dashboards starting", func() { c.dashboards.NotReady = true }, nil, dashboards(broken), "Dashboards", "503", "check that Dashboards runs")
	f("no Dashboards at the URL", nil, map[string]string{"DASHBOARDS_URL": c.env["DASHBOARDS_URL"] + "/wrong"}, dashboards(broken), "Dashboards", "404", "DASHBOARDS_URL")
	f("a saved object missing", func() { c.dashboards.Delete("search:" + c.prefix + "-lines") }, nil, dashboards(warning), "Dashboards", "1 of ", "are missing or differ: search PREFIX-lines", "logsluice setup")
	c.setup(exitOK)

	archive := func(state doctor.State) states { return states{"archive": state} }
	f("no archive", nil, map[string]string{"ARCHIVE_URL": ""}, archive(skipped), "archive", "ARCHIVE_URL (--archive-url) is not set")
	f("no bucket", nil, map[string]string{"ARCHIVE_URL": "s3://nowhere/"}, archive(broken), "archive", "bucket nowhere does not exist", "ARCHIVE_URL")
	f("empty bucket", nil, map[string]string{"ARCHIVE_URL": "s3://empty/x"}, archive(warning), "archive", "s3://empty/x/ has no objects under yyyy/MM/dd/HH/", "wait for the Firehose's buffering")
	f("old objects, new records", func() { c.clock.Advance(0) }, map[string]string{"ARCHIVE_URL": "s3://archive/_/cwl/ecs"}, nil, "archive", "the newest object of s3://archive/_/cwl/ecs/")
	f("objects without hours", func() { c.object("empty", "days/2026/01/02/x") }, map[string]string{"ARCHIVE_URL": "s3://empty/days/"}, archive(warning), "archive", "but some under days/2026/01/02/", "ARCHIVE_URL")
	f("archive denied", func() { c.deny["s3:ListObjectsV2"] = "AccessDenied" }, nil, archive(warning), "archive", "AccessDenied", "grant s3:ListBucket")
	f("S3 unreachable", nil, map[string]string{"AWS_ENDPOINT_URL_S3": closed}, archive(broken), "archive", "connection refused")
	f("archive stale", func() { c.stale("late", 45*time.Minute) }, map[string]string{"STREAM_NAME": "late", "ARCHIVE_URL": "s3://stale/"}, archive(warning), "archive", "a record that arrived in the stream 45m", "is not there", "Firehose's error log group")
	f("archive within its delay", func() { c.stale("early", 10*time.Minute) }, map[string]string{"STREAM_NAME": "early", "ARCHIVE_URL": "s3://stale/"}, nil, "archive", "the newest object of s3://stale/ is 2h")
	f("archive up to date", func() { c.stale("fine", 45*time.Minute) }, map[string]string{"STREAM_NAME": "fine"}, nil, "archive", "the newest object of s3://archive/")

	f("dead letters", func() {
		for i := range 3 {
			c.ask(http.MethodPut, fmt.Sprintf("/%s/_doc/%d?refresh=true", deadletter.Index(c.prefix), i), fmt.Sprintf(
				`{"@timestamp":%q,"stage":"index","error":{"type":"mapper_parsing_exception","reason":"failed to parse field [status]"}}`, time.Now().Add(-time.Duration(i)*20*time.Hour).UTC().Format(time.RFC3339)))
		}
	}, nil, states{"dead letters": warning}, "dead letters", "2 in the last day: 2 mapper_parsing_exception (failed to parse field [status])", "look at the dead letters in PREFIX-dead-letter")
	// If only some of the cases run, the index does not exist.
	_ = inspect.Ask(t.Context(), localtest.Client(t), http.MethodDelete, "/"+deadletter.Index(c.prefix), "", nil)
	f("dead letters denied", answer(http.StatusForbidden, "{}", "POST /PREFIX-dead-letter/_search"), nil, states{"dead letters": warning}, "dead letters", "cannot be searched: permission denied", "indices:data/read/search")
	f("store of dead letters", nil, map[string]string{"DEAD_LETTER_URL": "s3://archive/dead-letters/"}, nil, "dead letters", "none in the last day; DEAD_LETTER_URL can be written to")
	f("store denied", func() { c.deny["s3:PutObject"] = "AccessDenied" }, map[string]string{"DEAD_LETTER_URL": "s3://archive/dead-letters/"},
		states{"dead letters": warning}, "dead letters", "DEAD_LETTER_URL (--dead-letter-url) cannot be written to: AccessDenied", "grant s3:PutObject on s3://archive/dead-letters/*")
	f("store unreachable", nil, map[string]string{"DEAD_LETTER_URL": "s3://archive/x/", "AWS_ENDPOINT_URL_S3": closed}, states{"archive": broken, "dead letters": warning}, "dead letters", "connection refused", "check the route to S3")

	f("Serverless", nil, map[string]string{"OPENSEARCH_SIGV4": "aoss"}, states{"lifecycle policy": skipped}, "OpenSearch", "answers as OpenSearch Serverless")
	f("no credentials to sign with", nil, map[string]string{
		"AWS_ACCESS_KEY_ID": "OLD", "OPENSEARCH_SIGV4": "es",
	}, states{
		"AWS": broken, "subscription filters": skipped, "stream": skipped, "lease table": skipped, "archive": skipped,
		"OpenSearch": skipped, "index templates": skipped, "writing": skipped, "lifecycle policy": skipped, "Dashboards": skipped, "dead letters": skipped,
	}, "OpenSearch", "AWS is broken")
}

// With the security plugin: what doctor finds with the role of a worker and with its own role of
// docs/permissions-opensearch.md, and how it reports what the server refuses.
func TestDoctorSecured(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	s := newSink(t, startNodeWith(t, local.Options{Heap: "256m", Secured: true}), 1)
	workers, doctors := roleOf(t, "run"), roleOf(t, "doctor")
	password := rand.Text()
	s.setPassword(password)
	s.grant(workers)
	maps.Copy(c.env, map[string]string{
		"OPENSEARCH_URL": s.searchURL, "OPENSEARCH_CA_FILE": s.CAFile, "OPENSEARCH_USERNAME": "logsluice", "OPENSEARCH_PASSWORD": password, "INDEX_PREFIX": s.prefix, "DASHBOARDS_URL": "",
	})
	if code, out, errOut := command(t, c.env, nil, "setup", "--skip=policy,dashboards"); code != exitOK {
		t.Fatal(out, errOut)
	}
	f := func(name string, env map[string]string, want map[string]string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			before := c.env
			defer func() { c.env = before }()
			c.env = maps.Clone(c.env)
			maps.Copy(c.env, env)
			found := c.doctor(t)
			for link, finding := range want {
				state, text, _ := strings.Cut(strings.ReplaceAll(finding, "PREFIX", s.prefix), ": ")
				if f := found[link]; string(f.State) != state || !strings.Contains(f.Found+" → "+f.Remedy, text) {
					t.Errorf("%s is %s: %s → %s, want %s", link, f.State, f.Found, f.Remedy, finding)
				}
			}
		})
	}
	scratch := func() int {
		t.Helper()
		n, err := inspect.Count(t.Context(), s.search, s.prefix+"-doctor*")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	f("unknown authority", map[string]string{"OPENSEARCH_CA_FILE": ""}, map[string]string{"OpenSearch": "broken: signed by an unknown authority", "writing": "skipped: OpenSearch is broken"})
	f("wrong password", map[string]string{"OPENSEARCH_PASSWORD": "wrong"}, map[string]string{"OpenSearch": "broken: 401", "index templates": "skipped: OpenSearch is broken"})
	for range 2 {
		f("worker's role", nil, map[string]string{
			"OpenSearch": "warning: does not report its version", "index templates": "ok: PREFIX-dead-letter is in place",
			"writing":      "warning: reading it back is denied (indices:data/read/get), which run does not need; index PREFIX-doctor remains",
			"dead letters": "warning: allow indices:data/read/search for PREFIX-dead-letter",
		})
	}
	if n := scratch(); n != 2 {
		t.Errorf("two runs left %d scratch documents, want 2", n)
	}
	s.ask(http.MethodDelete, "/"+s.prefix+"-doctor", "")
	s.grant(without(t, workers, "indices:data/write/index"))
	f("no permission to write", nil, map[string]string{"writing": "broken: PREFIX-doctor accepts no documents: 403 security_exception: no permissions for [indices:data/write/index]"})

	s.grant(doctors)
	healthy := map[string]string{
		"OpenSearch": "ok: is opensearch 3.4.0", "index templates": "ok: is in place", "writing": "ok: a document was written and read back",
		"lifecycle policy": "warning: OpenSearch has no Index State Management", "dead letters": "ok: none",
	}
	f("doctor's role", nil, healthy)
	s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.blocks.read_only":true}}`)
	f("cluster is read-only", nil, map[string]string{"writing": "broken: remove the block of the cluster (cluster.blocks."})
	s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.blocks.read_only":null}}`)
	s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"action.auto_create_index":"false"}}`)
	f("no automatic creation of indices", nil, map[string]string{"writing": "broken: action.auto_create_index must include PREFIX-*"})
	s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"action.auto_create_index":null,"cluster.max_shards_per_node":1}}`)
	f("no room for shards", nil, map[string]string{"writing": "broken: cluster.max_shards_per_node"})
	s.ask(http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.max_shards_per_node":null}}`)
	f("doctor's role again", nil, healthy)
	if n := scratch(); n != 0 {
		t.Errorf("%d scratch documents are left", n)
	}
}

// silentServer returns the address of a server that accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(io.Discard, conn); conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

func (c *chain) newStream(name string) {
	c.t.Helper()
	if _, err := c.leases.kinesis.CreateStream(c.t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) subscribe(stream string) {
	c.logs.Reset()
	c.logs.Group("/ecs/api", subscriptionTo(streamARN+stream))
}

func (c *chain) putTo(stream string, data []byte) {
	c.t.Helper()
	if _, err := c.leases.kinesis.PutRecord(c.t.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String("k"), Data: data}); err != nil {
		c.t.Fatal(err)
	}
}

// stale creates a stream with a record of the given age, and an archive whose newest object
// is older.
func (c *chain) stale(stream string, age time.Duration) {
	c.t.Helper()
	c.subscribe(stream)
	c.leases.ahead.Store(int64(-age))
	c.newStream(stream)
	c.putTo(stream, recordFrom(c.t, fakeaccount.ID))
	c.leases.ahead.Store(0)
	const twoHours = 2 * time.Hour
	c.clock.Advance(-twoHours)
	if err := c.bucket.CreateBucket("stale"); err != nil && !gofakes3.HasErrorCode(err, gofakes3.ErrBucketAlreadyExists) {
		c.t.Fatal(err)
	}
	c.object("stale", time.Now().Add(-twoHours).UTC().Format("2006/01/02/15/")+"x")
	c.clock.Advance(twoHours)
}

func (c *chain) newTable(name, key string, kind dynamotypes.ScalarAttributeType) string {
	c.t.Helper()
	name = strings.ReplaceAll(name, "PREFIX", c.prefix)
	_, err := c.leases.dynamoDB.CreateTable(c.t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: &key, AttributeType: kind}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: &key, KeyType: dynamotypes.KeyTypeHash}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return name
}

// silence creates a lease table whose owner renewed its leases 10 minutes ago.
func (c *chain) silence(table string) {
	c.t.Helper()
	c.newRows(table, map[string]dynamotypes.AttributeValue{
		"AssignedTo":          &dynamotypes.AttributeValueMemberS{Value: "worker-z"},
		"LeaseTimeout":        &dynamotypes.AttributeValueMemberS{Value: time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339Nano)},
		"LeaseDurationMillis": &dynamotypes.AttributeValueMemberN{Value: "15000"}, "LeaseCounter": &dynamotypes.AttributeValueMemberN{Value: "7"},
	})
}

// failing creates a lease table with two shards that cannot be read.
func (c *chain) failing(table string) {
	c.t.Helper()
	c.newRows(table, map[string]dynamotypes.AttributeValue{
		"ReadFailures": &dynamotypes.AttributeValueMemberN{Value: "9"}, "ReadFailedBy": &dynamotypes.AttributeValueMemberS{Value: "worker-z"},
	})
}

// unread creates a lease table with two shards that were last read 10 minutes ago.
func (c *chain) unread(table string) {
	c.t.Helper()
	c.newRows(table, map[string]dynamotypes.AttributeValue{
		"ReadAt": &dynamotypes.AttributeValueMemberN{Value: fmt.Sprint(time.Now().Add(-10 * time.Minute).UnixMilli())},
	})
}

// gap creates a lease table with two shards that have lost records.
func (c *chain) gap(table string) {
	c.t.Helper()
	number := func(s string) dynamotypes.AttributeValue { return &dynamotypes.AttributeValueMemberN{Value: s} }
	c.newRows(table, map[string]dynamotypes.AttributeValue{"Gaps": number("1"), "GapFrom": number("1768435200000"), "GapTo": number("1768478400000")})
}

// newRows creates a lease table with two shards and the same row for each.
func (c *chain) newRows(table string, row map[string]dynamotypes.AttributeValue) {
	c.t.Helper()
	table = c.newTable(table, "ShardID", dynamotypes.ScalarAttributeTypeS)
	for i := range 2 {
		row["ShardID"] = &dynamotypes.AttributeValueMemberS{Value: shardID(i)}
		if _, err := c.leases.dynamoDB.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: row}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// doctor reads the filters of many log groups without being throttled by CloudWatch Logs.
func TestDoctorPace(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.logs.Reset()
	const groups = 15
	for i := range groups {
		c.logs.Group(fmt.Sprintf("/g/%04d", i))
	}
	c.logs.Group("/last", subscriptionTo(streamARN+"s"))
	if found := c.doctor(t)["subscription filters"]; found.State != doctor.OK || !strings.Contains(found.Found, "/last") {
		t.Errorf("%+v", found)
	}
	// On a busy machine doctor may have been run more than once.
	if calls, throttled := c.logs.Calls("DescribeSubscriptionFilters"); calls == 0 || calls%(groups+1) != 0 || throttled > 0 {
		t.Errorf("%d calls, %d throttled", calls, throttled)
	}
}

// doctor reports a missing or invalid setting before any request.
func TestDoctorSettings_Failure(t *testing.T) {
	t.Parallel()
	f := func(want string, env map[string]string, args ...string) {
		t.Helper()
		t.Run(want, func(t *testing.T) {
			all := map[string]string{"OPENSEARCH_URL": "http://127.0.0.1:1", "INDEX_PREFIX": "p", "AWS_REGION": "us-east-1", "STREAM_NAME": "s", "APPLICATION_NAME": "app"}
			maps.Copy(all, env)
			code, out, errOut := command(t, all, nil, append([]string{"doctor"}, args...)...)
			if code != exitSettings || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, want) {
				t.Errorf("exit %d, %q, %q", code, out, errOut)
			}
		})
	}
	for _, name := range []string{"OPENSEARCH_URL", "INDEX_PREFIX", "AWS_REGION", "STREAM_NAME", "APPLICATION_NAME"} {
		f(name, map[string]string{name: ""})
	}
	f("DASHBOARDS_URL", map[string]string{"DASHBOARDS_URL": "ftp://host"})
	f("ARCHIVE_URL", map[string]string{"ARCHIVE_URL": "archive/prefix"})
	f("ARCHIVE_URL", map[string]string{"ARCHIVE_URL": "s3:///prefix"})
	f("DEAD_LETTER_URL", map[string]string{"DEAD_LETTER_URL": "s3:///prefix"})
	f("--most-log-groups", nil, "--most-log-groups=0")
	f("--output", nil, "--output=xml")
}
