package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	soakLength = "LOGSLUICE_SOAK"      // how long disturbances happen
	soakSeed   = "LOGSLUICE_SOAK_SEED" // seed of the disturbances

	soakWorkers = 3
	soakLease   = 3 * time.Second
	maxOpen     = 8 // shards
	minOpen     = 2

	recordsPerSecond = 30
)

// Workers are killed, suspended for longer than their leases and drained. Shards are split and
// merged. OpenSearch is slow at times and killed once. The network to it is slow, has little
// bandwidth or cuts responses. During all this the rules of the lease table hold, and no
// checkpoint passes a record that is not indexed. Afterwards the leases are spread evenly and
// every event is indexed exactly once.
func TestRunSoak(t *testing.T) {
	if os.Getenv(soakLength) == "" {
		t.Skip("minutes of disturbances: make soak runs it")
	}
	length, err := time.ParseDuration(os.Getenv(soakLength))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv(soakSeed); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	// A test that exceeds its timeout leaves its processes behind.
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < length+2*time.Minute {
		t.Fatalf("%s might not end within the remaining %s: give a longer -timeout", length, time.Until(deadline))
	}
	t.Logf("to repeat: %s=%s %s=%d", soakLength, length, soakSeed, seed)
	s := newSoak(t)
	stopPolling := background(100*time.Millisecond, func() {
		if !t.Failed() {
			s.poll()
		}
	})
	defer stopPolling()
	stopProducing := background(time.Second/recordsPerSecond, s.producer(seed))
	defer stopProducing()

	for i := range s.slots {
		s.begin(&s.slots[i])
	}
	all := disturbances(seed, length)
	half := len(all) / 2
	s.drive(all[:half])
	outage := s.restartNode()
	for i := range all[half:] {
		all[half+i].at += outage
	}
	s.drive(all[half:])
	s.endDisturbances()
	stopProducing()
	s.awaitRest()
	for i := range s.slots {
		s.drain(&s.slots[i])
	}
	stopPolling()
	if s.poll(); t.Failed() {
		return
	}
	s.end()
	t.Logf("%d records, %d events, %d shards, %d polls", s.produced, len(s.expected), len(s.shards()), s.polls)
}

// background calls f periodically until stop is called. stop waits for the last call.
func background(every time.Duration, f func()) (stop func()) {
	stopped := make(chan struct{})
	var task sync.WaitGroup
	task.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-ticks.C:
				f()
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stopped)
		task.Wait()
	})
}

// soak is a cluster with disturbances.
type soak struct {
	*history
	begun     time.Time
	slots     [soakWorkers]slot
	all       []*worker
	slowUntil atomic.Int64 // bulk requests are slow until then, in nanoseconds

	node       *node
	proxy      *toxiproxy.Proxy // that the workers use as OpenSearch
	toxicUntil time.Time
	asking     sync.Mutex // held during requests to the node and while it is down

	happened []string            // with times; guarded by mu
	before   map[string]leaseRow // at the end of the disturbances

	// Used only by the poller.
	polls   int
	asked   time.Time // when the previous scan was sent
	parents map[string][]string
	closed  map[string]bool
	watched map[string]*watchedRow
	suspect map[string]bool // shards whose rows broke a rule
}

// watchedRow is a row as the poller last read it.
type watchedRow struct {
	leaseRow
	before  time.Time // when a scan was sent that did not show this counter yet
	history []string
}

// slot is a worker and its successors.
type slot struct {
	name   string
	lives  int
	rename bool // the successor gets another name
	worker *worker
	gone   chan struct{} // closed when the process has ended
	state  slotState
	until  time.Time // when it is resumed or started
}

type slotState int

const (
	running slotState = iota
	suspended
	down
)

func newSoak(t *testing.T) *soak {
	t.Helper()
	n := startNode(t, "512m", nil)
	s := &soak{history: newHistory(newClusterOn(t, n.access(), 4)), node: n, begun: time.Now(),
		parents: make(map[string][]string), closed: make(map[string]bool), watched: make(map[string]*watchedRow), suspect: make(map[string]bool)}
	t.Cleanup(s.report)
	for i := range s.slots {
		s.slots[i].name = string(rune('a' + i))
	}
	real, err := neturl.Parse(s.searchURL)
	if err != nil {
		t.Fatal(err)
	}
	// Bulk requests are delayed, so that checkpoints could be too early.
	proxy := httputil.NewSingleHostReverseProxy(real)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // a killed worker aborts its requests
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_bulk") {
			limit := 200 * time.Millisecond
			if time.Since(s.begun) < time.Duration(s.slowUntil.Load()) {
				limit = 3 * time.Second
			}
			select {
			case <-time.After(rand.N(limit)):
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	// Requests that a killed worker has left behind must not be applied after the test.
	t.Cleanup(server.Close)
	s.proxy = newProxy(t, server.URL)
	s.searchURL = "http://" + s.proxy.Listen
	return s
}

// note records an event with its time.
func (s *soak) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happened = append(s.happened, s.clock()+fmt.Sprintf(format, args...))
}

