package e2e

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/indexer/deadletter"
	"logsluice/internal/fakeaws"
	"logsluice/internal/loggen"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// The sample envelope becomes two documents in the index of its day in Tokyo, which has the
// explicit mapping.
func TestRunSampleEnvelope(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.prefix = "ecs-task"
	c.clean()
	envelope, bulk := sample(t)
	c.put("k", localtest.Gzip(envelope))
	w := c.start("w", "INDEX_TIMEZONE=Asia/Tokyo")
	c.eventually("two documents", func() bool { return c.count("ecs-task-2018-12-10") == 2 })
	w.stop()
	if n := c.count("ecs-task-*"); n != 2 {
		t.Errorf("%d documents under the prefix", n)
	}
	// Each document is the line that decode prints.
	lines := strings.Split(strings.TrimSpace(bulk), "\n")
	want := map[string]string{
		"34445599170741240319468349160893137123435325323456612352": lines[1],
		"34445599170741240319468349160893137123435325323456612353": lines[3],
	}
	err := inspect.Each(t.Context(), c.search, "ecs-task-2018-12-10", func(d inspect.Document) {
		if string(d.Source) != want[d.ID] {
			t.Errorf("document %s: %s", d.ID, d.Source)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]struct {
		Mappings struct {
			Dynamic    string
			Properties map[string]struct{ Type string }
		}
	}
	if err := inspect.Ask(t.Context(), c.search, http.MethodGet, "/ecs-task-2018-12-10/_mapping", "", &answer); err != nil {
		t.Fatal(err)
	}
	mappings := answer["ecs-task-2018-12-10"].Mappings
	for field, kind := range map[string]string{"@timestamp": "date", "message": "match_only_text", "log_group": "keyword", "log_stream": "keyword", "owner": "keyword"} {
		if got := mappings.Properties[field].Type; got != kind {
			t.Errorf("%s is mapped as %q", field, got)
		}
	}
	if mappings.Dynamic != "false" {
		t.Errorf("dynamic mapping %q, want false", mappings.Dynamic)
	}
	var found struct {
		Hits struct{ Total struct{ Value int } }
	}
	if err := inspect.Ask(t.Context(), c.search, http.MethodPost, "/ecs-task-*/_search", `{"query":{"match_phrase":{"message":"yyy-yyy"}}}`, &found); err != nil || found.Hits.Total.Value != 1 {
		t.Errorf("%d hits, %v", found.Hits.Total.Value, err)
	}
}

// Two workers and a reshard halfway: every event is indexed exactly once, and a second run over
// the same input adds nothing. The template is installed once.
func TestRunReshard(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	g := generator(1, 10_000)
	// A busy machine must not be taken for a fault.
	patient := []string{"LEASE_DURATION=5m", "BULK_TIMEOUT=5m"}
	a := c.start("a", append(patient, "EMF_NAMESPACE=logsluice", "LOG_LEVEL=warn", "SUMMARY_PERIOD=500ms")...)
	b := c.start("b", patient...)
	c.produce(g, 4_000)
	c.eventually("shards are leased", func() bool { return c.held("a")+c.held("b") == 4 })
	c.produce(g, 1_000)
	c.reshard()
	c.produce(g, 5_000)
	c.indexed()
	c.eventually("the parents are finished and the children leased", func() bool {
		finished, open := 0, 0
		for _, lease := range c.leases() {
			switch {
			case lease[1] == "SHARD_END" && lease[0] == "":
				finished++
			case lease[0] != "":
				open++
			}
		}
		return finished == 4 && open == 5
	})
	a.stop()
	b.stop()
	c.exact()
	checkEMF(t, a, c.application, 5)
	if n := a.total("documents_already_there") + b.total("documents_already_there"); n != 0 {
		t.Errorf("%.0f documents were sent twice without a fault", n)
	}

	c.application += "-again"
	again := c.start("again", "SUMMARY_PERIOD=500ms")
	c.eventually("all is read again", func() bool { return again.total("documents_indexed")+again.total("documents_already_there") >= 10_000 })
	again.stop()
	c.exact()
	if indexed, there := again.total("documents_indexed"), again.total("documents_already_there"); indexed != 0 || there != 10_000 {
		t.Errorf("the second run indexed %.0f documents, and found %.0f already indexed", indexed, there)
	}
	if strings.Contains(again.lines(), "index template installed") {
		t.Error("the template was installed again without a difference")
	}
}

// A worker is killed, or suspended for longer than its lease and continued. Other workers acquire
// its shards. No event is lost or indexed twice.
func TestRunTakeover(t *testing.T) {
	t.Parallel()
	f := func(name string, disturb func(w *worker), after func(c *cluster, w *worker)) {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 4)
			g := generator(2, 12_000)
			a := c.start("a", "LEASE_DURATION=3s")
			c.eventually("a has shards", func() bool { return c.held("a") >= 2 })
			b := c.start("b", "LEASE_DURATION=3s")
			c.eventually("all shards are leased", func() bool { return c.held("a")+c.held("b") == 4 })
			c.produce(g, 4_000)
			disturb(a)
			disturbed := time.Now()
			c.produce(g, 4_000)
			c.eventually("b has all shards", func() bool { return c.held("b") == 4 })
			// One lease per sync, the first after the lease duration.
			t.Logf("acquired after %s", time.Since(disturbed).Round(100*time.Millisecond))
			after(c, a)
			c.produce(g, 4_000)
			c.indexed()
			b.stop()
			c.exact()
			for id, lease := range c.leases() {
				if lease[0] == "b" {
					t.Errorf("%s was not released", id)
				}
			}
		})
	}
	f("killed", func(w *worker) { w.signal(syscall.SIGKILL) }, func(*cluster, *worker) {})
	f("suspended and continued", func(w *worker) { w.signal(syscall.SIGSTOP) }, func(c *cluster, w *worker) {
		w.signal(syscall.SIGCONT)
		c.eventually("a notices that its leases are lost", func() bool { return strings.Contains(w.lines(), "lease lost") })
		w.stop()
	})
}

