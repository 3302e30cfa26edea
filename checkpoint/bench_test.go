package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The decisions of a worker after a scan, for 1,000 shards and 50 workers.
func BenchmarkDecisions(b *testing.B) {
	table, err := New(Config{Table: "leases", Worker: "w00", LeaseDuration: time.Hour}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	var shards []Shard
	rows := make(map[string]row)
	for i := range 1000 {
		s := Shard{ID: fmt.Sprintf("shardId-%012d", i), First: "1"}
		shards = append(shards, s)
		rows[s.ID] = row{owner: fmt.Sprintf("w%02d", i%50), epoch: 1, counter: 1, first: "1", checkpoint: "7"}
	}
	b.ReportAllocs()
	for b.Loop() {
		table.observe(shards, rows, time.Now(), time.Now())
		table.mu.Lock()
		snap := table.snapshotLocked()
		free, _ := snap.acquirable()
		plan := snap.plan(rand.Shuffle)
		table.mu.Unlock()
		if len(free)+len(plan) > 0 {
			b.Fatalf("free %v, claims %v", free, plan)
		}
		table.ReadStatuses()
	}
}
