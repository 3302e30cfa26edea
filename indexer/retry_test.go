package indexer

import (
	"testing"
	"time"
)

// Parts that are due are enqueued. Parts that may be the cause of failing requests are
// sent separately, in halves.
func TestEnqueueDue(t *testing.T) {
	f := func(name string, r retry, documents int, kept, requeued int, alone ...int) {
		t.Helper()
		d := idleDispatcher(t, nil)
		now := time.Now()
		if documents > 0 {
			p, _ := taken(d, t.Context(), 0, documents)
			r.parts = []*delayedPart{delay(p)}
		}
		r.due = now.Add(r.due.Sub(time.Time{}))
		d.retries = []retry{r}
		d.enqueueDue(now)
		if len(d.retries) != kept || d.requeued.count != requeued || len(d.isolated) != len(alone) {
			t.Errorf("%s: %d kept, %d in the queue, %d isolated batches", name, len(d.retries), d.requeued.count, len(d.isolated))
			return
		}
		for i, n := range alone {
			if batch := d.isolated[i]; len(batch) != 1 || batch[0].count() != n || !batch[0].isolated {
				t.Errorf("%s: isolated batch %d: %+v", name, i, batch)
			}
		}
	}
	later := time.Time{}.Add(time.Nanosecond)
	f("not due", retry{due: later}, 2, 1, 0)
	f("due", retry{}, 2, 0, 2)
	f("due, maybe to blame", retry{isolated: true}, 5, 0, 0, 2, 3)
	f("due, one maybe to blame", retry{isolated: true}, 1, 0, 0, 1)
	f("due, maybe to blame, all dropped", retry{isolated: true}, 0, 0, 0)
}

// When OpenSearch is reachable again, only the parts delayed because of it are due.
func TestWake(t *testing.T) {
	d := idleDispatcher(t, nil)
	now := time.Now()
	for i, away := range []bool{true, false} {
		p, _ := taken(d, t.Context(), i, 1)
		d.retries = append(d.retries, retry{due: now.Add(time.Hour), unreachable: away, parts: []*delayedPart{delay(p)}})
	}
	d.wake(now)
	if r := d.retries[0]; !r.due.Equal(now) || !r.parts[0].woken {
		t.Errorf("unreachable: due after %s, woken: %v", r.due.Sub(now), r.parts[0].woken)
	}
	if r := d.retries[1]; !r.due.Equal(now.Add(time.Hour)) || r.parts[0].woken {
		t.Errorf("refused: due after %s, woken: %v", r.due.Sub(now), r.parts[0].woken)
	}
}

// The maximum backoff doubles with each attempt, up to a bound.
func TestBackoff(t *testing.T) {
	c := Config{RetryMin: time.Second, RetryMax: 10 * time.Second}
	for attempts, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 35: 10 * time.Second, 64: 10 * time.Second, 1000: 10 * time.Second} {
		longest := time.Duration(0)
		for range 1000 {
			longest = max(longest, c.backoff(attempts))
		}
		if longest > want || longest < want*9/10 {
			t.Errorf("after %d attempts the pause is up to %s, want %s", attempts, longest, want)
		}
	}
}

// A set does not keep a resumed part in memory.
func TestResumeKeepsNothing(t *testing.T) {
	d := idleDispatcher(t, nil)
	p, _ := taken(d, t.Context(), 0, 2)
	first, second := delay(p.slice(0, 1)), delay(p.slice(1, 2))
	first.resume()
	if delayed := p.docs.delayed; len(delayed) != 1 || delayed[0] != second || second.slot != 0 || delayed[:2][1] != nil {
		t.Errorf("delayed: %v", delayed[:2])
	}
}
