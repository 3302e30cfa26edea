package consumer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/checkpoint"
)

// The lag of a shard without new answers grows with time. For a shard that never had an answer
// the lease table is used, unless another worker reads it.
func TestLagCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLagCollector(new(shards), nil)
		mine, other := new(checkpoint.Lease), new(checkpoint.Lease)
		f := func(unread int, statuses []checkpoint.ReadStatus, want ...string) {
			t.Helper()
			b.statuses = func() []checkpoint.ReadStatus { return statuses }
			text := ""
			if len(want) > 0 {
				text = "# HELP logsluice_lag_seconds How far reading is behind the tip of a shard that this worker reads or that no worker reads.\n# TYPE logsluice_lag_seconds gauge\n" + strings.Join(want, "\n") + "\n"
			}
			text += "# HELP logsluice_shards_unread Shards that no worker reads: they have no living owner, or their reading fails.\n# TYPE logsluice_shards_unread gauge\n"
			text += fmt.Sprintf("logsluice_shards_unread %d\n", unread)
			if err := testutil.CollectAndCompare(b, strings.NewReader(text)); err != nil {
				t.Error(err)
			}
		}
		type statuses = []checkpoint.ReadStatus
		f(0, nil)
		f(3, statuses{
			{Shard: "s1", Lag: time.Hour}, {Shard: "s2", Lag: time.Minute, WaitsForParent: true},
			{Shard: "s3", Lag: time.Second, HeldByOther: true}, {Shard: "s4", Lag: 2 * time.Second},
			{Shard: "s5", Lag: 3 * time.Second, Failing: true, Lease: mine},
		}, `logsluice_lag_seconds{shard="s1"} 3600`, `logsluice_lag_seconds{shard="s2"} 60`, `logsluice_lag_seconds{shard="s4"} 2`, `logsluice_lag_seconds{shard="s5"} 3`)

		held := statuses{{Shard: "s1", Lag: 5 * time.Hour, Lease: mine}, {Shard: "s2", Lease: mine, Lag: time.Hour}}
		b.shards.setWatermark("s1", mine, nil)
		f(0, held, `logsluice_lag_seconds{shard="s1"} 18000`, `logsluice_lag_seconds{shard="s2"} 3600`) // before the first answers
		b.shards.answered("s1", mine, 1500*time.Millisecond)
		b.shards.answered("s2", mine, 0)
		f(0, held, `logsluice_lag_seconds{shard="s1"} 1.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		time.Sleep(betweenAnswers)
		b.shards.answered("s2", mine, 0)
		f(0, held, `logsluice_lag_seconds{shard="s1"} 1.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		time.Sleep(time.Second)
		f(0, held, `logsluice_lag_seconds{shard="s1"} 7.5`, `logsluice_lag_seconds{shard="s2"} 0`)
		held[0].Lease = other // released and acquired again
		f(0, held, `logsluice_lag_seconds{shard="s1"} 18000`, `logsluice_lag_seconds{shard="s2"} 0`)
		if len(b.shards.byID) != 1 {
			t.Errorf("shards whose leases have ended are kept: %v", b.shards.byID)
		}
		time.Sleep(time.Minute)
		f(0, held[1:], `logsluice_lag_seconds{shard="s2"} 61`)
	})
}

// The state of a lease that is acquired during a collection is kept.
func TestLeaseAcquiredDuringCollection(t *testing.T) {
	all, lease, marks := new(shards), &checkpoint.Lease{}, newWatermark(func(string) {})
	b := newLagCollector(all, func() []checkpoint.ReadStatus {
		all.setWatermark("s", lease, marks)
		return nil
	})
	if b.states(); all.answered("s", lease, 0) != marks {
		t.Error("the watermark is forgotten")
	}
	b.statuses = func() []checkpoint.ReadStatus { return nil }
	if b.states(); all.answered("s", lease, 0) != nil {
		t.Error("the watermark of a lease that has ended is kept")
	}
}

// The watermark of an earlier lease is not returned.
func TestMarksOfAnotherLease(t *testing.T) {
	all := new(shards)
	earlier, lease, marks := &checkpoint.Lease{}, &checkpoint.Lease{}, newWatermark(func(string) {})
	all.setWatermark("s", earlier, marks)
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.marksOfLocked("s", earlier) != marks || all.marksOfLocked("s", lease) != nil || all.marksOfLocked("other", lease) != nil {
		t.Error("the watermark of another lease is returned")
	}
}
