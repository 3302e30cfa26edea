package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Single indices that accept no documents.

// scene is a cluster with one worker. The test puts the records.
type scene struct {
	*cluster
	*producer
}

// newScene plays a scene in its own bubble, then waits for all outcomes and checks all
// promises.
func newScene(t *testing.T, timing timing, shards int, play func(s scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(1, logsluice, timing, false)
		c.create(shards)
		w := &worker{}
		c.workers = append(c.workers, w)
		c.start(w, "w0")
		watching, stopWatching := context.WithCancel(context.Background())
		var watchers sync.WaitGroup
		watchers.Go(func() { c.monitor(watching) })
		time.Sleep(warmUp)
		play(scene{c, newProducer(c, 1)})
		c.endTroubles()
		c.awaitOutcomes()
		stopWatching()
		watchers.Wait()
		c.stop(w.process)
		time.Sleep(time.Minute)
		if c.violations != nil {
			t.Errorf("%s\n%s", c.last(100), strings.Join(c.violations, "\n"))
		}
	})
}

// pausedFor is how long a paused shard waits before its next record is tried.
const pausedFor = 10 * time.Second

// hours is the number of hours of a day: an event from n days ago has the age n*hours.
const hours = 24

// to puts a record into an open shard. ages are the ages of its events in hours.
func (s scene) to(shard int, ages ...int) {
	events := make([]logEvent, len(ages))
	for i, age := range ages {
		events[i] = s.event(age)
		for refused(events[i].ID) {
			events[i] = s.event(age)
		}
	}
	s.putRecord(events, false, s.keyOf(shard))
}

func (s scene) keyOf(shard int) *string {
	return aws.String(*s.updateTopology()[shard].HashKeyRange.StartingHashKey)
}

// begin begins a lasting trouble.
func (s scene) begin(what eventKind, day int, lasting time.Duration, percent int) {
	s.apply(event{what: what, shard: day - 1, lasting: lasting, percent: percent}, nil)
}

// during puts one record of healthy events per second into shards, for a time.
func (s scene) during(d time.Duration, shards ...int) {
	for begun := time.Now(); time.Since(begun) < d; time.Sleep(time.Second) {
		for _, shard := range shards {
			s.to(shard, 0)
		}
	}
}

// missing returns the number of records that were put before a time and have no outcome yet.
func (s scene) missing(until time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, records := range s.records {
		for _, r := range records {
			if r.put.Before(until) && s.unsettled(r) != "" {
				n++
			}
		}
	}
	return n
}

// Of a record with one late event for a blocked index, only the bytes of that event remain in
// flight. Such events block neither the other shard nor their own.
func TestBlockedIndexStopsNoShard(t *testing.T) {
	timing := storyTiming
	timing.inFlight = 16 << 20 // a sixteenth of the default, like the records
	newScene(t, timing, 2, func(s scene) {
		s.begin(blockIndex, days, time.Hour, 7*4) // 403 cluster_block_exception
		ages := make([]int, 3000)
		ages[len(ages)/2] = days * hours
		for range 255 / 16 * 2 {
			s.to(0, ages...)
			s.to(1, 0)
			time.Sleep(time.Second)
		}
		put := time.Now()
		s.during(mostWait, 0, 1)
		if n := s.missing(put.Add(mostWait / 2)); n > 255/16*2 {
			t.Errorf("%d records have no outcome, want only those with late events", n)
		}
		s.during(timing.wait, 0, 1) // the index is given up
		if n := s.missing(put); n > 0 {
			t.Errorf("%d records wait after their index was given up", n)
		}
	})
}

// Documents wait for an index of each class. It is given up, and accepts documents again when
// it is no longer blocked.
func TestClassesOfBlocks(t *testing.T) {
	all := slices.Concat(blocks, []refusal{unavailable})
	for n, r := range all {
		t.Run(fmt.Sprintf("%d %s %d", r.status, r.kind, n), func(t *testing.T) {
			what, percent := blockIndex, n
			if r == unavailable {
				what, percent = loseShards, 100
			}
			timing := storyTiming
			timing.inFlight = 8 << 20
			newScene(t, timing, 1, func(s scene) {
				s.begin(what, 1, timing.wait+3*probePeriod, percent)
				s.to(0, hours)
				begun := time.Now()
				s.during(timing.wait-10*time.Second, 0)
				if n := s.missing(begun.Add(time.Second)); n != 1 {
					t.Errorf("the document does not wait for its index")
				}
				s.during(40*time.Second, 0)
				if n := s.missing(begun.Add(time.Second)); n != 0 {
					t.Errorf("the document still waits for its index")
				}
				for begun := time.Now(); time.Since(begun) < 5*probePeriod; {
					s.during(5*time.Second, 0)
					s.to(0, hours) // some of them are probes
				}
				s.during(2*probePeriod, 0)
				s.to(0, hours)
				s.during(10*time.Second, 0)
				records := s.records["shardId-000000000000"]
				for _, r := range records[len(records)-11:] {
					if index, _, _ := cut(r.documents[0]); index == s.day(1) && !s.index.has(r.documents[0]) {
						t.Errorf("%s is not indexed, although its index accepts documents again", r.documents[0])
					}
				}
			})
		})
	}
}

