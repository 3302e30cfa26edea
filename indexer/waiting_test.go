package indexer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/local/localtest"
)

const (
	live = "app-2026-11-30"
	old  = "app-2025-12-31"
)

// An index that does not accept documents does not delay others and is given up after
// WAIT_FOR_INDEX: its waiting and new documents become dead letters until it accepts a
// probe.
func TestBlockedIndexIsGivenUp(t *testing.T) {
	localtest.Volume(t)
	f := func(name string, refuse func(index string) *refusal) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.set(only(old, refuse))
				v.feed("a", live, 10*time.Second)
				v.put("b", old, live)
				v.feed("a", live, 29*time.Minute)
				if n := len(v.letters(t)); n > 0 || v.open("b") != 1 || v.open("a") > 1 {
					t.Fatalf("after 29 minutes: %d dead letters, %d and %d records are open", n, v.open("a"), v.open("b"))
				}
				if v.Ready() != nil && name == "read-only" {
					t.Error("not ready although the shards are read:", v.Ready())
				}
				v.feed("a", live, 2*time.Minute)
				letters := v.letters(t)
				if len(letters) != 1 || v.open("b") != 0 || v.givenUp() != 1 {
					t.Fatalf("after 31 minutes: dead letters %v, %d records are open, %v indices given up", letters, v.open("b"), v.givenUp())
				}
				for _, letter := range letters {
					if letter.Stage != deadletter.StageBlocked || letter.TargetIndex != old || letter.Cause.Type != refuse(old).kind {
						t.Errorf("dead letter %+v", letter)
					}
				}
				// New documents are not sent, except for one probe per minute.
				sent := 0
				for range 600 {
					v.put("b", old)
					time.Sleep(time.Second)
				}
				_, attempts := v.state()
				for key, n := range attempts {
					if strings.HasPrefix(key, old+"/") && !strings.HasSuffix(key, "/11-0") {
						sent += n
					}
				}
				if letters := v.letters(t); len(letters) != 601 || v.open("b") > 1 {
					t.Errorf("%d dead letters of 601, %d open", len(letters), v.open("b"))
				}
				if sent < 8 || sent > 12 {
					t.Errorf("%d of 600 documents were sent in ten minutes, want one per minute", sent)
				}
				v.set(nil)
				time.Sleep(probeInterval)
				v.feed("b", old, 10*time.Second)
				if letters := v.letters(t); len(letters) != 601 || v.givenUp() != 0 {
					t.Errorf("%d dead letters, %v given up although the index accepts documents", len(letters), v.givenUp())
				}
				if n := strings.Count(v.log.String(), "index given up"); n != 1 || strings.Count(v.log.String(), "index accepts documents again") != 1 {
					t.Errorf("given up %d times in the log", n)
				}
			})
		})
	}
	f("read-only", readOnly)
	f("closed", func(i string) *refusal { return &refusal{400, "index_closed_exception", "closed", i} })
	f("unavailable shards", func(i string) *refusal {
		return &refusal{503, "unavailable_shards_exception", "[" + i + "][0] primary shard is not active", i}
	})
	f("alias without a write index", func(i string) *refusal {
		return &refusal{400, "illegal_argument_exception", "no write index is defined for alias [" + i + "]. The write index may be explicitly disabled", ""}
	})
	f("missing pipeline", func(string) *refusal {
		return &refusal{400, "illegal_argument_exception", "pipeline with id [p] does not exist", ""}
	})
	f("missing index", func(i string) *refusal { return &refusal{404, "index_not_found_exception", "no such index", i} })
	f("not allowed", func(string) *refusal {
		return &refusal{403, "security_exception", "no permissions for [indices:data/write/bulk[s]]", ""}
	})
	f("shard limit", func(string) *refusal {
		return &refusal{400, "validation_exception", "this action would add [2] shards", ""}
	})
}

// Waiting documents are indexed within seconds after their index accepts documents again.
func TestBlockedIndexAcceptsAgain(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.InFlightBytes = 64 << 20 }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		for range 50 {
			v.put("b", old, live, old)
			v.feed("a", live, time.Second)
		}
		for range 30 {
			for range 100 {
				v.put("c", old)
			}
			v.feed("a", live, 10*time.Second)
		}
		sent := 0
		_, attempts := v.state()
		for key, n := range attempts {
			if strings.HasPrefix(key, old+"/") {
				sent += n
			}
		}
		// Each is sent once, and a probe of 100 of them every 5 seconds on average.
		if sent > 100+3000+150*probeDocuments {
			t.Errorf("waiting documents were sent %d times", sent)
		}
		v.set(nil)
		v.feed("a", live, 25*time.Second)
		if v.open("b") != 0 || len(v.letters(t)) > 0 || v.gauge("logsluice_waiting_bytes") != 0 {
			t.Errorf("%d records are open, %d dead letters", v.open("b"), len(v.letters(t)))
		}
		if v.hasTargets.Load() {
			t.Error("the index still has a target")
		}
	})
}