// SIGTERM under full load: the worker drains, and its successor reads no record again.
func TestRunDrain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	g := generator(3, 15_000)
	a := c.start("a")
	c.eventually("all shards are leased", func() bool { return c.held("a") == 2 })
	c.produce(g, 15_000)
	c.eventually("documents are being indexed", func() bool { return c.count(c.documents()) > 0 })
	a.stop()
	for id, lease := range c.leases() {
		if lease[0] != "" || lease[1] == "" {
			t.Errorf("%s has the owner %q and the checkpoint %q", id, lease[0], lease[1])
		}
	}
	b := c.start("b")
	c.eventually("the successor has all shards", func() bool { return c.held("b") == 2 })
	c.indexed()
	b.stop()
	c.exact()
	if n := b.total("documents_already_there"); n != 0 {
		t.Errorf("%.0f documents were sent twice", n)
	}
}

// stuckSearch is an OpenSearch that accepts no documents: bulk requests hang or are refused
// until it recovers.
type stuckSearch struct {
	url       string
	refuses   bool
	asked     atomic.Int64
	recovered atomic.Bool
}

func newStuckSearch(t *testing.T, url string, refuses bool) *stuckSearch {
	t.Helper()
	s := &stuckSearch{refuses: refuses}
	real, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(real)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_bulk") && !s.recovered.Load() {
			s.asked.Add(1)
			if s.refuses {
				http.Error(w, "busy", http.StatusTooManyRequests)
				return
			}
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// OpenSearch accepts nothing while the shards end: reading stops at the limit of bytes in
// flight, no lease is lost, SIGTERM ends the worker in time, no checkpoint (not even the end of
// a shard) passes a record that is not indexed, and a successor indexes the rest.
func TestRunStuckOpenSearch(t *testing.T) {
	t.Parallel()
	f := func(name string, refuses, recovers bool, inFlight float64) {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			stuck := newStuckSearch(t, c.searchURL, refuses)
			timeout := 10 * time.Second
			if recovers {
				timeout *= 3 // the pause before a retry can have grown to 10 s
			}
			a := c.start("a", "OPENSEARCH_URL="+stuck.url, "DRAIN_TIMEOUT="+timeout.String(), fmt.Sprintf("IN_FLIGHT_BYTES=%.0f", inFlight), "SUMMARY_PERIOD=500ms", "LEASE_DURATION=6s")
			c.produce(generator(4, 10_000), 10_000)
			c.eventually("a bulk request is stuck", func() bool { return stuck.asked.Load() > 0 && c.held("a") == 2 })
			if _, err := c.kinesis.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
				StreamName: aws.String("s"), TargetShardCount: aws.Int32(4), ScalingType: "UNIFORM_SCALING"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(12 * time.Second) // two lease durations
			if n := c.held("a"); n != 2 || strings.Contains(a.lines(), "lease lost") {
				t.Errorf("%d leases are held", n)
			}
			for line := range strings.Lines(a.lines()) {
				var summary struct {
					InFlight float64 `json:"in_flight_bytes"`
				}
				if json.Unmarshal([]byte(line), &summary) == nil && summary.InFlight > inFlight {
					t.Errorf("%.0f bytes in flight", summary.InFlight)
				}
			}
			stuck.recovered.Store(recovers)
			a.stopWithin(timeout)
			moved := false
			for id, lease := range c.leases() {
				// Control messages before the first event have no documents, so the checkpoint can pass them.
				passed := lease[1] != "" && !c.controls[lease[1]]
				moved = moved || passed
				if lease[0] != "" || passed && !recovers || lease[1] == "SHARD_END" {
					t.Errorf("%s has the owner %q and the checkpoint %q", id, lease[0], lease[1])
				}
			}
			if recovers && !moved {
				t.Error("no document that was indexed during the drain was checkpointed")
			}
			b := c.start("b")
			c.indexed()
			b.stop()
			c.exact()
		})
	}
	const little, much = 500_000, 1 << 30
	f("hanging", false, false, little)
	f("refusing", true, false, little)
	f("refusing after everything was read", true, false, much)
	f("recovering while the worker drains", true, true, little)
}