func (s *soak) clock() string { return fmt.Sprintf("%9.3fs  ", time.Since(s.begun).Seconds()) }

// report logs what happened, and after a failure the last changes of the lease table.
func (s *soak) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("what happened:\n%s", strings.Join(s.happened, "\n"))
	if !s.t.Failed() {
		return
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.watched)) {
		lines, limit := s.watched[id].history, 3
		if s.suspect[id] {
			limit = 60
		}
		fmt.Fprintf(&b, "%s %v\n", id, s.parents[id])
		for _, line := range lines[max(len(lines)-limit, 0):] {
			fmt.Fprintln(&b, line)
		}
	}
	s.t.Logf("the last changes of the lease table:\n%s", b.String())
}

// disturbance is a fault or a change.
type disturbance struct {
	at      time.Duration // since the beginning
	what    string
	slot    int           // the first candidate
	shard   int           // selects one of the open shards
	lasting time.Duration // up to 3 s
	rename  bool
}

// disturbances returns the disturbances of a seed. A longer run begins like a shorter one.
func disturbances(seed uint64, length time.Duration) (all []disturbance) {
	rng := rand.New(rand.NewPCG(seed, 0))
	kinds := []string{"kill", "suspend", "stop", "split", "merge", "slow index", "slow network", "narrow network", "cut answers", "nothing"}
	for at := 2 * time.Second; ; {
		at += time.Second + time.Duration(rng.Int64N(int64(2*time.Second)))
		if at >= length {
			return all
		}
		all = append(all, disturbance{
			at:      at,
			what:    kinds[rng.IntN(len(kinds))],
			slot:    rng.IntN(soakWorkers),
			shard:   rng.IntN(1000),
			lasting: time.Duration(rng.Int64N(int64(3 * time.Second))),
			rename:  rng.IntN(2) == 0,
		})
	}
}

// drive runs the disturbances until the test fails.
func (s *soak) drive(all []disturbance) {
	for ; len(all) > 0 && !s.t.Failed(); time.Sleep(20 * time.Millisecond) {
		for i := range s.slots {
			if l := &s.slots[i]; time.Now().After(l.until) {
				s.resume(l)
			}
		}
		if time.Now().After(s.toxicUntil) {
			s.proxy.Toxics.ResetToxics(context.Background())
		}
		s.alive()
		if time.Since(s.begun) >= all[0].at {
			s.disturb(all[0])
			all = all[1:]
		}
	}
}

func (s *soak) disturb(d disturbance) {
	switch d.what {
	case "kill", "suspend", "stop":
		for i := range s.slots {
			if l := &s.slots[(d.slot+i)%soakWorkers]; l.state == running {
				s.disturbWorker(l, d)
				return
			}
		}
	case "split":
		if open := s.open(); len(open) < maxOpen {
			shard := open[d.shard%len(open)]
			s.note("split %s", *shard.ShardId)
			s.split(shard)
		}
	case "merge":
		if open := s.open(); len(open) > minOpen {
			i := d.shard % (len(open) - 1)
			s.note("merge %s and %s", *open[i].ShardId, *open[i+1].ShardId)
			s.merge(open[i], open[i+1])
		}
	case "slow index":
		s.note("OpenSearch is slow for %s", d.lasting)
		s.slowUntil.Store(int64(time.Since(s.begun) + d.lasting))
	case "slow network", "narrow network", "cut answers":
		s.note("%s for %s", d.what, d.lasting)
		s.proxy.Toxics.ResetToxics(context.Background())
		if _, err := s.proxy.Toxics.AddToxicJson(strings.NewReader(toxics[d.what])); err != nil {
			s.t.Fatal(err)
		}
		s.toxicUntil = time.Now().Add(d.lasting)
	}
}

var toxics = map[string]string{
	"slow network":   `{"type":"latency","attributes":{"latency":1500,"jitter":1000}}`,
	"narrow network": `{"type":"bandwidth","stream":"upstream","attributes":{"rate":10}}`,
	"cut answers":    `{"type":"limit_data","attributes":{"bytes":1}}`, // the request is applied
}

// restartNode kills OpenSearch and restarts it.
func (s *soak) restartNode() (outage time.Duration) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.note("OpenSearch is killed")
	began := time.Now()
	if err := s.node.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.node.Restart(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	outage = time.Since(began)
	s.note("OpenSearch is available again after %s", outage)
	return outage
}

