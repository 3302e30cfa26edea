package sim

import (
	"context"
	"slices"
	"time"
)

// progress is how far the shards are, for the promises that none stands still.
// It is part of a watch.
type progress struct {
	next   map[string]int       // by shard: the oldest record that is not settled
	moved  map[string]time.Time // by shard: since when it is that one
	stuck  map[string]bool      // shards of which that was said
	storms []trouble            // of OpenSearch, those that have passed too
	stir   time.Time            // when something was last wrong that slows shards down for good reason
	loud   time.Time            // when something of OpenSearch was last wrong that keeps documents waiting
}

const (
	watchPeriod = time.Second
	// mostWait bounds how long a record waits that nothing stands in the way of, and
	// mostEnd how long a closed shard is read to its end.
	mostWait = time.Minute
	// mostPause bounds the time between two tries of a shard that could not be read.
	mostPause = 3 * time.Minute
	mostEnd   = endOfShard + 90*time.Second
)

func newProgress() progress {
	return progress{next: make(map[string]int), moved: make(map[string]time.Time), stuck: make(map[string]bool)}
}

// watchOver checks again and again that nothing stands still.
func (c *cluster) watchOver(ctx context.Context) {
	for {
		select {
		case <-time.After(watchPeriod):
		case <-ctx.Done():
			return
		}
		c.look()
		c.lookForUnread()
	}
}

// look checks once a period that nothing stands still.
func (c *cluster) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judgeOutages(watchPeriod)
	c.judgeCalm()
	for shard := range c.topology {
		if !c.foreign && !c.stuck[shard] {
			c.stuck[shard] = c.waits(shard) || c.endless(shard)
		}
	}
}

// judgeCalm notes whether anything slows shards down that is not an index, and
// whether documents may wait longer than their time.
func (c *cluster) judgeCalm() {
	if c.stir.After(time.Now()) {
		return
	}
	for _, w := range c.workers {
		if w.down || w.life.failed.Load() {
			c.stir = time.Now()
		}
	}
	for _, t := range c.trouble {
		switch {
		case t.what.refusesReads() && time.Since(t.until) < mostPause:
			c.stir = time.Now()
		case !t.active():
		case !t.what.ofOpenSearch(), t.what == failOpenSearch, t.what == silentOpenSearch:
			c.stir = time.Now()
		case t.what == floodStage, t.what == blockAll, t.what == refuseLetters:
			c.loud = time.Now()
		}
	}
}

// waits reports whether a shard stands still for nothing of its own: nothing is
// wrong with its oldest record that has no outcome.
func (c *cluster) waits(shard string) bool {
	records := c.records[shard]
	n := c.next[shard]
	for n < len(records) && c.unsettled(records[n]) == "" {
		n++
	}
	if n != c.next[shard] {
		c.next[shard], c.moved[shard] = n, time.Now()
	}
	for _, parent := range c.topology[shard] {
		if !c.isFinished(parent, c.rows[parent]) && c.isListed(parent) {
			c.moved[shard] = time.Now() // it may not be read yet
		}
	}
	if n == len(records) || c.troubled(records[n]) {
		return false
	}
	r := records[n]
	for _, since := range []time.Time{r.put, c.stir, c.moved[shard], c.leased[shard]} {
		if time.Since(since) <= mostWait {
			return false
		}
	}
	c.violated(noWait, "%s stands still at %s, which nothing is wrong with and was put at %s", shard, r.number, r.put.Sub(c.begun))
	return true
}

// troubled reports whether OpenSearch may have refused something of a record.
func (c *cluster) troubled(r record) bool {
	return slices.ContainsFunc(c.storms, func(t trouble) bool {
		if !t.forever && t.until.Before(r.put.Add(-probePeriod-unsure)) {
			return false
		}
		if t.what == refuseLetters && r.poison {
			return true
		}
		return slices.ContainsFunc(r.documents, func(document string) bool {
			index, id, _ := cut(document)
			return t.what == refuseLetters && refused(id) || c.refuses(t, item{index: index, id: id}) != nil
		})
	})
}

// endless reports whether a closed shard is not read to its end, though nothing
// but refused documents is in the way.
func (c *cluster) endless(shard string) bool {
	closed, ok := c.closed[shard]
	row := c.rows[shard]
	if !ok || c.isFinished(shard, row) || !c.isListed(shard) || len(c.unfinished(shard)) > 0 {
		return false
	}
	times := []time.Time{closed, c.stir, c.loud, c.leased[shard]}
	for _, parent := range c.topology[shard] {
		times = append(times, c.leased[parent])
	}
	if s := c.senders[c.holders[shard]]; s != nil {
		times = append(times, s.possible)
	}
	for _, since := range times {
		if time.Since(since) <= mostEnd {
			return false
		}
	}
	c.violated(childrenRead, "%s was closed at %s and is not finished: its children are not read: %+v", shard, closed.Sub(c.begun), row)
	return true
}
