package sim

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

// TestScale measures how fast a large cluster balances, and its costs.

// Environment variables for the size of the cluster of TestScale, and whether the KCL's own
// checkpointer is also measured.
const (
	shardsVariable  = "LOGSLUICE_SHARDS"
	workersVariable = "LOGSLUICE_WORKERS"
	kclVariable     = "LOGSLUICE_BESIDE_KCL"
)

// scaleTiming has the program's defaults, except for the polls, which do not affect the leases.
var scaleTiming = timing{lease: 15 * time.Second, sync: time.Second, poll: time.Second, drain: 20 * time.Second, inFlight: 96 << 10, wait: 30 * time.Minute}

// callLatency is the latency of each call to Kinesis and DynamoDB.
const callLatency = 5 * time.Millisecond

// Prices of a million request units of an on-demand table in us-east-1, in US dollars:
// https://aws.amazon.com/dynamodb/pricing/on-demand/
const (
	millionWrites = 0.625
	millionReads  = 0.125
)

// phase describes how a cluster reacted to a change.
type phase struct {
	name     string
	balanced time.Duration // until every shard is held and the spread is at most 1
	moved    time.Duration // until the last shard of the worker that left was held
	again    int           // documents that were sent again
	late     bool          // it was not balanced in time
}

// scale contains the measurements of a cluster.
type scale struct {
	title         string
	phases        []phase
	reads, writes float64 // request units per second in steady state
	wrong         int     // promises broken
}

func TestScale(t *testing.T) {
	shards, workers := size(t, shardsVariable, 60), size(t, workersVariable, 6)
	ours := run(t, "logsluice", logsluice, shards, workers, 2*time.Minute)
	t.Logf("%d shards, %d workers, leases of %s\n%s", shards, workers, scaleTiming.lease, table([]scale{ours}, shards))
	for _, p := range ours.phases {
		limit := time.Minute
		switch p.name {
		case "start alone":
			limit = 30 * time.Second
		case "crash":
			limit += scaleTiming.lease
			if most := scaleTiming.lease + 2*time.Second; p.moved > most {
				t.Errorf("the shards of a crashed worker were taken over after %s, not %s", p.moved, most)
			}
		}
		if p.late || p.balanced > limit {
			t.Errorf("%s: balanced after %s, not %s (late %v)", p.name, p.balanced, limit, p.late)
		}
		if p.again > 0 && p.name != "crash" {
			t.Errorf("%s: %d documents were read again", p.name, p.again)
		}
	}
	// One write per renewal, with its jitter, and one scan per sync.
	if most := 1.15 * float64(shards) * 3 / scaleTiming.lease.Seconds(); ours.writes > most {
		t.Errorf("%.1f writes per second in steady state, not %.1f", ours.writes, most)
	}
	if ours.wrong > 0 {
		t.Errorf("%d promises were broken", ours.wrong)
	}
}

// TestScaleOfTheKCL compares logsluice with the unmodified KCL. In each iteration the KCL gets
// every shard of other workers from DynamoDB, so a simulation of many shards takes very long.
func TestScaleOfTheKCL(t *testing.T) {
	if os.Getenv(kclVariable) == "" {
		t.Skipf("set %s to see what the KCL's own checkpointer does", kclVariable)
	}
	const shards, workers = 100, 10
	t.Logf("%d shards, %d workers, leases of %s\n%s", shards, workers, scaleTiming.lease, table([]scale{
		run(t, "logsluice", logsluice, shards, workers, 2*time.Minute),
		run(t, "KCL, sync every second", plainKCL(time.Second), shards, workers, 5*time.Minute),
		run(t, "KCL, sync every minute (default)", plainKCL(time.Minute), shards, workers, 30*time.Minute),
	}, shards))
}

func size(t *testing.T, variable string, otherwise int) int {
	s := os.Getenv(variable)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 2 {
		t.Fatalf("%s: %q is not a number above 1", variable, s)
	}
	return n
}

