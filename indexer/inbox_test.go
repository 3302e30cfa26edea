package indexer

import (
	"testing"
	"time"
)

// The dispatcher is woken when there is enough, and only then.
func TestInboxWakes(t *testing.T) {
	docs := &Documents{Body: make([]byte, 300)}
	for end := 100; end <= 300; end += 100 {
		docs.ends = append(docs.ends, document{end: end})
	}
	three := part{docs: docs, to: 3}
	f := func(name string, want bool, do func(b *inbox)) {
		t.Helper()
		b := newInbox()
		do(b)
		select {
		case <-b.wakeup:
			if !want {
				t.Errorf("%s: woken", name)
			}
		default:
			if want {
				t.Errorf("%s: not woken", name)
			}
		}
		n := 0
		b.drain(func(p part, at time.Time) {
			if n += p.to - p.from; at.IsZero() {
				t.Errorf("%s: has no arrival time", name)
			}
		})
		if n != 3 || b.amount != anything || len(b.parts) > 0 || b.parts[:1][0].docs != nil {
			t.Errorf("%s: %d documents were fetched, %+v is left", name, n, b.amount)
		}
	}
	wait := func(enough amount) func(*inbox) {
		return func(b *inbox) {
			b.wakeAt(enough)
			b.put(three)
		}
	}
	f("for anything", true, wait(anything))
	f("for documents", true, wait(amount{1000, 3}))
	f("for bytes", true, wait(amount{300, 10}))
	f("for more", false, wait(amount{301, 4}))
	f("for nothing", false, wait(never))
	f("for documents that arrived before", true, func(b *inbox) {
		wait(never)(b)
		b.wakeAt(amount{300, 10})
	})
	f("for more than arrived before", false, func(b *inbox) {
		wait(never)(b)
		b.wakeAt(amount{301, 4})
	})
	b := newInbox()
	b.wakeAt(anything)
	select {
	case <-b.wakeup:
		t.Error("woken without documents")
	default:
	}
	b.wakeAt(never)
	b.put(part{docs: docs, fallback: &fallback{kind: letterFallback, keep: largeFallbackSize}, to: 1})
	select {
	case <-b.wakeup:
	default:
		t.Error("not woken for a large fallback, which is sent separately")
	}
}
