package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// A test's own OpenSearch nodes, each behind a proxy for network faults.

// nodes bounds the number of OpenSearch nodes that tests run concurrently.
var nodes = make(chan struct{}, 3)

// node is a test's own OpenSearch and the proxy in front of it.
type node struct {
	*local.OpenSearch
	proxy    *toxiproxy.Proxy
	password string // of the user logsluice, "" until it is set
}

func startNode(t *testing.T, heap string, settings map[string]string) *node {
	t.Helper()
	return startNodeWith(t, local.Options{Heap: heap, Settings: settings})
}

func startNodeWith(t *testing.T, o local.Options) *node {
	t.Helper()
	localtest.OpenSearch(t) // skips the test without real servers
	nodes <- struct{}{}
	t.Cleanup(func() { <-nodes })
	o.FastStart = true
	search, err := local.StartOpenSearch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := search.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &node{OpenSearch: search, proxy: newProxy(t, search.URL)}
}

// access returns the test's access to the node. A node without security accepts any user.
func (n *node) access() opensearch.ClientConfig {
	return opensearch.ClientConfig{URL: n.URL, CAFile: n.CAFile, Username: local.Admin, Password: local.Admin}
}

// newProxy starts a proxy in front of a server.
func newProxy(t *testing.T, url string) *toxiproxy.Proxy {
	t.Helper()
	_, address, _ := strings.Cut(url, "://")
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "opensearch", "127.0.0.1:0", address)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// sinkLease is the lease duration of a sink's worker: no busy machine may lose a lease, and a
// fault must outlast it.
const sinkLease = 15 * time.Second

// sink is a cluster on the test's own node.
type sink struct {
	*history
	*node
	w *worker
}

func newSink(t *testing.T, n *node, shards int32) *sink {
	t.Helper()
	return &sink{history: newHistory(newClusterOn(t, n.access(), shards)), node: n}
}

// work starts the worker, which uses the proxy.
func (s *sink) work(settings ...string) {
	s.t.Helper()
	scheme, _, _ := strings.Cut(s.URL, "://")
	s.w = s.start("w", append([]string{"LEASE_DURATION=" + sinkLease.String(), "SUMMARY_PERIOD=500ms", "OPENSEARCH_URL=" + scheme + "://" + s.proxy.Listen}, settings...)...)
}

func (s *sink) ask(method, path, body string) {
	s.t.Helper()
	var err error
	s.eventually(method+" "+path+" is answered", func() bool {
		err = inspect.Ask(context.Background(), s.search, method, path, body, nil)
		return err == nil || errors.As(err, new(*opensearch.AnswerError)) // a busy machine might not answer in time
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sink) toxic(toxic string) {
	s.t.Helper()
	if _, err := s.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sink) noToxics() { s.proxy.Toxics.ResetToxics(context.Background()) }

// stopNode ends the node with a signal.
func (s *sink) stopNode(signal syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.Pid(), signal); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the node is gone", func() bool {
		return inspect.Ask(context.Background(), s.search, http.MethodGet, "/", "", nil) != nil
	})
	if err := s.Kill(); err != nil { // waits, and marks the end as intended
		s.t.Fatal(err)
	}
}

