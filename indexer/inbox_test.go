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
		case <-b.bell:
			if !want {
				t.Errorf("%s: woken", name)
			}
		default:
			if want {
				t.Errorf("%s: not woken", name)
			}
		}
		n := 0
		b.take(func(p part, at time.Time) {
			if n += p.to - p.from; at.IsZero() {
				t.Errorf("%s: came in at no time", name)
			}
		})
		if n != 3 || b.amount != anything || len(b.parts) > 0 || b.parts[:1][0].docs != nil {
			t.Errorf("%s: %d documents were taken, %+v is left", name, n, b.amount)
		}
	}
	wait := func(enough amount) func(*inbox) {
		return func(b *inbox) {
			b.wait(enough)
			b.put(three)
		}
	}
	f("for anything", true, wait(anything))
	f("for documents", true, wait(amount{1000, 3}))
	f("for bytes", true, wait(amount{300, 10}))
	f("for more", false, wait(amount{301, 4}))
	f("for nothing", false, wait(never))
	f("for what was there before", true, func(b *inbox) {
		wait(never)(b)
		b.wait(amount{300, 10})
	})
	f("for more than was there before", false, func(b *inbox) {
		wait(never)(b)
		b.wait(amount{301, 4})
	})
	b := newInbox()
	b.wait(anything)
	select {
	case <-b.bell:
		t.Error("woken for nothing")
	default:
	}
	b.wait(never)
	b.put(part{docs: docs, form: &form{kind: letter, keep: largeForm}, to: 1})
	select {
	case <-b.bell:
	default:
		t.Error("not woken for a large form, which goes beside the others")
	}
}