// With WAIT_FOR_INDEX=0 no index is given up.
func TestWaitForEver(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.WaitForIndex = 0 }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		v.put("b", old)
		v.feed("a", live, 45*time.Minute)
		if v.open("b") != 1 || len(v.letters(t)) > 0 {
			t.Error("it was given up")
		}
	})
}

// A few waiting documents of large records take only their own memory.
func TestWaitingDocumentsAreMoved(t *testing.T) {
	inVirtualTime(t, func(c *Config) { c.InFlightBytes = 64 << 20 }, func(t *testing.T, v *virtualIndexer) {
		v.set(only(old, readOnly))
		const records, others, each = 255, 300, 350
		for range records {
			indices := []string{old}
			for range others {
				indices = append(indices, live)
			}
			if !v.putLarge("b", each, indices...) {
				t.Fatal("the shard is not read")
			}
		}
		time.Sleep(10 * time.Second)
		used := v.gauge("logsluice_in_flight_bytes")
		if most := float64(records * (each + 200 + setCost)); used == 0 || used > most {
			t.Errorf("%.0f bytes are in flight for %d waiting documents, want at most %.0f", used, records, most)
		}
		v.set(nil)
		time.Sleep(time.Minute)
		if used := v.gauge("logsluice_in_flight_bytes"); used != 0 || v.open("b") != 0 {
			t.Errorf("%.0f bytes, %d records are left", used, v.open("b"))
		}
		created, _ := v.state()
		for i := range records {
			if source := created[fmt.Sprintf("%s/%d-0", old, i+1)]; source != fmt.Sprintf(`{"message":"m%d-0%s"}`, i+1, strings.Repeat("x", each)) {
				t.Fatalf("document %d: %.200s", i+1, source)
			}
		}
	})
}

// When waiting documents fill a quarter of the memory, the index with most of them is
// given up early, and the others keep waiting.
func TestIndexThatHoldsMostIsGivenUp(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.set(func(index, _ string) *refusal {
			if index != live && index != "app-dead-letter" {
				return readOnly(index)
			}
			return nil
		})
		v.put("b", "app-2025-12-30")
		for range 300 {
			for range 3 { // most documents are accepted
				v.put("a", live)
			}
			v.putLarge("b", 10<<10, old)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		letters := v.letters(t)
		if len(letters) != 300 || v.open("b") != 1 || v.givenUp() != 1 {
			t.Errorf("%d dead letters of 300, %d records open, %v given up", len(letters), v.open("b"), v.givenUp())
		}
		for _, letter := range letters {
			if letter.TargetIndex != old {
				t.Errorf("%s was given up", letter.TargetIndex)
			}
		}
	})
}

// In an outage no index is given up: neither when nothing is accepted, nor when most
// documents are refused as blocked, nor in the disk's flood stage. Shards with waiting
// documents are paused, and others are read.
func TestOutage(t *testing.T) {
	f := func(name string, refuse func(index, id string) *refusal, others bool) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(c *Config) { c.WaitForIndex = 3 * time.Minute }, func(t *testing.T, v *virtualIndexer) {
				v.feed("a", live, 2*time.Minute)
				v.set(refuse)
				paused := false
				for range 500 {
					paused = !v.putLarge("b", 2<<10, old) || paused
					if others && !v.put("a", live) {
						t.Fatal("a shard is paused although its documents are accepted")
					}
					time.Sleep(time.Second)
				}
				if len(v.letters(t)) > 0 {
					t.Errorf("%d dead letters", len(v.letters(t)))
				}
				if !paused || v.gauge("logsluice_shards_paused") != 1 || v.Ready() == nil || !strings.Contains(v.Ready().Error(), "b paused") {
					t.Errorf("paused: %v, ready: %v", paused, v.Ready())
				}
				if strings.Count(v.log.String(), "shards are stalled") == 0 {
					t.Error("nothing is logged")
				}
				if waiting := v.gauge("logsluice_waiting_bytes"); waiting > float64(v.cfg.InFlightBytes)/2 {
					t.Errorf("%.0f bytes wait", waiting)
				}
				v.set(nil)
				v.feed("a", live, time.Minute)
				if v.open("b") != 0 || len(v.letters(t)) > 0 || v.Ready() != nil {
					t.Errorf("after the outage %d records are open, %d dead letters, %v", v.open("b"), len(v.letters(t)), v.Ready())
				}
			})
		})
	}
	f("nothing is accepted", func(i, _ string) *refusal { return readOnly(i) }, false)
	f("most are blocked", func(i, id string) *refusal {
		if i == old || id[len(id)-3] < '2' {
			return readOnly(i)
		}
		return nil
	}, false)
	f("flood stage", only(old, floodStage), true)
}

