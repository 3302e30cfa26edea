package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"logsluice/local/localtest"
)

// Twenty times one of two workers is killed at a random moment and replaced immediately: no
// checkpoint passes a record that is not indexed, and in the end each event is indexed once.
func TestRunKills(t *testing.T) {
	t.Parallel()
	h := newHistory(newCluster(t, 4))
	settings := []string{"LEASE_DURATION=2s", "SHARD_SYNC_INTERVAL=200ms"}
	pair := [2]*worker{h.start("a", settings...), h.start("b", settings...)}
	stopProducing := background(time.Second/recordsPerSecond, h.producer(1))
	defer stopProducing()
	h.eventually("events are found", func() bool { return h.count(h.documents()) > 50 })
	check := func() {
		t.Helper()
		rows, err := h.rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.verify(rows, func(id, format string, args ...any) { t.Errorf(id+": "+format, args...) })
	}
	const kills = 20
	held := 0 // by killed workers
	for i := range kills {
		time.Sleep(300*time.Millisecond + rand.N(time.Second))
		w := &pair[rand.IntN(2)]
		if i%2 == 0 { // the others are killed at any moment
			h.eventually((*w).name+" has a lease", func() bool { return h.held((*w).name) > 0 })
		}
		held += h.held((*w).name)
		(*w).signal(syscall.SIGKILL)
		(*w).wait()
		if strings.Contains((*w).lines(), "DATA RACE") {
			t.Errorf("%s: data race", (*w).name)
		}
		*w = h.start(fmt.Sprint("w", i), settings...)
		check()
	}
	stopProducing()
	h.indexed()
	// Killed workers can have indexed events that the last two have yet to read.
	h.eventually("all is acknowledged", func() bool {
		check()
		return h.behind() == 0
	})
	again := 0.0
	for _, w := range pair {
		w.stop()
		again += w.total("documents_already_there")
	}
	check()
	h.exact()
	if n := h.behind(); n != 0 {
		t.Errorf("%d records are behind the checkpoints", n)
	}
	if held < kills/2 {
		t.Errorf("the killed workers held only %d leases", held)
	}
	t.Logf("%d records; the killed workers held %d leases; the last two found %.0f documents already indexed", h.produced, held, again)
}

// SIGTERM while OpenSearch is down and reading is paused: the worker exits in time, and its
// successor does not read acknowledged records again.
func TestRunDrainWithoutOpenSearch(t *testing.T) {
	t.Parallel()
	h := newHistory(newCluster(t, 2))
	proxy := newProxy(t, localtest.OpenSearch(t))
	a := h.start("a", "OPENSEARCH_URL=http://"+proxy.Listen, "IN_FLIGHT_BYTES=500000", "SUMMARY_PERIOD=200ms", "DRAIN_TIMEOUT=10s")
	produce := h.producer(1)
	for range 200 {
		produce()
	}
	h.indexed()
	proxy.Stop()
	for range 500 {
		produce()
	}
	h.eventually("reading is paused", func() bool {
		read := a.summaries("records")
		return a.total("bulk_requests_failed") > 0 && a.total("records") < float64(h.produced) &&
			len(read) > 10 && slices.Max(read[len(read)-10:]) == 0
	})
	a.stop()
	rows, err := h.rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.verify(rows, func(id, format string, args ...any) { t.Errorf(id+": "+format, args...) })
	behind := 0
	for id, records := range h.records {
		if rows[id].owner != "" {
			t.Errorf("%s was not released", id)
		}
		behind += len(records) - h.verified[id]
	}
	if behind == h.produced || behind < 400 {
		t.Errorf("%d of %d records are not acknowledged", behind, h.produced)
	}
	b := h.start("b")
	h.indexed()
	b.stop()
	h.exact()
	if n := b.total("records"); n != float64(behind) {
		t.Errorf("the successor read %.0f records, %d were not acknowledged", n, behind)
	}
}