// open returns the open shards in the order of their hash keys.
func (s *soak) open() []types.Shard {
	s.t.Helper()
	open := slices.DeleteFunc(s.shards(), isClosed)
	slices.SortFunc(open, func(a, b types.Shard) int { return firstKey(a).Cmp(firstKey(b)) })
	return open
}

func isClosed(shard types.Shard) bool { return shard.SequenceNumberRange.EndingSequenceNumber != nil }

// disturbWorker kills, suspends or stops a running worker.
func (s *soak) disturbWorker(l *slot, d disturbance) {
	l.rename = d.rename
	switch d.what {
	case "kill":
		s.note("kill %s", l.name)
		l.worker.signal(syscall.SIGKILL)
		<-l.gone
		l.state = down
	case "suspend":
		d.lasting += soakLease
		s.note("suspend %s for %s", l.name, d.lasting)
		l.worker.signal(syscall.SIGSTOP)
		l.state = suspended
	case "stop":
		s.drain(l)
	}
	l.until = time.Now().Add(d.lasting)
}

// drain stops a worker by SIGTERM.
func (s *soak) drain(l *slot) {
	s.t.Helper()
	s.note("stop %s", l.name)
	// Before its first line it might not handle the signal yet.
	s.eventually(l.name+" has begun", func() bool { return l.worker.lines() != "" })
	began := time.Now()
	l.worker.stop()
	s.note("%s stopped after %s", l.name, time.Since(began))
	l.state = down
}

// resume continues a suspended worker, or starts the successor of one that has ended.
func (s *soak) resume(l *slot) {
	switch l.state {
	case suspended:
		s.note("continue %s", l.name)
		l.worker.signal(syscall.SIGCONT)
		l.state = running
	case down:
		if l.rename {
			l.lives++
			l.name = fmt.Sprintf("%c%d", l.name[0], l.lives)
		}
		s.begin(l)
	}
}

func (s *soak) begin(l *slot) {
	s.note("start %s", l.name)
	w := s.start(l.name, "LEASE_DURATION="+soakLease.String(), "SHARD_SYNC_INTERVAL=500ms")
	gone := make(chan struct{})
	go func() {
		w.wait()
		close(gone)
	}()
	l.worker, l.gone, l.state = w, gone, running
	s.all = append(s.all, w)
}

// alive checks that no worker has ended by itself.
func (s *soak) alive() {
	for i := range s.slots {
		l := &s.slots[i]
		if l.state == down {
			continue
		}
		select {
		case <-l.gone:
			s.t.Fatalf("%s ended by itself: %v", l.name, l.worker.wait())
		default:
		}
	}
}