func table(all []scale, shards int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, cell func(scale) string) {
		fmt.Fprint(w, name)
		for _, s := range all {
			fmt.Fprint(w, "\t"+cell(s))
		}
		fmt.Fprintln(w, "\t")
	}
	row("", func(s scale) string { return s.title })
	for i, p := range all[0].phases {
		row(p.name+": balanced after", func(s scale) string {
			if s.phases[i].late {
				return "not in " + s.phases[i].balanced.String()
			}
			return s.phases[i].balanced.String()
		})
		if p.moved > 0 {
			row(p.name+": last shard held after", func(s scale) string { return s.phases[i].moved.String() })
		}
		row(p.name+": documents read again", func(s scale) string { return strconv.Itoa(s.phases[i].again) })
	}
	row("write units per second and shard", func(s scale) string { return fmt.Sprintf("%.3f", s.writes/float64(shards)) })
	row("read units per second and shard", func(s scale) string { return fmt.Sprintf("%.3f", s.reads/float64(shards)) })
	row("US$ per month on demand", func(s scale) string {
		const month = 30 * 24 * 3600
		return fmt.Sprintf("%.0f", (s.writes*millionWrites+s.reads*millionReads)*month/1e6)
	})
	row("promises broken", func(s scale) string { return strconv.Itoa(s.wrong) })
	w.Flush()
	return b.String()
}

func run(t *testing.T, title string, sys system, shards, workers int, limit time.Duration) (s scale) {
	s.title = title
	defer func() {
		// The bubble has goroutines that never end: some shutdowns of the KCL's worker.
		if reason := recover(); reason != nil {
			s.wrong++
			t.Logf("%s: %v", title, reason)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		c := newCluster(1, sys, scaleTiming, false)
		c.latency = callLatency
		s.run(c, shards, workers, limit)
		s.wrong = len(c.violations)
		for _, v := range c.violations[:min(3, len(c.violations))] {
			t.Logf("%s: %s", title, v)
		}
	})
	return s
}

func (s *scale) run(c *cluster, shards, workers int, limit time.Duration) {
	c.create(shards)
	p := newProducer(c, 1)
	producing, stopProducing := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	producers.Go(func() { p.run(producing) })

	add := func() *worker {
		w := &worker{number: len(c.workers)}
		c.mu.Lock()
		c.workers = append(c.workers, w)
		c.mu.Unlock()
		// As long as the name of a task, because it affects the size of rows.
		c.start(w, fmt.Sprintf("ip-10-0-112-%d.ap-northeast-1.compute.internal-k3x9q7zd", w.number))
		return w
	}
	remove := func(w *worker) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.workers = slices.DeleteFunc(c.workers, func(other *worker) bool { return other == w })
	}
	during := func(name string, change func()) {
		again := c.index.sentAgain()
		begun := time.Now()
		change()
		ph := phase{name: name}
		ph.balanced, ph.moved, ph.late = c.untilBalanced(begun, limit)
		ph.again = c.index.sentAgain() - again
		s.phases = append(s.phases, ph)
	}

	during("start alone", func() { add() })
	during("all others join", func() {
		for len(c.workers) < workers {
			add()
		}
	})
	before := c.dynamodb.Usage()
	const steady = time.Minute
	time.Sleep(steady)
	after := c.dynamodb.Usage()
	s.reads = (after.ReadUnits - before.ReadUnits) / steady.Seconds()
	s.writes = (after.WriteUnits - before.WriteUnits) / steady.Seconds()

	during("one joins", func() { add() })
	during("one leaves", func() {
		w := c.workers[0]
		remove(w)
		c.stop(w.process)
	})
	during("crash", func() {
		w := c.workers[0]
		remove(w)
		c.crash(w.process)
	})
	stopProducing()
	producers.Wait()
	var stops sync.WaitGroup
	for _, w := range c.workers {
		stops.Go(func() { c.stop(w.process) })
	}
	stops.Wait()
	time.Sleep(time.Minute)
}

// untilBalanced waits until the spread has been at most 1 for some time. It returns when that
// began, and when every shard was held by a running worker.
func (c *cluster) untilBalanced(begun time.Time, limit time.Duration) (balanced, held time.Duration, late bool) {
	const lasting = 5 * time.Second
	var since, heldSince time.Time
	for time.Since(begun) < limit+lasting {
		all, spread := c.spread()
		if !all {
			heldSince = time.Time{}
		} else if heldSince.IsZero() {
			heldSince = time.Now()
			if held == 0 {
				held = heldSince.Sub(begun)
			}
		}
		switch {
		case !all || spread > 1:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= lasting:
			return since.Sub(begun), held, false
		}
		time.Sleep(100 * time.Millisecond)
	}
	return limit, held, true
}

// spread is the difference between the most and the least loaded worker.
func (c *cluster) spread() (all bool, spread int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	loads := make(map[string]int)
	for _, w := range c.workers {
		loads[w.process.name] = 0
	}
	for shard := range c.topology {
		owner := c.rows[shard].owner
		if _, there := loads[owner]; !there {
			return false, 0
		}
		loads[owner]++
	}
	counts := slices.Collect(maps.Values(loads))
	return true, slices.Max(counts) - slices.Min(counts)
}
