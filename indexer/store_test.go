package indexer

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
)

// keptStore records the arguments of Put.
type keptStore struct {
	err     error
	bounded bool
	at      []time.Time
	lines   []int
}

func (s *keptStore) Put(ctx context.Context, at time.Time, _ string, lines []byte) error {
	_, s.bounded = ctx.Deadline()
	s.at, s.lines = append(s.at, at), append(s.lines, bytes.Count(lines, []byte{'\n'}))
	return s.err
}

var _ Store = (*deadletter.S3)(nil)

// drainStore makes the dispatcher store the waiting letters, as its loop would.
func drainStore(d *dispatcher) {
	for {
		d.store(time.Now())
		if !d.storing.running {
			return
		}
		d.handleStoreResult(<-d.ix.results)
	}
}

// Objects of the store are bounded and written one after the other.
func TestStoreBounds(t *testing.T) {
	f := func(name string, size int, letters int, want ...int) {
		t.Helper()
		store := &keptStore{}
		d := idleDispatcher(t, func(c *Config) { c.Store = store })
		arrived := time.UnixMilli(1_700_000_000_000).UTC()
		for i := range letters {
			docs := NewDeadLetter(Record{Source: Source{Shard: "shard", Arrived: arrived.Add(-time.Duration(i) * time.Second)}}, deadletter.StageParse, errors.New("story"), bytes.Repeat([]byte{'x'}, size))
			docs.group = &putGroup{ctx: t.Context(), pending: 1, done: func(bool) {}}
			docs.pending, docs.bytes = 1, len(docs.Body)
			d.storeLater(part{docs: docs, to: 1, fallback: docs.fallback})
		}
		d.store(time.Now())
		if d.store(time.Now()); len(d.storing.parts) != letters-want[0] {
			t.Errorf("%s: %d wait while the first %d are being stored", name, len(d.storing.parts), want[0])
		}
		d.handleStoreResult(<-d.ix.results)
		drainStore(d)
		if len(store.lines) != len(want) {
			t.Fatalf("%s: objects of %v letters, want %v", name, store.lines, want)
		}
		for i, n := range want {
			if store.lines[i] != n {
				t.Errorf("%s: objects of %v letters, want %v", name, store.lines, want)
			}
		}
		if first := store.at[0]; !first.Equal(arrived.Add(-time.Duration(want[0]-1) * time.Second)) {
			t.Errorf("%s: the first object has the time %s", name, first)
		}
		if !store.bounded {
			t.Errorf("%s: a call without a deadline", name)
		}
	}
	f("few", 10, 5, 5)
	f("many", 10, storeLetters+5, storeLetters, 5)
	f("large", storeBytes/3, 2, 1, 1) // in base64 or escaped, each may take twice its size
	f("larger than an object", storeBytes, 2, 1, 1)
}

// Dead letters of a shard that another worker has are not stored again.
func TestStoreCanceled(t *testing.T) {
	store := &keptStore{err: errors.New("story")}
	d := idleDispatcher(t, func(c *Config) { c.Store = store })
	d.targets["app-dead-letter"] = &target{name: "app-dead-letter", letters: true, givenUp: true, probeDue: time.Now().Add(time.Hour)}
	ctx, cancel := context.WithCancel(t.Context())
	p, outcomes := taken(d, ctx, 0, 2)
	d.storeLater(p.slice(0, 1).letter(deadletter.StageIndex, 400, noOutcome))
	d.finish(p.slice(1, 2))
	d.store(time.Now())
	cancel()
	d.handleStoreResult(<-d.ix.results)
	if len(d.storing.parts) > 0 || len(*outcomes) != 1 || (*outcomes)[0] {
		t.Errorf("%d wait, outcomes %v", len(d.storing.parts), *outcomes)
	}
	p, _ = taken(d, t.Context(), 10, 2)
	letter := p.slice(0, 1).letter(deadletter.StageIndex, 400, noOutcome)
	d.finish(p.slice(1, 2))
	body := p.docs
	d.storeLater(letter)
	if d.storing.parts[0].docs == body {
		t.Error("a letter that waits for the store keeps its record's memory")
	}
}