// A document on which OpenSearch fails while it accepts others is a dead letter after ten
// attempts and five minutes, or after WAIT_FOR_INDEX if there are few others.
func TestPoison(t *testing.T) {
	poison := func(_, id string) *refusal {
		if id == "1-1" {
			return &refusal{500, "null_pointer_exception", "Cannot invoke", ""}
		}
		return nil
	}
	f := func(name string, perSecond int, after, least time.Duration) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.set(poison)
				v.put("b", live, live)
				feed := func(d time.Duration) {
					for range int(d / time.Second) {
						for range perSecond {
							v.put("a", live)
						}
						if perSecond == 0 {
							v.put("a", old) // OpenSearch accepts documents of another index
						}
						time.Sleep(time.Second)
					}
				}
				feed(least)
				if n := len(v.letters(t)); n != 0 {
					t.Fatalf("%d dead letters after %s", n, least)
				}
				feed(after - least)
				letter := v.letters(t)["1-1"]
				if letter.Stage != deadletter.StageIndex || letter.Cause.Type != "null_pointer_exception" || v.open("b") != 0 || !v.has(live+"/1-0") {
					t.Errorf("dead letter %+v, %d open", letter, v.open("b"))
				}
				if n := v.attempts(live + "/1-1"); n < maxTries {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
	f("a busy index", 5, 6*time.Minute, 290*time.Second)
	f("a quiet index", 0, 31*time.Minute, 29*time.Minute)
	inVirtualTime(t, func(c *Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour }, func(t *testing.T, v *virtualIndexer) { // few tries
		v.set(poison)
		v.put("b", live, live)
		for range 1500 {
			v.put("a", live)
			time.Sleep(time.Second)
		}
		if n := len(v.letters(t)); n > 0 {
			t.Errorf("a dead letter after %d tries", v.attempts(live+"/1-1"))
		}
	})
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) { // nothing is accepted
		v.set(func(string, string) *refusal { return &refusal{500, "exception", "all", ""} })
		v.put("b", live, live)
		for range 600 {
			v.put("b", live)
			time.Sleep(time.Second)
		}
		if n := len(v.letters(t)); n > 0 {
			t.Errorf("%d dead letters in an outage", n)
		}
		v.set(nil)
		time.Sleep(time.Minute)
		if v.open("b") != 0 {
			t.Errorf("%d open", v.open("b"))
		}
	})
}

// A document that makes whole requests fail is found and does not delay others.
func TestDocumentThatFailsRequests(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.answer = func(body string) (int, bool) { return 403, strings.Contains(body, "m500-1") }
		for range 1000 {
			v.put("b", live, live, live)
		}
		v.feed("a", live, 6*time.Minute)
		if v.open("a") > 1 || v.open("b") > 1 {
			t.Errorf("%d and %d records are open after six minutes", v.open("a"), v.open("b"))
		}
		for range 20 { // enough others
			for range 100 {
				v.put("a", live)
			}
			time.Sleep(30 * time.Second)
		}
		if letters := v.letters(t); len(letters) != 1 || letters["500-1"].Stage != deadletter.StageIndex || v.open("b") > 0 {
			t.Errorf("dead letters %v, %d open", letters, v.open("b"))
		}
	})
}

