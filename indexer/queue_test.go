package indexer

import (
	"fmt"
	"testing"
	"time"
)

// shardDocuments returns a set of n documents of a shard, of size bytes each.
func shardDocuments(shard string, n, size int) part {
	docs := NewDocuments(Source{Shard: shard}, 0)
	for i := range n {
		docs.Body = fmt.Appendf(docs.Body, "%0*d\n", size-1, i)
		docs.Next(i)
	}
	return part{docs: docs, to: n}
}

// A batch is full and has parts of each shard, in the shard's order.
func TestFillFromEachShard(t *testing.T) {
	f := func(name string, perPart int, size room) {
		t.Helper()
		var q queue
		at := time.Now()
		for range 500 / perPart {
			q.put(shardDocuments("behind", perPart, 100), at)
		}
		for i := range 9 {
			q.put(shardDocuments(fmt.Sprint("live", i), 3, 100), at)
		}
		last := make(map[string]int)
		for batch := 0; !q.empty(); batch++ {
			shards, bytes, count := make(map[string]int), 0, 0
			for _, p := range q.fill(nil, size) {
				shards[p.docs.source.Shard] += p.count()
				bytes += p.size()
				count += p.count()
				if from := last[p.docs.source.Shard]; p.from != from%p.docs.Len() {
					t.Fatalf("%s: %s: %d comes after %d", name, p.docs.source.Shard, p.from, from)
				}
				last[p.docs.source.Shard] += p.count()
			}
			if batch == 0 && (len(shards) != 10 || shards["live3"] != 3) {
				t.Errorf("%s: the first batch has %v", name, shards)
			}
			if bytes > size.bytes || count > size.count || bytes < size.bytes-100 && count < size.count && !q.empty() {
				t.Errorf("%s: batch %d has %d bytes, %d documents", name, batch, bytes, count)
			}
		}
		if last["behind"] != 500 || q.bytes != 0 || q.count != 0 {
			t.Errorf("%s: last documents %v, %d bytes and %d documents are left", name, last, q.bytes, q.count)
		}
	}
	f("bytes bound it", 100, room{10_000, 1000})
	f("documents bound it", 100, room{1_000_000, 100})
	f("bytes bound it, parts of one document", 1, room{10_000, 1000})
	f("documents bound it, parts of one document", 1, room{1_000_000, 100})
}

// A batch with less room than the number of shards is filled. The first document of a
// batch is always included.
func TestFillLittleRoom(t *testing.T) {
	f := func(name string, size room, want int) {
		t.Helper()
		var q queue
		for i := range 10 {
			q.put(shardDocuments(fmt.Sprint(i), 2, 100), time.Now())
		}
		taken := make(chan int, 1)
		go func() { taken <- documents(q.fill(nil, size)) }()
		select {
		case n := <-taken:
			if n != want {
				t.Errorf("%s: %d documents in the batch", name, n)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: the loop does not end", name)
		}
	}
	f("few documents", room{10_000, 3}, 3)
	f("few bytes", room{5, 1000}, 1)
	f("no bytes", room{0, 1000}, 0)
	f("no documents", room{10_000, 0}, 0)
}

// Room that a large document of another shard leaves is used.
func TestFillRemainingRoom(t *testing.T) {
	var q queue
	q.put(shardDocuments("large", 1, 900), time.Now())
	q.put(shardDocuments("small", 20, 50), time.Now())
	if n := documents(q.fill(nil, room{1000, 1000})); n != 3 {
		t.Errorf("%d documents in the batch", n)
	}
}

// The part that has waited longest is found in any shard.
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

// Documents that are sent again and fresh ones each have half of a batch if there are
// enough of both.
func TestNextBatchShares(t *testing.T) {
	d := newDispatcher(&Indexer{cfg: Config{BatchBytes: 10_000, BatchDocuments: 1000, Connections: 1}})
	f := func(name string, requeued, fresh, wantResent int) {
		t.Helper()
		d.requeued, d.fresh = queue{}, queue{}
		if requeued > 0 {
			d.requeued.put(shardDocuments("requeued", requeued, 100), time.Now())
		}
		if fresh > 0 {
			d.fresh.put(shardDocuments("fresh", fresh, 100), time.Now())
		}
		n := map[string]int{}
		for _, p := range d.nextBatch(time.Now()) {
			n[p.docs.source.Shard] += p.count()
		}
		if n["requeued"] != wantResent || n["requeued"]+n["fresh"] != min(100, requeued+fresh) {
			t.Errorf("%s: %v", name, n)
		}
	}
	f("many of both", 1000, 1000, 50)
	f("few fresh", 1000, 10, 90)
	f("few sent again", 10, 1000, 10)
	f("none fresh", 1000, 0, 100)
	f("few of both", 20, 30, 20)
}
