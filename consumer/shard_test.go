package consumer

import (
	"testing"
	"testing/synctest"
	"time"

	"logsluice/checkpoint"
)

// A shard is forgotten when its state is no longer relevant.
func TestShardsAreForgotten(t *testing.T) {
	f := func(name string, know func(all *shards), from, to time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all, lease := new(shards), &checkpoint.Lease{}
				statuses := []checkpoint.ReadStatus{{Shard: "one", Lease: lease}, {Shard: "two"}}
				b := newLagCollector(all, func() []checkpoint.ReadStatus { return statuses })
				know(all)
				isKnown := func() bool {
					b.states()
					return len(all.byID) == 1
				}
				time.Sleep(from)
				if !isKnown() {
					t.Errorf("forgotten after %s", from)
				}
				time.Sleep(to - from)
				statuses[0].Lease = nil
				all.expectNoReader("one")
				all.mu.Lock()
				all.ofLocked("one").reader = nil
				all.mu.Unlock()
				if isKnown() {
					t.Errorf("known after %s", to)
				}
			})
		})
	}
	f("read", func(all *shards) { all.answered("one", nil, 0); all.ofLocked("one").reader = &reader{} }, time.Hour, time.Hour)
	f("held", func(all *shards) { all.expectReader("one") }, time.Hour, time.Hour)
	f("parked", func(all *shards) { (&stream{shards: all}).park("one") }, parkedFor-time.Second, parkedFor)
	f("logged as unread", func(all *shards) {
		if !all.logUnread("one") || all.logUnread("one") {
			t.Error("it is logged twice")
		}
	}, checkpoint.UnreadAfter-time.Second, checkpoint.UnreadAfter)
}

// The lag from an answer is valid only under the same lease.
func TestLagOfAnEndedLease(t *testing.T) {
	all, lease := new(shards), &checkpoint.Lease{}
	statuses := []checkpoint.ReadStatus{{Shard: "one", Lease: lease, Lag: time.Hour}}
	b := newLagCollector(all, func() []checkpoint.ReadStatus { return statuses })
	all.expectReader("one") // it has acquired the lease again
	all.answered("one", lease, time.Minute)
	if got := b.states()[0].Lag; got != time.Minute {
		t.Errorf("the lag is %s", got)
	}
	statuses[0].Lease = &checkpoint.Lease{}
	if got := b.states()[0].Lag; got != time.Hour || all.byID["one"].lag.lease != nil || all.byID["one"].activity == nil {
		t.Errorf("the lag is %s, of the shard there is %+v", got, all.byID["one"])
	}
}
