package sim

import (
	"testing"
	"time"
)

// A stream that is deleted and created again is read from its beginning: while a
// worker runs, and when it starts later.
func TestStreamCreatedAgain(t *testing.T) {
	for name, running := range map[string]bool{"under a worker": true, "between two workers": false} {
		t.Run(name, func(t *testing.T) {
			newScene(t, storyTiming, 1, func(s scene) {
				s.during(5*time.Second, 0)
				s.split(0)
				s.during(10*time.Second, 0, 1)
				time.Sleep(20 * time.Second)
				w := s.workers[0]
				if !running {
					s.stop(w.life)
				}
				s.createAgain()
				s.during(10*time.Second, 0)
				s.split(0) // there are shards of the old ids, finished ones too
				s.during(10*time.Second, 0, 1)
				if !running {
					s.start(w, "w0-again")
				}
				time.Sleep(mostWait)
				if n := s.missing(time.Now()); n > 0 {
					t.Errorf("%d records are not read", n)
				}
			})
		})
	}
}

// A lease table that is deleted under running workers loses nothing.
func TestTableDeleted(t *testing.T) {
	newScene(t, storyTiming, 2, func(s scene) {
		s.during(10*time.Second, 0, 1)
		s.deleteTable()
		s.during(20*time.Second, 0, 1)
		if n := s.missing(time.Now().Add(-5 * time.Second)); n > 0 {
			t.Errorf("%d records are not read", n)
		}
	})
}
