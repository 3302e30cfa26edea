package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/checkpoint"
)

// unread records the state of unread shards, for the promise that each shard is read or
// reported. It is part of a watch.
type unread struct {
	readAt map[string]time.Time // by shard: the last read that Kinesis answered, or the creation
	// reported is, by shard, the time of the last line that reports it as unread. The line of a
	// worker that has not begun, and knows no shard, is under "".
	reported       map[string]time.Time
	created        map[string]time.Time // by shard
	listed         time.Time            // the last successful listing of the shards
	otherTroubleAt time.Time            // when there was last a trouble other than failing reads
}

// mostUnreported bounds the time after checkpoint.UnreadAfter until an unread shard is reported.
const mostUnreported = 2 * time.Minute

func newUnread() unread {
	return unread{readAt: make(map[string]time.Time), reported: make(map[string]time.Time), created: make(map[string]time.Time)}
}

// answers records a call that Kinesis answers. c.mu must be held.
func (c *cluster) answers(p *process, operation, shard string) {
	switch operation {
	case "GetRecords":
		c.readAt[shard] = time.Now()
	case "ListShards":
		c.listed = time.Now()
		if !p.listed.After(c.createdAgain) {
			p.listed = time.Now()
		}
	}
}

var logUnread = [][]byte{[]byte(`"message":"shard is not read"`), []byte(`"message":"shard cannot be read"`), []byte(`"message":"cannot open the lease table or list the shards`), []byte(`"message":"cannot use the stream yet`), []byte(`"message":"cannot use the lease table yet`)}

// unreadLogged records log lines that report a shard as unread.
func (c *cluster) unreadLogged(text []byte) {
	if !slices.ContainsFunc(logUnread, func(message []byte) bool { return bytes.Contains(text, message) }) {
		return
	}
	var fields struct{ Shard string }
	must(json.Unmarshal(text, &fields))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reported[fields.Shard] = time.Now()
}

// checkUnread checks once per period that each unread shard is reported: by a log line, by a
// worker that is not ready, and by its lag, unless no worker has begun.
func (c *cluster) checkUnread() {
	c.mu.Lock()
	due := c.dueForReport()
	var processes []*process
	for _, w := range c.workers {
		processes = append(processes, w.process)
	}
	for _, shard := range due {
		if time.Since(later(c.reported[shard], c.reported[""])) > checkpoint.UnreadAfter+mostUnreported {
			c.stuck[shard] = true
			c.violated(readOrReported, "%s has not been read since %s, and no log line reports it", shard, c.readAt[shard].Sub(c.begun))
		}
	}
	c.mu.Unlock()
	// The workers log while they hold locks that their metrics need.
	for _, shard := range due {
		most, begun, ready := time.Duration(0), false, true
		for _, p := range processes {
			lag, any := lagOf(p, shard)
			most, begun = max(most, lag), begun || any
			ready = ready && p.consumer.Ready(context.Background()) == nil
		}
		if begun && most < checkpoint.UnreadAfter || ready {
			c.violation(readOrReported, "%s is not read, its lag is %s, and all workers are ready: %v", shard, most, ready)
		}
	}
}

// dueForReport returns the shards that no worker has read for a long time although only reads
// failed. c.mu must be held.
func (c *cluster) dueForReport() (due []string) {
	if c.byKCL || c.slowedAt.After(time.Now()) {
		return nil
	}
	for _, w := range c.workers {
		if w.down || w.process.failed.Load() {
			c.otherTroubleAt = time.Now()
		}
	}
	for _, t := range c.trouble {
		switch {
		case !kinds[t.what].refusesReads && t.active() && !t.forever:
			c.otherTroubleAt = time.Now()
		case kinds[t.what].refusesReads && !t.active() && time.Since(t.until) < mostPause:
			return nil // shards that can be read again are read soon
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(c.topology)) {
		if c.isFinished(shard, c.rows[shard]) || !c.isListed(shard) || c.listed.Before(c.created[shard]) || len(c.unfinished(shard)) > 0 {
			c.readAt[shard] = time.Now() // as far as is known, it must not be read yet
			continue
		}
		records, n := c.records[shard], c.next[shard]
		waits := n < len(records) && c.troubled(records[n])
		since := slices.MaxFunc([]time.Time{c.readAt[shard], c.otherTroubleAt, c.byHand[shard]}, time.Time.Compare)
		if !waits && !c.stuck[shard] && time.Since(since) > checkpoint.UnreadAfter+mostUnreported {
			due = append(due, shard)
		}
	}
	return due
}

// lagOf returns the lag of a shard in a process's metrics, 0 if it has none, and whether the
// metrics have the lag of any shard.
func lagOf(p *process, shard string) (lag time.Duration, any bool) {
	families, err := p.lag.Gather()
	must(err)
	for _, family := range families {
		if family.GetName() != prometheus.BuildFQName("logsluice", "", "lag_seconds") {
			continue
		}
		for _, m := range family.GetMetric() {
			any = true
			if m.GetLabel()[0].GetValue() == shard {
				lag = time.Duration(m.GetGauge().GetValue() * float64(time.Second))
			}
		}
	}
	return lag, any
}