// endDisturbances ends all faults and resumes all workers.
func (s *soak) endDisturbances() {
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.note("end of the disturbances")
	s.slowUntil.Store(0)
	s.proxy.Toxics.ResetToxics(context.Background())
	rows, err := s.rows(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.before = rows
	for i := range s.slots {
		s.resume(&s.slots[i])
	}
}

// awaitRest waits until the cluster is at rest.
func (s *soak) awaitRest() {
	began := time.Now()
	for {
		s.alive()
		why := s.pending()
		switch {
		case s.t.Failed():
			s.t.FailNow()
		case why == "":
			s.indexed()
			s.note("at rest after %s", time.Since(began))
			return
		case time.Since(began) > 3*time.Minute:
			s.t.Fatalf("not at rest: %s", why)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// pending returns why the cluster is not at rest, or "".
func (s *soak) pending() string {
	rows, err := s.rows(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	held := make(map[string]int)
	for _, l := range s.slots {
		held[l.name] = 0
	}
	for _, shard := range s.shards() {
		id := *shard.ShardId
		row := rows[id]
		_, living := held[row.owner]
		switch {
		case isClosed(shard) && (row.owner != "" || row.checkpoint != "SHARD_END"):
			return fmt.Sprintf("%s is closed and has the owner %q and the checkpoint %q", id, row.owner, row.checkpoint)
		case !isClosed(shard) && !living:
			return fmt.Sprintf("%s has the owner %q", id, row.owner)
		case !isClosed(shard) && row.counter == s.before[id].counter:
			// A killed worker can have had the name of its successor.
			return fmt.Sprintf("%s: no sign of life since the end of the disturbances", id)
		case !isClosed(shard):
			held[row.owner]++
		}
	}
	if loads := slices.Collect(maps.Values(held)); slices.Max(loads)-slices.Min(loads) > 1 {
		return fmt.Sprintf("the leases are spread unevenly: %v", held)
	}
	return ""
}

// end checks the documents and the lease table after all workers have stopped.
func (s *soak) end() {
	s.exact()
	for id, lease := range s.leases() {
		if lease[0] != "" {
			s.suspect[id] = true
			s.t.Errorf("%s was not released by %s", id, lease[0])
		}
		if n := len(s.records[id]) - s.verified[id]; n != 0 {
			s.suspect[id] = true
			s.t.Errorf("the last %d records of %s are behind the checkpoint, %s, though the workers drained", n, id, lease[1])
		}
	}
	for _, w := range s.all {
		if strings.Contains(w.lines(), "DATA RACE") {
			s.t.Errorf("%s: data race", w.name)
		}
	}
}

// poll reads the lease table and checks the changes since its last call. The table is small, so
// a scan of DynamoDB Local is a consistent snapshot.
func (s *soak) poll() {
	asked := time.Now()
	rows, err := s.rows(context.Background())
	if err != nil {
		s.t.Errorf("scan: %v", err)
		return
	}
	answered := time.Now()
	s.polls++
	s.list(rows)
	for id := range s.watched {
		if _, there := rows[id]; !there {
			s.violation(id, "its row was deleted")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		w, is := s.watched[id], rows[id]
		if w == nil {
			w = new(watchedRow)
			s.watched[id] = w
		}
		was := w.leaseRow
		if is != was {
			w.history = append(w.history, s.clock()+fmt.Sprintf("%+v", is))
			s.changed(id, was, is, rows, answered.Sub(w.before))
		}
		if is.counter != was.counter {
			w.before = cmp.Or(s.asked, asked)
		}
		w.leaseRow = is
	}
	s.asked = asked
	if s.asking.TryLock() {
		s.verify(rows, s.violation)
		s.asking.Unlock()
	}
}

// list lists the shards if the rows show new or finished ones.
func (s *soak) list(rows map[string]leaseRow) {
	known := true
	for id, row := range rows {
		_, listed := s.parents[id]
		known = known && listed && (s.closed[id] || row.checkpoint != "SHARD_END")
	}
	if known {
		return
	}
	out, err := s.kinesis.ListShards(context.Background(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		s.t.Errorf("list the shards: %v", err)
		return
	}
	for _, shard := range out.Shards {
		id := *shard.ShardId
		s.parents[id] = []string{}
		for _, parent := range []*string{shard.ParentShardId, shard.AdjacentParentShardId} {
			if parent != nil {
				s.parents[id] = append(s.parents[id], *parent)
			}
		}
		s.closed[id] = isClosed(shard)
	}
}

// changed checks a change of a row between two scans. silence is the maximum time without a
// change before it.
func (s *soak) changed(id string, was, is leaseRow, rows map[string]leaseRow, silence time.Duration) {
	acquired := is.epoch != was.epoch
	switch {
	case is.checkpoint < was.checkpoint: // SHARD_END is greater than all digits
		s.violation(id, "the checkpoint went back: %+v to %+v", was, is)
	case is.epoch < was.epoch:
		s.violation(id, "the epoch went back: %+v to %+v", was, is)
	case is.counter-was.counter < is.epoch-was.epoch:
		s.violation(id, "the counter went back, or was not counted at an acquisition: %+v to %+v", was, is)
	case is.owner != was.owner && is.owner != "" && !acquired:
		s.violation(id, "the owner changed within an epoch: %+v to %+v", was, is)
	case is.counter == was.counter && (is.owner != was.owner || is.checkpoint != was.checkpoint):
		s.violation(id, "a change was not counted: %+v to %+v", was, is)
	case acquired && was.checkpoint == "SHARD_END":
		s.violation(id, "it was acquired after its end: %+v to %+v", was, is)
	case is.epoch == was.epoch+1 && is.counter == was.counter+1 && was.owner != "" && silence < soakLease:
		// A release would have been counted.
		s.violation(id, "it was taken from %s after a silence of at most %s: %+v to %+v", was.owner, silence, was, is)
	case is.checkpoint == "SHARD_END" && !s.closed[id]:
		s.violation(id, "it is finished and still open: %+v", is)
	}
	if acquired {
		for _, parent := range s.parents[id] {
			if rows[parent].checkpoint != "SHARD_END" {
				s.suspect[parent] = true
				s.violation(id, "it was acquired by %s before its parent %s was finished: %+v", is.owner, parent, rows[parent])
			}
		}
	}
}

func (s *soak) violation(id, format string, args ...any) {
	s.t.Helper()
	s.suspect[id] = true
	s.t.Errorf("%s%s: %s", s.clock(), id, fmt.Sprintf(format, args...))
}
