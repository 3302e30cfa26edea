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

// unread is what is known of the shards that are not read, for the promise that each is
// read or reported. It is part of a watch.
type unread struct {
	readAt map[string]time.Time // by shard: the last read that Kinesis answered, or the creation
	// reported is, by shard, the last line that says that it is not read; under "" the
	// last of a worker that has not begun, and knows of no shard.
	reported map[string]time.Time
	created  map[string]time.Time // by shard
	listed   time.Time            // the last listing of the shards that Kinesis answered
	upset    time.Time            // when anything was last wrong but the reads
}

// mostUnreported bounds how long a shard that is not read goes without a line, beyond
// checkpoint.UnreadAfter.
const mostUnreported = 2 * time.Minute

func newUnread() unread {
	return unread{readAt: make(map[string]time.Time), reported: make(map[string]time.Time), created: make(map[string]time.Time)}
}

// answers notes a call that Kinesis answers. c.mu must be held.
func (c *cluster) answers(l *life, operation, shard string) {
	switch operation {
	case "GetRecords":
		c.readAt[shard] = time.Now()
	case "ListShards":
		c.listed = time.Now()
		if !l.listed.After(c.createdAgain) {
			l.listed = time.Now()
		}
	}
}

var logUnread = [][]byte{[]byte(`"message":"shard is not read"`), []byte(`"message":"shard cannot be read"`), []byte(`"message":"cannot open the lease table or list the shards`), []byte(`"message":"cannot use the stream yet`), []byte(`"message":"cannot use the lease table yet`)}

// unreadLogged finds the lines that say that a shard is not read.
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

// lookForUnread checks once a period that each shard that is not read is reported: by a
// line, by a worker that is not ready, and by its lag, unless no worker has begun.
func (c *cluster) lookForUnread() {
	c.mu.Lock()
	due := c.dueForReport()
	var lives []*life
	for _, w := range c.workers {
		lives = append(lives, w.life)
	}
	for _, shard := range due {
		if time.Since(later(c.reported[shard], c.reported[""])) > checkpoint.UnreadAfter+mostUnreported {
			c.stuck[shard] = true
			c.violated(readOrTold, "%s has not been read since %s, and no line says so", shard, c.readAt[shard].Sub(c.begun))
		}
	}
	c.mu.Unlock()
	// The workers log while they hold what their metrics need.
	for _, shard := range due {
		most, begun, ready := time.Duration(0), false, true
		for _, l := range lives {
			lag, any := lagOf(l, shard)
			most, begun = max(most, lag), begun || any
			ready = ready && l.consumer.Ready(context.Background()) == nil
		}
		if begun && most < checkpoint.UnreadAfter || ready {
			c.violation(readOrTold, "%s is not read, its lag is %s, and all workers are ready: %v", shard, most, ready)
		}
	}
}

// dueForReport are the shards that no worker has read for long, though nothing but reads
// was wrong. c.mu must be held.
func (c *cluster) dueForReport() (due []string) {
	if c.foreign || c.stir.After(time.Now()) {
		return nil
	}
	for _, w := range c.workers {
		if w.down || w.life.failed.Load() {
			c.upset = time.Now()
		}
	}
	for _, t := range c.trouble {
		switch {
		case !t.what.refusesReads() && t.active() && !t.forever:
			c.upset = time.Now()
		case t.what.refusesReads() && !t.active() && time.Since(t.until) < mostPause:
			return nil // what can be read again is read soon
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(c.topology)) {
		if c.isFinished(shard, c.rows[shard]) || !c.isListed(shard) || c.listed.Before(c.created[shard]) || len(c.unfinished(shard)) > 0 {
			c.readAt[shard] = time.Now() // it is not there to be read, as far as is known
			continue
		}
		records, n := c.records[shard], c.next[shard]
		waits := n < len(records) && c.troubled(records[n])
		since := slices.MaxFunc([]time.Time{c.readAt[shard], c.upset, c.byHand[shard]}, time.Time.Compare)
		if !waits && !c.stuck[shard] && time.Since(since) > checkpoint.UnreadAfter+mostUnreported {
			due = append(due, shard)
		}
	}
	return due
}

// lagOf is the lag of a shard as a process shows it, 0 if it shows none, and whether it
// shows that of any.
func lagOf(l *life, shard string) (lag time.Duration, any bool) {
	families, err := l.lag.Gather()
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
