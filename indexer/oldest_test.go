package indexer

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/indexer/deadletter"
)

// ages returns the metric in whole seconds, by index.
func (v *virtualIndexer) ages() map[string]int {
	v.t.Helper()
	families, err := v.cfg.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		v.t.Fatal(err)
	}
	ages := map[string]int{}
	for _, family := range families {
		if family.GetName() != "logsluice_oldest_document_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			ages[m.GetLabel()[0].GetValue()] = int(m.GetGauge().GetValue())
		}
	}
	return ages
}

// hangingStore does not return until its context ends.
type hangingStore struct{}

func (hangingStore) Put(ctx context.Context, _ time.Time, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

// The age of the oldest document without an outcome is reported per index wherever the
// document is, and no longer after its outcome.
func TestOldestDocuments(t *testing.T) {
	f := func(name string, change func(*Config), story func(v *virtualIndexer), want map[string]int) {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, change, func(t *testing.T, v *virtualIndexer) {
				v.feed("a", live, 10*time.Second)
				if got := v.ages(); !reflect.DeepEqual(got, map[string]int{"": 0}) {
					t.Errorf("before: %v", got)
				}
				story(v)
				if got := v.ages(); !reflect.DeepEqual(got, want) {
					t.Errorf("ages %v, want %v", got, want)
				}
				v.set(nil)
				v.virtualBulk.mu.Lock()
				v.took, v.answer = 10*time.Millisecond, nil
				v.virtualBulk.mu.Unlock()
				for range 15 { // minutes in which documents are sent again or given up
					v.put("a", live)
					time.Sleep(time.Minute)
				}
				if got := v.ages(); !reflect.DeepEqual(got, map[string]int{"": 0}) {
					t.Errorf("after: %v", got)
				}
			})
		})
	}
	slow := func(v *virtualIndexer, took time.Duration) {
		v.virtualBulk.mu.Lock()
		defer v.virtualBulk.mu.Unlock()
		v.took = took
	}
	letters := deadletter.Index("app")
	bothRefuse := func(i, _ string) *refusal {
		if i == old || i == letters {
			return readOnly(i)
		}
		return nil
	}
	f("index blocked", nil, func(v *virtualIndexer) {
		v.set(only(old, readOnly))
		v.put("b", live, old, live)
		v.feed("a", live, 100*time.Second)
		v.put("b", old)
		v.feed("a", live, 200*time.Second)
	}, map[string]int{"": 300, old: 300})
	f("a request under way", nil, func(v *virtualIndexer) {
		slow(v, minOldestAge)
		v.put("b", live)
		time.Sleep(minOldestAge - time.Millisecond)
	}, map[string]int{"": 0})
	f("its probe under way", nil, func(v *virtualIndexer) {
		v.set(only(old, readOnly))
		v.put("b", old)
		time.Sleep(100 * time.Second)
		slow(v, 50*time.Second)
		time.Sleep(20 * time.Second)
	}, map[string]int{"": 120, old: 120})
	f("documents that fail alone", nil, func(v *virtualIndexer) {
		v.set(only(old, func(i string) *refusal { return &refusal{500, "exception", "it fails", i} }))
		v.put("b", old, live)
		v.feed("a", live, 60*time.Second)
	}, map[string]int{"": 60, old: 60})
	f("OpenSearch unreachable", nil, func(v *virtualIndexer) {
		v.virtualBulk.mu.Lock()
		v.answer = func(string) (int, bool) { return http.StatusServiceUnavailable, true }
		v.virtualBulk.mu.Unlock()
		v.put("b", old, live)
		time.Sleep(30 * time.Second)
		v.put("b", live, "app-2026-12-01")
		time.Sleep(30 * time.Second)
	}, map[string]int{"": 60, old: 60, live: 60, "app-2026-12-01": 30})
	f("no connection free", func(c *Config) { c.Connections = 1 }, func(v *virtualIndexer) {
		slow(v, 50*time.Second)
		v.put("b", live)
		time.Sleep(10 * time.Second)
		v.put("c", old)
		time.Sleep(10 * time.Second)
	}, map[string]int{"": 20, live: 20, old: 10})
	f("dead letters refused", func(c *Config) { c.WaitForIndex = time.Minute }, func(v *virtualIndexer) {
		v.set(bothRefuse)
		v.put("b", old)
		v.feed("a", live, 100*time.Second)
	}, map[string]int{"": 100, letters: 100})
	f("dead letters being stored", func(c *Config) { c.WaitForIndex, c.Store = time.Minute, hangingStore{} }, func(v *virtualIndexer) {
		v.set(bothRefuse)
		v.put("b", old)
		v.feed("a", live, 300*time.Second)
	}, map[string]int{"": 300, letters: 300})
	f("many indices", nil, func(v *virtualIndexer) {
		v.set(func(i, _ string) *refusal {
			if i == live {
				return nil
			}
			return readOnly(i)
		})
		for i := range 15 {
			v.put("b", fmt.Sprintf("app-2025-12-%02d", 31-i))
			v.feed("a", live, time.Second)
		}
		v.feed("a", live, 85*time.Second)
	}, map[string]int{"": 100, "app-2025-12-31": 100, "app-2025-12-30": 99, "app-2025-12-29": 98, "app-2025-12-28": 97, "app-2025-12-27": 96,
		"app-2025-12-26": 95, "app-2025-12-25": 94, "app-2025-12-24": 93, "app-2025-12-23": 92, "app-2025-12-22": 91})
}