// The end of a shard waits for documents without an outcome for at most a minute. An outage or the
// flood stage delays that until a minute after its end.
func TestShardEnd(t *testing.T) {
	f := func(name string, refuse func(index, id string) *refusal, kept bool) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.feed("a", live, 2*time.Minute)
				v.set(refuse)
				v.put("b", old)
				feed := func(d time.Duration) {
					for range int(d / time.Second) {
						v.put("a", live)
						time.Sleep(time.Second)
					}
				}
				feed(10 * time.Second)
				forget := v.EndShard("b")
				feed(55 * time.Second)
				if len(v.letters(t)) > 0 || v.open("b") != 1 {
					t.Fatalf("dead letters %v after 55 s", v.letters(t))
				}
				feed(10 * time.Second)
				if isLetter := len(v.letters(t)) == 1; isLetter == kept || (v.open("b") == 0) == kept {
					t.Fatalf("dead letters %v, %d open", v.letters(t), v.open("b"))
				}
				if kept {
					feed(5 * time.Minute)
					v.set(only(old, readOnly))
					feed(50 * time.Second)
					if v.open("b") != 1 {
						t.Fatal("the minute did not start after the outage")
					}
					feed(25 * time.Second)
					if name == "outage" { // most documents of the last five minutes were refused
						feed(maxSeconds * time.Second)
					}
				}
				if letters := v.letters(t); len(letters) != 1 || v.open("b") != 0 {
					t.Errorf("dead letters %v, %d open", letters, v.open("b"))
				}
				for _, letter := range v.letters(t) {
					if letter.Stage != deadletter.StageBlocked || letter.TargetIndex != old {
						t.Errorf("dead letter %+v", letter)
					}
				}
				forget()
			})
		})
	}
	f("blocked", only(old, readOnly), false)
	f("failing alone", only(old, func(string) *refusal { return &refusal{500, "exception", "no", ""} }), false)
	f("busy", only(old, func(string) *refusal { return &refusal{429, "rejected_execution_exception", "no", ""} }), false)
	f("flood stage", only(old, floodStage), true)
	f("outage", func(i, _ string) *refusal { return readOnly(i) }, true)
}

// An index with a lost shard accepts some documents. Waiting documents are given up, but
// the index is not.
func TestPartlyBlockedIndex(t *testing.T) {
	localtest.Volume(t)
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.set(func(_, id string) *refusal {
			if strings.HasSuffix(id, "7-0") {
				return &refusal{503, "unavailable_shards_exception", "[x][1] primary shard is not active", ""}
			}
			return nil
		})
		v.feed("a", live, 100*time.Minute)
		letters, given := v.letters(t), strings.Count(v.log.String(), "index given up")
		if len(letters) < 300 || given > 0 {
			t.Errorf("%d dead letters, given up %d times", len(letters), given)
		}
		for id := range letters {
			if !strings.HasSuffix(id, "7-0") {
				t.Errorf("%s is a dead letter", id)
			}
		}
		if v.open("a") > 200 { // those of the last half hour
			t.Errorf("%d records are open", v.open("a"))
		}
	})
}

// memory is a store that can fail.
type memory struct {
	fails   error
	objects map[string]string
	times   []time.Time
}

func (m *memory) Put(_ context.Context, at time.Time, name string, lines []byte) error {
	if m.fails != nil {
		return m.fails
	}
	m.objects[name] = string(lines)
	m.times = append(m.times, at)
	return nil
}