// In an outage documents wait, whatever the clocks of their indices were before. None becomes a
// dead letter.
func TestOutage(t *testing.T) {
	const away = 6 * time.Minute
	f := func(name string, timing timing, begin func(s scene)) {
		t.Run(name, func(t *testing.T) {
			newScene(t, timing, 2, func(s scene) {
				begin(s)
				for begun := time.Now(); time.Since(begun) < away; time.Sleep(2 * time.Second) {
					s.to(0, hours, 0)
					s.to(1, 0)
				}
				s.during(time.Minute, 0, 1)
				if _, letters := s.index.all(); len(letters) > 0 {
					t.Errorf("%d dead letters\n%s", len(letters), s.grep("given up"))
				}
			})
		})
	}
	small, roomy := storyTiming, storyTiming
	roomy.inFlight = 8 << 20
	// late makes an index reject a document from before the outage until after it.
	late := func(s scene) {
		s.begin(blockIndex, 1, away+15*time.Second, 0) // the clock stops after a minute
		s.to(0, hours, 0, 0)
		time.Sleep(time.Second)
	}
	f("every index blocked", small, func(s scene) { s.begin(blockAll, 1, away, 100) })
	f("no request accepted", roomy, func(s scene) { late(s); s.begin(failOpenSearch, 1, away, 100) })
	f("no answer", roomy, func(s scene) { late(s); s.begin(silentOpenSearch, 1, away, 100) })
	f("every index blocked after no request was accepted", small, func(s scene) {
		s.begin(failOpenSearch, 1, away/3, 100)
		s.begin(blockAll, 1, away, 100)
		for shard := range 2 { // everything that the worker reads before it pauses
			s.to(shard, slices.Repeat([]int{hours}, 60)...)
		}
	})
	f("flood stage", small, func(s scene) { s.begin(floodStage, 1, away, 100) })
}

// When an outage ends, no index is given up for the memory that its documents use: they may be
// accepted soon.
func TestAfterAnOutage(t *testing.T) {
	newScene(t, storyTiming, 2, func(s scene) {
		const away = 70 * time.Second
		s.begin(blockAll, 1, away, 100)
		s.begin(blockIndex, 1, away+20*time.Second, 0)
		for begun := time.Now(); time.Since(begun) < away; time.Sleep(500 * time.Millisecond) {
			s.to(0, hours, 0)
			s.to(1, 0)
		}
		s.during(time.Minute, 0, 1)
		if _, letters := s.index.all(); len(letters) > 0 {
			t.Errorf("%d dead letters\n%s", len(letters), s.grep("given up"))
		}
	})
}

// After an outage that leaves one index blocked and all shards paused, new records show that
// most documents are accepted again.
func TestPausedAfterAnOutage(t *testing.T) {
	newScene(t, storyTiming, 2, func(s scene) {
		s.begin(failOpenSearch, 1, time.Minute, 100)
		s.begin(blockIndex, 1, time.Hour, 0)
		for shard := range 2 {
			s.to(shard, slices.Repeat([]int{hours}, 60)...)
		}
		put := time.Now().Add(time.Millisecond)
		for time.Since(put) < time.Minute+20*pausedFor+storyTiming.wait {
			s.to(0, make([]int, 10)...)
			s.to(1, make([]int, 10)...)
			time.Sleep(2 * time.Second)
		}
		if n := s.missing(put); n > 0 {
			t.Errorf("%d records wait for the only blocked index", n)
		}
	})
}

// A shard is read to its end, and its children are read, while one of its documents waits: with
// and without another shard that shows that OpenSearch is available, if the document is the
// last one, and if its worker restarts with only this document.
func TestReshardWithWaitingDocument(t *testing.T) {
	f := func(name string, what eventKind, shards int, last, restart bool) {
		t.Run(name, func(t *testing.T) {
			newScene(t, storyTiming, shards, func(s scene) {
				s.begin(what, 1, time.Hour, 70)
				for shard := range shards {
					s.during(5*time.Second, shard)
				}
				s.putRecord([]logEvent{s.bad()}, false, s.keyOf(0))
				if !last {
					s.during(time.Second, 0)
				}
				time.Sleep(2 * s.lease)
				s.split(0)
				split := time.Now()
				if restart {
					s.crash(s.workers[0].process)
					<-s.workers[0].process.ended
					s.start(s.workers[0], "w0-again")
				}
				const events = 50
				for range events {
					s.to(0, 0)
					s.to(1, 0)
				}
				// One minute, another one until a document that is not retried is no longer
				// considered, and the time to acquire a lease.
				const most = endOfShard + silence + 30*time.Second
				if shards > 1 {
					s.during(most, shards) // the last one, which is not a child
				} else {
					time.Sleep(most)
				}
				if n := s.missing(split.Add(time.Second)); n > 0 {
					t.Errorf("%d of %d records have no outcome", n, 2*events)
				}
			})
		})
	}
	for name, what := range map[string]eventKind{"blocked": blockIndex, "failing": failSome} {
		f(name+", of two shards", what, 2, false, false)
		f(name+", alone", what, 1, false, false)
		f(name+", the last one", what, 1, true, false)
		f(name+", after a restart", what, 1, true, true)
	}
}