// If OpenSearch is unavailable at the start, the worker waits for it, and SIGTERM ends it.
func TestRunWithoutOpenSearch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.produce(generator(5, 500), 500)
	away := httptest.NewServer(http.NotFoundHandler())
	url := away.URL
	away.Close()
	w := c.start("w", "OPENSEARCH_URL="+url)
	c.eventually("the error is logged", func() bool {
		return strings.Contains(w.lines(), "the index templates cannot be installed")
	})
	if len(c.leases()) != 0 {
		t.Error("shards were leased")
	}
	w.stop()
}

// Unreadable records become dead letters, and their neighbours are indexed.
func TestRunDeadLetters(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	envelope, _ := sample(t)
	good := localtest.Gzip(envelope)
	digest := md5.Sum([]byte{0xff, 0xff, 0xff})
	aggregate := append([]byte{0xf3, 0x89, 0x9a, 0xc2, 0xff, 0xff, 0xff}, digest[:]...)
	for _, data := range [][]byte{
		good,
		[]byte("not gzip"),
		good[:len(good)-40],
		localtest.Gzip([]byte(`{"messageType":"OTHER"}`)),
		aggregate,
		localtest.Gzip([]byte(`{"messageType":"DATA_MESSAGE","owner":"o","logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":1544414264183,"message":"fine"},{"id":"2","message":"no time"}]}`)),
	} {
		c.put("k", data)
	}
	letters := deadletter.Index(c.prefix)
	w := c.start("w", "INDEX_TIMEZONE=Asia/Tokyo")
	c.eventually("all have an outcome", func() bool { return c.count(letters) == 5 && c.count(c.prefix+"-2018-12-10") == 3 })
	w.stop()
	stages := map[string]int{}
	for _, l := range c.letters() {
		stages[l.Stage]++
		if l.Stream != "s" || !strings.HasPrefix(l.Shard, "shardId-") || l.SequenceNumber == "" || l.Payload == "" || l.Cause.Reason == "" {
			t.Errorf("dead letter: %+v", l)
		}
	}
	if stages["inflate"] != 2 || stages["parse"] != 3 {
		t.Errorf("dead letters by stage: %v", stages)
	}
	// The checkpoint has passed them.
	for id, lease := range c.leases() {
		out, err := c.kinesis.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: aws.String(id),
			ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: aws.String(lease[1])})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := c.kinesis.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: out.ShardIterator})
		if err != nil || len(rest.Records) != 0 {
			t.Errorf("%d records behind the checkpoint, %v", len(rest.Records), err)
		}
	}
}

