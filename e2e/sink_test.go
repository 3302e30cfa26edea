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

// OpenSearch nodes of a test's own, with a proxy before each for faults of the network.

// nodes bounds the OpenSearch nodes that tests have at once.
var nodes = make(chan struct{}, 2)

// node is an OpenSearch of the test's own, and a proxy before it for faults of
// the network.
type node struct {
	*local.OpenSearch
	proxy    *toxiproxy.Proxy
	password string // of the user logsluice, "" before it is set
}

func startNode(t *testing.T, heap string, settings map[string]string) *node {
	t.Helper()
	return startNodeWith(t, local.Options{Heap: heap, Settings: settings})
}

func startNodeWith(t *testing.T, o local.Options) *node {
	t.Helper()
	localtest.OpenSearch(t) // skips where there is none
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

// access is how a test asks the node. One that is not secured takes any user.
func (n *node) access() opensearch.ClientConfig {
	return opensearch.ClientConfig{URL: n.URL, CAFile: n.CAFile, Username: local.Admin, Password: local.Admin}
}

// newProxy starts a proxy before a server.
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

// sink is a cluster on a node of the test's own.
type sink struct {
	*history
	*node
	w *worker
}

func newSink(t *testing.T, n *node, shards int32) *sink {
	t.Helper()
	return &sink{history: newHistory(newClusterOn(t, n.access(), shards)), node: n}
}

// work starts the worker, behind the proxy.
func (s *sink) work(settings ...string) {
	s.t.Helper()
	scheme, _, _ := strings.Cut(s.URL, "://")
	s.w = s.start("w", append([]string{"LEASE_DURATION=5s", "SUMMARY_PERIOD=500ms", "OPENSEARCH_URL=" + scheme + "://" + s.proxy.Listen}, settings...)...)
}

func (s *sink) ask(method, path, body string) {
	s.t.Helper()
	var err error
	s.eventually(method+" "+path+" is answered", func() bool {
		err = inspect.Ask(context.Background(), s.search, method, path, body, nil)
		return err == nil || errors.As(err, new(*opensearch.AnswerError)) // a busy machine may not answer in time
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

// end has the node gone.
func (s *sink) end(signal syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.Pid(), signal); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the node is gone", func() bool {
		return inspect.Ask(context.Background(), s.search, http.MethodGet, "/", "", nil) != nil
	})
	if err := s.Kill(); err != nil { // waits, and tells the node that it was us
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

// check checks that no checkpoint passes what is not found.
func (s *sink) check() {
	s.t.Helper()
	s.settle(s.look(), func(id, format string, args ...any) { s.t.Errorf(id+": "+format, args...) })
}

// finish checks that all is found, stops the worker, and checks that it has
// kept its leases and that the checkpoints have passed all records.
func (s *sink) finish() {
	s.t.Helper()
	s.indexed()
	s.check()
	s.w.stopWithin(3 * drainTimeout)
	s.check()
	s.exact()
	s.passed()
}

// passed checks what finish does of leases and checkpoints.
func (s *sink) passed() {
	s.t.Helper()
	if strings.Contains(s.w.lines(), "lease lost") {
		s.t.Error("a lease was lost")
	}
	for id, records := range s.records {
		if n := len(records) - s.settled[id]; n != 0 {
			s.t.Errorf("%d records of %s are behind the checkpoint", n, id)
		}
	}
}

// sinkFault goes wrong with OpenSearch for a while.
type sinkFault struct {
	name    string
	lasting time.Duration // at least, and longer than a lease
	moves   bool          // documents are indexed meanwhile
	with    []string      // settings of the worker
	before  func(*sink)   // the worker starts
	strike  func(*sink)
	heal    func(*sink)
	proof   func(*sink) // that it did go wrong; after the end of the worker
}

// run checks that no checkpoint passes what is not found, no lease is lost, and
// in the end each event is there once.
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
		f.strike(s)
		last, before := s.last(), s.look()
		time.Sleep(max(f.lasting, 7*time.Second))
		s.eventually("the leases are renewed", func() bool {
			for id, row := range s.look() {
				if row.counter == before[id].counter {
					return false
				}
			}
			return true
		})
		for id, row := range s.look() {
			// What was put before may have been on its way.
			if !f.moves && row.checkpoint > last[id] {
				t.Errorf("%s: the checkpoint moved from %s to %s, past %s, after which nothing could be indexed", id, before[id].checkpoint, row.checkpoint, last[id])
			}
			if row.owner != "w" || row.epoch != before[id].epoch {
				t.Errorf("%s: the lease was not kept: %+v to %+v", id, before[id], row)
			}
		}
		if f.moves {
			s.check()
		}
		f.heal(s)
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
		s.t.Error("no bulk request was applied and its answer lost")
	}
}

// The node is killed and stopped.
func TestRunOutage(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	sinkFault{name: "killed with bulk requests under way",
		strike: func(s *sink) {
			s.toxic(`{"type":"timeout","attributes":{"timeout":0}}`) // requests arrive, no answer does
			answered := s.count(s.documents())
			s.eventually("a request is applied whose answer is lost", func() bool { return s.count(s.documents()) > answered })
			// What can be found may not be in the translog yet.
			s.ask(http.MethodPost, "/"+s.prefix+"-*/_flush?wait_if_ongoing=true", "")
			s.end(syscall.SIGKILL)
			s.noToxics()
		},
		heal: (*sink).restart, proof: sentTwice}.run(t, n)
	sinkFault{name: "stopped", lasting: max(outage(t), 20*time.Second),
		strike: func(s *sink) { s.end(syscall.SIGTERM) }, heal: (*sink).restart,
		proof: func(s *sink) {
			if s.w.total("bulk_requests_failed") == 0 {
				s.t.Error("no bulk request has failed")
			}
		}}.run(t, n)
}

// The node's indices are blocked and closed, and those of new days cannot be made.
func TestRunIndexFaults(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", map[string]string{"cluster.info.update.interval": "10s"})
	// settings are of the cluster, while the fault is there and after.
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
	sinkFault{name: "writes are blocked", strike: block("write", "true"), heal: block("write", "null"), proof: retried}.run(t, n)
	sinkFault{name: "index closed",
		strike: func(s *sink) { s.ask(http.MethodPost, "/"+s.prefix+"-*/_close", "") },
		heal: func(s *sink) {
			s.ask(http.MethodPost, "/"+s.prefix+"-*/_open", "")
			s.ask(http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=30s", "")
		}, proof: retried}.run(t, n)

	newDays := func(strike func(*sink)) func(*sink) {
		return func(s *sink) {
			strike(s)
			s.later.Store(true)
			puts := s.puts()
			s.eventually("what is put is of the later days", func() bool { return s.puts() > puts+1 }) // the first may have been made before
		}
	}
	sinkFault{name: "auto-creation is off",
		strike: newDays(settings(`"action.auto_create_index":"false"`)), heal: settings(`"action.auto_create_index":null`), proof: retried}.run(t, n)
	sinkFault{name: "as many shards as a node may have",
		strike: newDays(settings(`"cluster.max_shards_per_node":1`)), heal: settings(`"cluster.max_shards_per_node":null`), proof: retried}.run(t, n)

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
		clear(s.expected) // what is acknowledged goes with the index
		for range 50 {
			produce()
		}
		time.Sleep(time.Second) // reads them
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
	// free has the node want so much free disk.
	free := func(s *sink, size string) {
		const watermark = `"cluster.routing.allocation.disk.watermark.`
		settings(`"cluster.routing.allocation.disk.threshold_enabled":true,` +
			watermark + `low":` + size + `,` + watermark + `high":` + size + `,` + watermark + `flood_stage":` + size)(s)
	}
	sinkFault{name: "disk at the flood-stage watermark",
		strike: func(s *sink) {
			free(s, `"900tb"`)
			s.eventually("the indices are read-only", func() bool { return readOnly(s) })
		},
		heal: func(s *sink) {
			free(s, `"1b"`)
			s.eventually("the indices can be written to", func() bool { return !readOnly(s) })
			settings(`"cluster.routing.*":null`)(s)
		}, proof: retried}.run(t, n)
}

// The way to the node is slow, narrow, and cut when a request has got through.
func TestRunSlowSink(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	toxic := func(toxic string) func(*sink) { return func(s *sink) { s.toxic(toxic) } }
	slowed := func(s *sink) {
		const least = 3 // seconds
		if p99 := s.w.most("bulk_request_seconds_p99"); p99 < least {
			s.t.Errorf("bulk requests took %.1f s at the most", p99)
		}
	}
	sinkFault{name: "latency", moves: true, strike: toxic(`{"type":"latency","attributes":{"latency":5000}}`), heal: (*sink).noToxics, proof: slowed}.run(t, n)
	sinkFault{name: "little bandwidth", moves: true, strike: toxic(`{"type":"bandwidth","stream":"upstream","attributes":{"rate":10}}`), heal: (*sink).noToxics, proof: slowed}.run(t, n)
	// The request is applied; of the answer comes a byte.
	sinkFault{name: "cut after the request", strike: toxic(`{"type":"limit_data","attributes":{"bytes":1}}`), heal: (*sink).noToxics, proof: sentTwice}.run(t, n)
}

// A node with one thread and a queue of one for writes refuses documents with
// 429 within an answer of 200.
func TestRunBusySink(t *testing.T) {
	t.Parallel()
	s := newSink(t, startNode(t, "256m", map[string]string{"thread_pool.write.size": "1", "thread_pool.write.queue_size": "1"}), 4)
	s.work("BULK_CONNECTIONS=16", "BULK_DOCUMENTS=100", "BULK_LINGER=1ms")
	s.produce(generator(1, 10_000), 10_000)
	s.indexed()
	s.w.stopWithin(3 * drainTimeout)
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
