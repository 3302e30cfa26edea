package sim

import (
	"context"
	"slices"
	"time"
)

// progress records the progress of shards, for the promises that every shard makes progress. It
// is part of a watch.
type progress struct {
	next            map[string]int       // by shard: the oldest record without an outcome
	moved           map[string]time.Time // by shard: since when that record is the oldest one
	stuck           map[string]bool      // shards that were reported
	searchTroubles  []trouble            // all troubles of OpenSearch, including past ones
	slowedAt        time.Time            // when there was last a trouble that may slow shards down
	searchTroubleAt time.Time            // when there was last a trouble of OpenSearch that keeps documents waiting
}

const (
	watchPeriod = time.Second
	// mostWait is the maximum wait of a record without a reason, and mostEnd the maximum time
	// until a closed shard is read to its end.
	mostWait = time.Minute
	// mostPause is the maximum time between two tries of a shard that could not be read.
	mostPause = 3 * time.Minute
	mostEnd   = endOfShard + 90*time.Second
)

func newProgress() progress {
	return progress{next: make(map[string]int), moved: make(map[string]time.Time), stuck: make(map[string]bool)}
}

// monitor checks periodically that every shard makes progress.
func (c *cluster) monitor(ctx context.Context) {
	for {
		select {
		case <-time.After(watchPeriod):
		case <-ctx.Done():
			return
		}
		c.checkProgress()
		c.checkUnread()
	}
}

// checkProgress checks once per period that every shard makes progress.
func (c *cluster) checkProgress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updateOutages(watchPeriod)
	c.updateTroubleTimes()
	for shard := range c.topology {
		if !c.byKCL && !c.stuck[shard] {
			c.stuck[shard] = c.isStuck(shard) || c.isNeverFinished(shard)
		}
	}
}

// updateTroubleTimes records whether anything other than an index slows shards down, and whether
// documents may wait longer than usual.
func (c *cluster) updateTroubleTimes() {
	if c.slowedAt.After(time.Now()) {
		return
	}
	for _, w := range c.workers {
		if w.down || w.process.failed.Load() {
			c.slowedAt = time.Now()
		}
	}
	for _, t := range c.trouble {
		switch {
		case kinds[t.what].refusesReads && time.Since(t.until) < mostPause:
			c.slowedAt = time.Now()
		case !t.active():
		case !kinds[t.what].ofOpenSearch, t.what == failOpenSearch, t.what == silentOpenSearch:
			c.slowedAt = time.Now()
		case t.what == floodStage, t.what == blockAll, t.what == refuseLetters:
			c.searchTroubleAt = time.Now()
		}
	}
}

// isStuck reports whether a shard makes no progress although OpenSearch has rejected nothing of
// its oldest record without an outcome.
func (c *cluster) isStuck(shard string) bool {
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
			c.moved[shard] = time.Now() // it must not be read yet
		}
	}
	if n == len(records) || c.troubled(records[n]) {
		return false
	}
	r := records[n]
	for _, since := range []time.Time{r.put, c.slowedAt, c.moved[shard], c.leased[shard]} {
		if time.Since(since) <= mostWait {
			return false
		}
	}
	c.violated(noWait, "%s makes no progress at %s, which was not rejected and was put at %s", shard, r.number, r.put.Sub(c.begun))
	return true
}

// troubled reports whether OpenSearch may have rejected a document of a record.
func (c *cluster) troubled(r record) bool {
	return slices.ContainsFunc(c.searchTroubles, func(t trouble) bool {
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

// isNeverFinished reports whether a closed shard is not read to its end although only rejected
// documents could delay it.
func (c *cluster) isNeverFinished(shard string) bool {
	closed, ok := c.closed[shard]
	row := c.rows[shard]
	if !ok || c.isFinished(shard, row) || !c.isListed(shard) || len(c.unfinished(shard)) > 0 {
		return false
	}
	times := []time.Time{closed, c.slowedAt, c.searchTroubleAt, c.leased[shard]}
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
	c.violated(childrenRead, "%s was closed at %s and is not finished, so its children are not read: %+v", shard, closed.Sub(c.begun), row)
	return true
}
