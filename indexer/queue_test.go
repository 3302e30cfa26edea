package indexer

import (
	"fmt"
	"testing"
	"time"
)

// shardDocuments is a set of n documents of a shard, of size bytes each.
func shardDocuments(shard string, n, size int) part {
	docs := NewDocuments(Source{Shard: shard}, 0)
	for i := range n {
		docs.Body = fmt.Appendf(docs.Body, "%0*d\n", size-1, i)
		docs.Next(i)
	}
	return part{docs: docs, to: n}
}

// A batch has something of each shard, in the shard's order, and is full.
func TestQueueTakesFromEachShard(t *testing.T) {
	var q queue
	at := time.Now()
	for range 5 {
		q.put(shardDocuments("behind", 100, 100), at)
	}
	for i := range 9 {
		q.put(shardDocuments(fmt.Sprint("live", i), 3, 100), at)
	}
	last := make(map[string]int)
	for batch := 0; !q.empty(); batch++ {
		shards, bytes := make(map[string]int), 0
		for _, p := range q.take(nil, room{10_000, 1000}) {
			shards[p.docs.source.Shard] += p.count()
			bytes += p.size()
			if from := last[p.docs.source.Shard]; p.from != from%100 {
				t.Fatalf("%s: %d comes after %d", p.docs.source.Shard, p.from, from)
			}
			last[p.docs.source.Shard] += p.count()
		}
		if batch == 0 && (len(shards) != 10 || shards["live3"] != 3) {
			t.Errorf("the first batch has %v", shards)
		}
		if bytes > 10_000 || bytes < 9_900 && !q.empty() {
			t.Errorf("batch %d has %d bytes", batch, bytes)
		}
	}
	if last["behind"] != 500 || q.bytes != 0 || q.count != 0 {
		t.Errorf("%v documents were taken, %d bytes and %d documents are left", last, q.bytes, q.count)
	}
}

// The part that has waited longest is found in whichever shard it is.
func TestOldestOfQueue(t *testing.T) {
	var q queue
	at := time.Now()
	for i, age := range []int{1, 3, 2} {
		q.put(shardDocuments(fmt.Sprint(i), 1, 100), at.Add(-time.Duration(age)*time.Second))
	}
	if got := at.Sub(q.oldest()); got != 3*time.Second {
		t.Errorf("the oldest has waited %s", got)
	}
}

// What is sent again and what is sent for the first time have half of a batch each
// when there is enough of both.
func TestForms_Share(t *testing.T) {
	d := newDispatcher(&Indexer{cfg: Config{BatchBytes: 10_000, BatchDocuments: 1000, Connections: 1}})
	f := func(name string, resent, fresh, wantResent int) {
		t.Helper()
		d.resent, d.fresh = queue{}, queue{}
		if resent > 0 {
			d.resent.put(shardDocuments("resent", resent, 100), time.Now())
		}
		if fresh > 0 {
			d.fresh.put(shardDocuments("fresh", fresh, 100), time.Now())
		}
		n := map[string]int{}
		for _, p := range d.take(time.Now()) {
			n[p.docs.source.Shard] += p.count()
		}
		if n["resent"] != wantResent || n["resent"]+n["fresh"] != min(100, resent+fresh) {
			t.Errorf("%s: %v", name, n)
		}
	}
	f("much of both", 1000, 1000, 50)
	f("little that is fresh", 1000, 10, 90)
	f("little that is sent again", 10, 1000, 10)
	f("nothing fresh", 1000, 0, 100)
	f("little of both", 20, 30, 20)
}