// The children of a parent are read even if the parent expired before it was read to its end,
// because no worker ran for longer than the retention.
func TestRunExpiredParent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	g := generator(9, 3_000)
	a := c.start("a")
	c.produce(g, 1_000)
	c.indexed()
	a.stop()
	if id, lease := "shardId-000000000000", c.leases()["shardId-000000000000"]; lease[1] == "" {
		t.Fatalf("%s has no checkpoint", id)
	}
	if _, err := c.kinesis.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
		StreamName: aws.String("s"), TargetShardCount: aws.Int32(2), ScalingType: "UNIFORM_SCALING"}); err != nil {
		t.Fatal(err)
	}
	c.ahead.Store(int64(25 * time.Hour))
	c.produce(g, 2_000)
	b := c.start("b")
	c.indexed()
	if !strings.Contains(b.lines(), "the parent expired in Kinesis before it was read to its end") {
		t.Error("b does not log that the parent expired")
	}
	b.stop()
	c.exact()
}

// LATEST is the time of the first start. Earlier records are not read, and all later ones are,
// even if the worker was down and the stream was resharded in between.
func TestRunLatest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	before := generator(6, 1_000)
	c.produce(before, 1_000)
	c.expected = make(map[string]loggen.Event)
	time.Sleep(1100 * time.Millisecond) // Kinesis' clock is read with a resolution of one second
	a := c.start("a", "INITIAL_POSITION=LATEST")
	c.eventually("the first start is written", func() bool { return strings.Contains(a.lines(), `"first_start":true`) })
	a.stop()
	g := generator(7, 2_000)
	c.produce(g, 1_000)
	c.reshard()
	c.produce(g, 1_000)
	b := c.start("b", "INITIAL_POSITION=LATEST")
	c.indexed()
	b.stop()
	c.exact()
}

// Temporary errors of Kinesis do not lose records: the reader ends, and its lease is drained,
// released and acquired again.
func TestRunKinesisFaults(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	var n atomic.Int64
	c.faults(func(call fakeaws.Call) (fault fakeaws.Fault) {
		if call.Operation != "GetRecords" && call.Operation != "GetShardIterator" && call.Operation != "ListShards" {
			return fault
		}
		switch i := n.Add(1); {
		case i%7 == 3:
			fault.Refuse = &fakeaws.APIError{Code: "ExpiredIteratorException", Message: "injected"}
		case i%7 == 5:
			fault.Refuse = &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "injected"}
		case i%11 == 6:
			fault.Refuse = &fakeaws.APIError{Code: "InternalFailure", Message: "injected", Status: http.StatusInternalServerError}
		}
		return fault
	})
	g := generator(8, 10_000)
	w := c.start("w")
	for range 5 {
		c.produce(g, 2_000)
		time.Sleep(500 * time.Millisecond)
	}
	c.indexed()
	w.stop()
	c.exact()
	t.Logf("%d calls, leases were acquired %d times", n.Load(), strings.Count(w.lines(), "lease acquired"))
	if there := w.total("documents_already_there"); there != 0 {
		t.Errorf("%.0f documents were sent twice: the lease was released before it was drained", there)
	}
}

// A worker that gets SIGTERM before it reads exits with 0, too.
func TestRunStoppedAtStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	asked := make(chan struct{}, 100)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body) // otherwise the end of the client is not noticed
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	for _, settings := range [][]string{
		{"AWS_ENDPOINT_URL_DYNAMODB=" + hanging.URL},
		{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + hanging.URL},
	} {
		w := c.start("w", settings...)
		<-asked
		w.stop()
	}
}