// No place that can contain documents is omitted.
func TestOldestInEachPlace(t *testing.T) {
	t.Parallel()
	f := func(name string, rests func(d *dispatcher, p part)) {
		t.Helper()
		d := newDispatcher(&Indexer{inbox: newInbox()})
		docs := NewDocuments(Source{}, 0)
		docs.Body = append(docs.Body, `{"create":{"_index":"i"}}`...)
		docs.Next(0)
		now := time.Now()
		docs.group = &putGroup{put: now.Add(-time.Minute)}
		rests(d, part{docs: docs, to: 1})
		if got := d.oldestOf(now); now.Sub(got.put) != time.Minute || now.Sub(got.indices["i"]) != time.Minute {
			t.Errorf("%s: %+v", name, got)
		}
	}
	f("inbox", func(d *dispatcher, p part) { d.ix.inbox.put(p) })
	f("fresh", func(d *dispatcher, p part) { d.fresh.put(p, time.Time{}) })
	f("requeued", func(d *dispatcher, p part) { d.requeued.put(p, time.Time{}) })
	f("isolated", func(d *dispatcher, p part) { d.isolated = [][]part{{p}} })
	f("large", func(d *dispatcher, p part) { d.large = []part{p} })
	f("under way", func(d *dispatcher, p part) { d.underWay = [][]part{{p}} })
	f("retries", func(d *dispatcher, p part) { d.retries = []retry{{parts: []*delayedPart{delay(p)}}} })
	f("blocked", func(d *dispatcher, p part) { d.targets["i"] = &target{blocked: []*delayedPart{delay(p)}} })
	f("failing", func(d *dispatcher, p part) {
		d.targets["i"] = &target{failing: []retry{{parts: []*delayedPart{delay(p)}}}}
	})
	f("storing", func(d *dispatcher, p part) { d.storing.parts = []*delayedPart{delay(p)} })
}

// The oldest document of an index counts, in whichever order documents are found.
func TestOldestOfAnIndex(t *testing.T) {
	t.Parallel()
	o := oldestTimes{indices: make(map[string]time.Time)}
	now := time.Now()
	for _, age := range []time.Duration{2, 3, 1} {
		o.addIndex([]byte("i"), now.Add(-age))
	}
	if age := now.Sub(o.indices["i"]); age != 3 {
		t.Errorf("age %d", age)
	}
}

// A dispatcher that does not answer does not prevent other metrics from being collected.
func TestOldestDocumentsOfStuckDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &Indexer{ctx: t.Context(), queries: make(chan func(*dispatcher))}
		registry := prometheus.NewRegistry()
		registry.MustRegister(newOldestDocuments(stuck), prometheus.NewGauge(prometheus.GaugeOpts{Name: "other"}))
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "other" {
			t.Errorf("%v, %v", families, err)
		}
	})
}