// When their index has refused dead letters for WAIT_FOR_INDEX, they go to the store.
// Without a store they hold up only their shard, and the worker is not ready.
func TestDeadLetterIndexRefuses(t *testing.T) {
	refuse := func(index, id string) *refusal {
		switch {
		case index == "app-dead-letter":
			return readOnly(index)
		case strings.HasSuffix(id, "-1"):
			return &refusal{400, "mapper_parsing_exception", "failed to parse", index}
		}
		return nil
	}
	inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
		v.set(refuse)
		v.put("b", live, live)
		v.feed("a", live, 29*time.Minute)
		if v.Ready() != nil {
			t.Error("not ready before the time:", v.Ready())
		}
		v.feed("a", live, 2*time.Minute)
		if v.open("b") != 1 || v.open("a") > 1 || v.Ready() == nil || !strings.Contains(v.Ready().Error(), "DEAD_LETTER_URL") {
			t.Errorf("%d records are open, ready: %v", v.open("b"), v.Ready())
		}
		v.set(nil)
		v.feed("a", live, 30*time.Second)
		if v.open("b") != 0 || v.Ready() != nil || len(v.letters(t)) != 1 {
			t.Errorf("after that %d are open, ready: %v, letters %v", v.open("b"), v.Ready(), v.letters(t))
		}
	})
	store := &memory{objects: make(map[string]string), fails: errors.New("access denied")}
	inVirtualTime(t, func(c *Config) { c.Store = store }, func(t *testing.T, v *virtualIndexer) {
		v.set(refuse)
		v.put("b", live, live)
		arrived := time.Now()
		v.feed("a", live, 31*time.Minute)
		if v.open("b") != 1 || v.Ready() == nil {
			t.Errorf("a store that fails: %d open, ready: %v", v.open("b"), v.Ready())
		}
		store.fails = nil
		v.feed("a", live, 30*time.Second)
		if v.open("b") != 0 || v.Ready() != nil || len(store.objects) != 1 || !store.times[0].Equal(arrived) {
			t.Errorf("%d are open, ready: %v, objects %v at %v", v.open("b"), v.Ready(), store.objects, store.times)
		}
		for _, lines := range store.objects {
			if letter := letterIn(t, lines); letter.TargetID != "1-1" || !strings.HasPrefix(lines, `{"_id":"`) || !strings.HasSuffix(lines, "}\n") {
				t.Errorf("object %s", lines)
			}
		}
		v.put("b", live, live) // is stored at once
		v.feed("a", live, 10*time.Second)
		if v.open("b") != 0 || len(store.objects) != 2 {
			t.Errorf("%d are open, %d objects", v.open("b"), len(store.objects))
		}
		v.set(func(index, id string) *refusal {
			if index != "app-dead-letter" {
				return refuse(index, id)
			}
			return nil
		})
		v.feed("a", live, 70*time.Second)
		v.put("b", live, live)
		v.feed("a", live, 10*time.Second)
		if v.open("b") != 0 || len(store.objects) != 2 || len(v.letters(t)) != 1 {
			t.Errorf("accepted again: %d are open, %d objects, letters %v", v.open("b"), len(store.objects), v.letters(t))
		}
	})
}

// Documents that wait for an index are dropped when another worker has their shard, and
// do not become dead letters.
func TestWaitingDocumentsOfOthers(t *testing.T) {
	f := func(name string, refuse func(index string) *refusal) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.set(func(index, _ string) *refusal {
					if index == old {
						return refuse(index)
					}
					return nil
				})
				ctx, cancel := context.WithCancel(t.Context())
				settled, called := true, false
				docs := NewDocuments(Source{Shard: "b"}, 0)
				for i := range 500 {
					docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"b%d\"}}\n{\"message\":\"m\"}\n", old, i)
					docs.Next(i)
				}
				if err := v.Put(ctx, docs, v.Reserve(ctx, "b", docs.Size()), func(ok bool) { settled, called = ok, true }); err != nil {
					t.Fatal(err)
				}
				v.feed("a", live, time.Minute)
				cancel()
				v.feed("a", live, 15*time.Second)
				if !called || settled || len(v.letters(t)) > 0 || v.gauge("logsluice_waiting_bytes") != 0 {
					t.Errorf("called: %v, settled: %v, %d dead letters, %v bytes wait", called, settled, len(v.letters(t)), v.gauge("logsluice_waiting_bytes"))
				}
				if n := v.attempts(old + "/b499"); n > 6 && name == "blocked" {
					t.Errorf("a waiting document was sent %d times", n)
				}
			})
		})
	}
	f("blocked", readOnly)
	f("failing alone", func(string) *refusal { return &refusal{500, "exception", "no", ""} })
	f("busy", func(string) *refusal { return &refusal{429, "rejected_execution_exception", "no", ""} })
}

// An index that fails on each of its documents, for example because its pipeline is
// broken, is blocked. It is given up as a whole, also for the memory of its documents.
func TestIndexThatFailsOnAll(t *testing.T) {
	broken := only(old, func(string) *refusal { return &refusal{500, "fail_processor_exception", "no", ""} })
	f := func(name string, size int, by time.Duration) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, nil, func(t *testing.T, v *virtualIndexer) {
				v.set(broken)
				v.feed("a", live, 10*time.Second)
				for range int(by / time.Second) {
					if !v.putLarge("b", size, old, live) {
						t.Fatal("the shard is not read")
					}
					v.put("a", live)
					time.Sleep(time.Second)
				}
				if v.givenUp() != 1 || v.open("a") > 1 || v.open("b") > 20 {
					t.Errorf("%v given up, %d and %d records are open", v.givenUp(), v.open("a"), v.open("b"))
				}
				for id, letter := range v.letters(t) {
					if letter.TargetIndex != old || letter.Cause.Type != "fail_processor_exception" {
						t.Errorf("dead letter of %s: %+v", id, letter)
					}
				}
			})
		})
	}
	f("after its time", 10, 35*time.Minute)
	f("for its memory", 20<<10, 5*time.Minute)
}
