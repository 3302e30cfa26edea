package cli

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer"
	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// OpenSearch refuses everything, or is gone, for a while: no checkpoint passes
// what is not found, no lease is lost, and in the end each event is there once.
func TestRunSinkFaults(t *testing.T) {
	localtest.OpenSearch(t) // skips where there is none
	node, err := local.StartOpenSearch(t.Context(), local.Options{FastStart: true, Heap: "512m"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	})
	proxy := newProxy(t, node.URL)
	const lasting = 6 * time.Second // two lease durations
	f := func(name string, stalls bool, fault, heal func(ask func(method, path, body string), h *history)) {
		t.Run(name, func(t *testing.T) {
			h := newHistory(newCluster(t, 2))
			h.searchURL = node.URL
			if h.search, err = indexer.NewClient(indexer.ClientConfig{URL: node.URL, Connections: 1}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(h.clean) // of the node; before its client is closed
			ask := func(method, path, body string) {
				t.Helper()
				if err := inspect.Ask(context.Background(), h.search, method, path, body, nil); err != nil {
					t.Fatal(err)
				}
			}
			w := h.start("w", "LEASE_DURATION=3s", "SUMMARY_PERIOD=500ms", "OPENSEARCH_URL=http://"+proxy.Listen)
			look := func() map[string]leaseRow {
				rows, err := h.rows(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			check := func() {
				h.settle(look(), func(id, format string, args ...any) { t.Errorf(id+": "+format, args...) })
			}
			stopProducing := background(time.Second/recordsPerSecond, h.producer(1))
			defer stopProducing()
			h.eventually("events are found", func() bool { return h.count(h.documents()) > 50 && h.held("w") == 2 })
			check()
			fault(ask, h)
			time.Sleep(2 * time.Second) // a heartbeat writes what was acknowledged before
			before := look()
			time.Sleep(lasting - 2*time.Second)
			for id, row := range look() {
				if stalls && row.checkpoint != before[id].checkpoint {
					t.Errorf("%s: the checkpoint moved from %s to %s, though nothing could be indexed", id, before[id].checkpoint, row.checkpoint)
				}
				if row.owner != "w" || row.epoch != before[id].epoch || row.counter == before[id].counter {
					t.Errorf("%s: the lease was not kept: %+v to %+v", id, before[id], row)
				}
			}
			if !stalls {
				check()
			}
			heal(ask, h)
			check()
			time.Sleep(time.Second)
			stopProducing()
			h.indexed()
			check()
			w.stopWithin(3 * drainTimeout) // no lease lost, no exit by itself
			check()
			h.exact()
			if strings.Contains(w.lines(), "lease lost") {
				t.Error("a lease was lost")
			}
			for id, records := range h.records {
				if n := len(records) - h.settled[id]; n != 0 {
					t.Errorf("%d records of %s are behind the checkpoint", n, id)
				}
			}
		})
	}
	type asker = func(method, path, body string)
	f("killed in the middle", true, func(asker, *history) {
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
	}, func(asker, *history) {
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	f("writes are blocked", true, func(ask asker, h *history) {
		ask(http.MethodPut, "/"+h.prefix+"-*/_settings", `{"index.blocks.write":true}`)
	}, func(ask asker, h *history) {
		ask(http.MethodPut, "/"+h.prefix+"-*/_settings", `{"index.blocks.write":null}`)
	})
	// What the disk watermark sets.
	f("read-only, deletes allowed", true, func(ask asker, h *history) {
		ask(http.MethodPut, "/"+h.prefix+"-*/_settings", `{"index.blocks.read_only_allow_delete":true}`)
	}, func(ask asker, h *history) {
		ask(http.MethodPut, "/"+h.prefix+"-*/_settings", `{"index.blocks.read_only_allow_delete":null}`)
	})
	f("index closed", true, func(ask asker, h *history) {
		ask(http.MethodPost, "/"+h.prefix+"-*/_close", "")
	}, func(ask asker, h *history) {
		ask(http.MethodPost, "/"+h.prefix+"-*/_open", "")
		ask(http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=30s", "")
	})
	toxic := func(name string, stalls bool, toxic string) {
		f(name, stalls, func(asker, *history) {
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Fatal(err)
			}
		}, func(asker, *history) { proxy.Toxics.ResetToxics(t.Context()) })
	}
	toxic("latency", false, `{"type":"latency","attributes":{"latency":5000}}`)
	toxic("little bandwidth", false, `{"type":"bandwidth","stream":"upstream","attributes":{"rate":10}}`)
	// The request is applied; of the answer comes a byte.
	toxic("cut after the request", true, `{"type":"limit_data","attributes":{"bytes":1}}`)
}

// newProxy starts a proxy before a server, for faults of the network.
func newProxy(t *testing.T, url string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "opensearch", "127.0.0.1:0", strings.TrimPrefix(url, "http://"))
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}