func (s *sink) restart() {
	s.t.Helper()
	if err := s.Restart(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sink) look() map[string]leaseRow {
	s.t.Helper()
	rows, err := s.rows(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// check checks that no checkpoint has passed a record whose events are not found.
func (s *sink) check() {
	s.t.Helper()
	s.verify(s.look(), func(id, format string, args ...any) { s.t.Errorf(id+": "+format, args...) })
}

// finish checks that all events are found, stops the worker, and checks that it has kept its
// leases and that the checkpoints have passed all records.
func (s *sink) finish() {
	s.t.Helper()
	s.indexed()
	s.check()
	s.w.stop()
	s.check()
	s.exact()
	s.passed()
}

// passed checks that no lease was lost and that the checkpoints have passed all records.
func (s *sink) passed() {
	s.t.Helper()
	if strings.Contains(s.w.lines(), "lease lost") {
		s.t.Error("a lease was lost")
	}
	for id, records := range s.records {
		if n := len(records) - s.verified[id]; n != 0 {
			s.t.Errorf("%d records of %s are behind the checkpoint", n, id)
		}
	}
}

// sinkFault is a fault of OpenSearch that lasts for a while.
type sinkFault struct {
	name    string
	lasting time.Duration // minimum, longer than a lease
	moves   bool          // documents are still indexed during the fault
	with    []string      // settings of the worker
	before  func(*sink)   // called before the worker starts
	begin   func(*sink)
	end     func(*sink)
	proof   func(*sink) // checks after the end of the worker that the fault happened
}

// run checks that no checkpoint passes a record that is not indexed, no lease is lost, and in
// the end each event is indexed once.
func (f sinkFault) run(t *testing.T, n *node) {
	t.Run(f.name, func(t *testing.T) {
		s := newSink(t, n, 2)
		if f.before != nil {
			f.before(s)
		}
		s.work(f.with...)
		stopProducing := background(time.Second/recordsPerSecond, s.producer(1))
		defer stopProducing()
		s.eventually("events are found", func() bool { return s.count(s.documents()) > 50 && s.held("w") == 2 })
		s.check()
		f.begin(s)
		last, before := s.last(), s.look()
		time.Sleep(max(f.lasting, sinkLease+2*time.Second))
		s.eventually("the leases are renewed", func() bool {
			for id, row := range s.look() {
				if row.counter == before[id].counter {
					return false
				}
			}
			return true
		})
		rows := s.look()
		through := s.skipEmpty(last) // earlier records can have been in flight
		for id, row := range rows {
			if !f.moves && row.checkpoint > through[id] {
				t.Errorf("%s: the checkpoint moved from %s to %s, past %s, after which nothing could be indexed", id, before[id].checkpoint, row.checkpoint, through[id])
			}
			if row.owner != "w" || row.epoch != before[id].epoch {
				t.Errorf("%s: the lease was not kept: %+v to %+v", id, before[id], row)
			}
		}
		if f.moves {
			s.check()
		}
		f.end(s)
		s.check()
		time.Sleep(time.Second)
		stopProducing()
		s.finish()
		if f.proof != nil {
			f.proof(s)
		}
	})
}

func sentTwice(s *sink) {
	if s.w.total("documents_already_there") == 0 {
		s.t.Error("no bulk request was applied without its response arriving")
	}
}

// The node is killed and stopped.
func TestRunOutage(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	sinkFault{name: "killed with bulk requests in flight",
		begin: func(s *sink) {
			s.toxic(`{"type":"timeout","attributes":{"timeout":0}}`) // requests arrive, but no responses
			answered := s.count(s.documents())
			s.eventually("a request is applied without its response arriving", func() bool { return s.count(s.documents()) > answered })
			// Documents that are found might not be in the translog yet.
			s.ask(http.MethodPost, "/"+s.prefix+"-*/_flush?wait_if_ongoing=true", "")
			s.stopNode(syscall.SIGKILL)
			s.noToxics()
		},
		end: (*sink).restart, proof: sentTwice}.run(t, n)
	sinkFault{name: "stopped", lasting: max(outage(t), 20*time.Second),
		begin: func(s *sink) { s.stopNode(syscall.SIGTERM) }, end: (*sink).restart,
		proof: func(s *sink) {
			if s.w.total("bulk_requests_failed") == 0 {
				s.t.Error("no bulk request has failed")
			}
		}}.run(t, n)
}

// The node's indices are blocked or closed, or new ones cannot be created.
func TestRunIndexFaults(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", map[string]string{"cluster.info.update.interval": "10s"})
	// settings returns a function that changes settings of the cluster.
	settings := func(body string) func(*sink) {
		return func(s *sink) { s.ask(http.MethodPut, "/_cluster/settings", `{"transient":{`+body+`}}`) }
	}
	block := func(name, value string) func(*sink) {
		return func(s *sink) {
			s.ask(http.MethodPut, "/"+s.prefix+"-*/_settings", `{"index.blocks.`+name+`":`+value+`}`)
		}
	}
	retried := func(s *sink) {
		if s.w.total("documents_retried") == 0 {
			s.t.Error("no document was refused and sent again")
		}
	}
	sinkFault{name: "writes are blocked", begin: block("write", "true"), end: block("write", "null"), proof: retried}.run(t, n)
	sinkFault{name: "index closed",
		begin: func(s *sink) { s.ask(http.MethodPost, "/"+s.prefix+"-*/_close", "") },
		end: func(s *sink) {
			s.ask(http.MethodPost, "/"+s.prefix+"-*/_open", "")
			s.ask(http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=30s", "")
		}, proof: retried}.run(t, n)

	newDays := func(begin func(*sink)) func(*sink) {
		return func(s *sink) {
			begin(s)
			s.later.Store(true)
			puts := s.puts()
			s.eventually("records have events of the later days", func() bool { return s.puts() > puts+1 }) // the first can have been made before
		}
	}
	sinkFault{name: "auto-creation is off",
		begin: newDays(settings(`"action.auto_create_index":"false"`)), end: settings(`"action.auto_create_index":null`), proof: retried}.run(t, n)
	sinkFault{name: "maximum number of shards",
		begin: newDays(settings(`"cluster.max_shards_per_node":1`)), end: settings(`"cluster.max_shards_per_node":null`), proof: retried}.run(t, n)

	t.Run("index deleted", func(t *testing.T) {
		s := newSink(t, n, 2)
		s.work()
		produce := s.producer(1)
		for range 50 {
			produce()
		}
		s.indexed()
		s.eventually("all is acknowledged", func() bool {
			s.check()
			return s.behind() == 0
		})
		s.toxic(`{"type":"latency","stream":"upstream","attributes":{"latency":600000}}`)
		clear(s.expected) // acknowledged events are deleted with the index
		for range 50 {
			produce()
		}
		time.Sleep(time.Second) // the worker reads them
		s.ask(http.MethodDelete, "/"+s.prefix+"-2026-01-15,"+s.prefix+"-2026-01-16", "")
		s.noToxics()
		for range 50 {
			produce()
		}
		s.finish()
	})

	readOnly := func(s *sink) bool {
		var answer map[string]struct {
			Settings struct {
				Index struct{ Blocks map[string]string }
			}
		}
		if err := inspect.Ask(context.Background(), s.search, http.MethodGet, "/"+s.prefix+"-2026-*/_settings", "", &answer); err != nil {
			s.t.Fatal(err)
		}
		blocked := 0
		for _, index := range answer {
			if index.Settings.Index.Blocks["read_only_allow_delete"] == "true" {
				blocked++
			}
		}
		return blocked > 0 && blocked == len(answer)
	}
	// free sets how much free disk space the node requires.
	free := func(s *sink, size string) {
		const watermark = `"cluster.routing.allocation.disk.watermark.`
		settings(`"cluster.routing.allocation.disk.threshold_enabled":true,` +
			watermark + `low":` + size + `,` + watermark + `high":` + size + `,` + watermark + `flood_stage":` + size)(s)
	}
	sinkFault{name: "disk at the flood-stage watermark",
		begin: func(s *sink) {
			free(s, `"900tb"`)
			s.eventually("the indices are read-only", func() bool { return readOnly(s) })
		},
		end: func(s *sink) {
			free(s, `"1b"`)
			s.eventually("the indices can be written to", func() bool { return !readOnly(s) })
			settings(`"cluster.routing.*":null`)(s)
		}, proof: retried}.run(t, n)
}

// The connection to the node is slow, has little bandwidth, or is cut after a request.
func TestRunSlowSink(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	toxic := func(toxic string) func(*sink) { return func(s *sink) { s.toxic(toxic) } }
	slowed := func(s *sink) {
		const minimum = 3 // seconds
		if p99 := s.w.greatest("bulk_request_seconds_p99"); p99 < minimum {
			s.t.Errorf("bulk requests took at most %.1f s, want at least %d", p99, minimum)
		}
	}
	sinkFault{name: "latency", moves: true, begin: toxic(`{"type":"latency","attributes":{"latency":5000}}`), end: (*sink).noToxics, proof: slowed}.run(t, n)
	sinkFault{name: "little bandwidth", moves: true, begin: toxic(`{"type":"bandwidth","stream":"upstream","attributes":{"rate":10}}`), end: (*sink).noToxics, proof: slowed}.run(t, n)
	// The request is applied, and one byte of the response arrives.
	sinkFault{name: "cut after the request", begin: toxic(`{"type":"limit_data","attributes":{"bytes":1}}`), end: (*sink).noToxics, proof: sentTwice}.run(t, n)
}

// A node with one write thread and a queue of one refuses documents with 429 in a response with
// status 200.
func TestRunBusySink(t *testing.T) {
	t.Parallel()
	s := newSink(t, startNode(t, "256m", map[string]string{"thread_pool.write.size": "1", "thread_pool.write.queue_size": "1"}), 4)
	s.work("BULK_CONNECTIONS=16", "BULK_DOCUMENTS=100", "BULK_LINGER=1ms")
	s.produce(generator(1, 10_000), 10_000)
	s.indexed()
	s.w.stop()
	s.exact()
	s.passed()
	var answer struct {
		Nodes map[string]struct {
			Pool struct{ Write struct{ Rejected int } } `json:"thread_pool"`
		}
	}
	if err := inspect.Ask(t.Context(), s.search, http.MethodGet, "/_nodes/stats/thread_pool", "", &answer); err != nil {
		t.Fatal(err)
	}
	retried := s.w.total("documents_retried")
	if rejected := s.w.total("documents_rejected"); rejected == 0 || rejected > retried {
		t.Errorf("%.0f documents counted as rejected, %.0f sent again", rejected, retried)
	}
	for _, n := range answer.Nodes {
		if n.Pool.Write.Rejected == 0 || retried == 0 {
			t.Errorf("the node has rejected %d writes, %.0f documents were sent again", n.Pool.Write.Rejected, retried)
		}
		t.Logf("the node has rejected %d writes, %.0f documents were sent again", n.Pool.Write.Rejected, retried)
	}
}