// A shard whose reader ends is read again, even while one of its documents waits.
func TestReaderEndsWithWaitingDocument(t *testing.T) {
	f := func(name string, what eventKind) {
		t.Run(name, func(t *testing.T) {
			timing := storyTiming
			timing.wait = time.Hour
			newScene(t, timing, 1, func(s scene) {
				s.begin(blockIndex, 1, time.Hour, 0)
				s.during(5*time.Second, 0)
				s.to(0, hours)
				s.during(time.Second, 0)
				s.apply(event{what: what, lasting: 10 * time.Second, percent: 100}, nil)
				s.during(20*time.Second, 0)
				put := time.Now()
				s.during(20*time.Second, 0)
				if n := s.missing(put); n != 1 {
					t.Errorf("%d records have no outcome, want only that of the blocked document", n)
				}
			})
		})
	}
	f("expired iterators", expireIterators)
	f("errors of Kinesis", failKinesis)
	f("throttled by KMS", throttleKMS)
}

// While the dead-letter index rejects documents, only a shard with an invalid record waits.
// With a store it waits no longer than for an index.
func TestDeadLetterIndexRefuses(t *testing.T) {
	f := func(name string, hasStore bool) {
		t.Run(name, func(t *testing.T) {
			timing := storyTiming
			timing.hasStore = hasStore
			newScene(t, timing, 2, func(s scene) {
				s.begin(refuseLetters, 1, time.Hour, 0)
				const bad = 10 // more than whole buffers fit into the bytes in flight
				for range bad {
					s.putRecord(nil, true, s.keyOf(0))
				}
				put := time.Now().Add(time.Millisecond)
				s.during(timing.wait-10*time.Second, 0, 1)
				if n := s.missing(put); n != bad {
					t.Errorf("%d of %d dead letters wait for their index", n, bad)
				}
				s.during(time.Minute, 0, 1)
				if n := s.missing(put); hasStore && n > 0 {
					t.Errorf("%d dead letters wait, although a store exists", n)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if records, row := s.records["shardId-000000000000"], s.rows["shardId-000000000000"]; hasStore != (row.checkpoint > records[0].number) {
					t.Errorf("store: %v, the shard with the dead letter is at %+v", hasStore, row)
				}
			})
		})
	}
	f("with a store", true)
	f("without", false)
}

// bad returns an event from yesterday on which failSome fails, from 50 percent on.
func (s scene) bad() logEvent {
	e := s.event(hours)
	for ; refused(e.ID) || !share(e.ID, 5); e = s.event(hours) {
	}
	return e
}

// A document whose first request was not answered waits for its index from that time on, not
// from the first failure of the index.
func TestFailingAfterSilence(t *testing.T) {
	newScene(t, storyTiming, 1, func(s scene) {
		s.begin(failSome, 1, time.Hour, 50)
		s.putRecord([]logEvent{s.bad()}, false, nil)
		s.during(storyTiming.wait/2, 0)
		s.begin(silentOpenSearch, 1, 8*time.Second, 100)
		s.putRecord([]logEvent{s.bad()}, false, nil)
		s.during(2*storyTiming.wait, 0)
	})
}

// If an index accepts only few other documents, they do not show that a document is at fault.
func TestFailingAmongFew(t *testing.T) {
	timing := storyTiming
	timing.wait = time.Hour
	newScene(t, timing, 1, func(s scene) {
		s.begin(failSome, 1, time.Hour, 50)
		s.putRecord([]logEvent{s.bad()}, false, nil)
		put := time.Now().Add(time.Millisecond)
		s.during(longTime+time.Minute, 0)
		if n := s.missing(put); n != 1 {
			t.Errorf("the document does not wait for its index")
		}
	})
}

// A document on which an index always fails becomes a dead letter long before the wait for the
// index is over if the index accepts other documents.
func TestPoison(t *testing.T) {
	timing := storyTiming
	timing.inFlight, timing.wait = 8<<20, time.Hour
	newScene(t, timing, 1, func(s scene) {
		s.begin(failSome, 1, time.Hour, 50)
		s.putRecord([]logEvent{s.bad()}, false, nil)
		put := time.Now().Add(time.Millisecond)
		for time.Since(put) < longTime-10*time.Second {
			events := make([]logEvent, 0, 10)
			for len(events) < cap(events) {
				if e := s.event(hours); !refused(e.ID) && !share(e.ID, 5) {
					events = append(events, e)
				}
			}
			s.putRecord(events, false, nil)
			time.Sleep(time.Second)
		}
		if n := s.missing(put); n != 1 {
			t.Errorf("the document does not wait for its index")
		}
		s.during(time.Minute, 0)
		if n := s.missing(put); n != 0 {
			t.Errorf("the document still waits")
		}
	})
}
