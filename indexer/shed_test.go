package indexer

import (
	"context"
	"testing"
	"time"
)

// A shard is shed once, by the function registered last, and its documents are dropped.
func TestShed(t *testing.T) {
	d := idleDispatcher(t, func(c *Config) { c.InFlightBytes = 1000 })
	ctx, cancel := context.WithCancel(t.Context())
	p, outcomes := taken(d, ctx, 0, 1)
	d.retries = []retry{{due: time.Now().Add(time.Hour), parts: []*delayedPart{delay(p)}}}
	shard, calls := p.docs.source.Shard, 0
	forget := d.ix.OnShed(shard, func() { t.Error("the function registered first is called") })
	d.ix.OnShed(shard, func() { calls++; cancel() })
	forget() // the previous reader ended late
	d.ix.budget.add("unwatched", 600)
	d.shed()
	if calls > 0 {
		t.Fatal("shed while not too much waits")
	}
	for _, s := range []string{shard, "unwatched"} {
		d.ix.budget.addWaiting(s, 600)
	}
	d.shed()
	d.ix.budget.addWaiting("unwatched", 1)
	d.shed()
	if calls != 1 || len(*outcomes) != 1 || (*outcomes)[0] || len(d.retries[0].parts) > 0 {
		t.Errorf("%d calls, outcomes %v, %d parts are kept", calls, *outcomes, len(d.retries[0].parts))
	}
}
