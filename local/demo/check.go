package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	"logsluice/indexer/deadletter"
	"logsluice/local/inspect"
)

// report is the comparison of the produced events with the documents in OpenSearch.
type report struct {
	produced    produced
	perIndex    map[string]int
	found       int
	missing     int // events without a document
	duplicated  int // events with more than one
	wrong       int // documents in another index or with another message than their event
	unknown     int // documents without an event
	deadLetters int
	p50, p99    float64 // seconds
}

// line has the fields of a document that are checked.
type line struct {
	Time    string `json:"@timestamp"`
	Message string `json:"message"`
	Group   string `json:"log_group"`
}

// check reads every document from OpenSearch and compares it with its event.
func check(ctx context.Context, p *parts, producer *producer, w *workers) (*report, error) {
	r := &report{produced: producer.counts(), perIndex: make(map[string]int)}
	r.p50, r.p99 = w.last.latency.Quantile(0.5), w.last.latency.Quantile(0.99)
	var err error
	if r.deadLetters, err = inspect.Count(ctx, p.search, deadletter.Index(p.prefix)); err != nil {
		return nil, err
	}
	documents := p.prefix + "-*,-" + deadletter.Index(p.prefix)
	if _, err := inspect.Count(ctx, p.search, documents); err != nil { // it refreshes the indices
		return nil, err
	}

	seen := make(map[string]int, len(r.produced.expected))
	err = inspect.Each(ctx, p.search, documents, func(d inspect.Document) {
		var text line
		if json.Unmarshal(d.Source, &text) != nil {
			r.wrong++
		}
		r.found++
		r.perIndex[d.Index]++
		want, known := r.produced.expected[d.ID]
		switch {
		case !known:
			r.unknown++
		case d.Index != p.prefix+"-"+want.day, maphash.String(producer.hash, text.Message) != want.message:
			r.wrong++
		}
		if seen[d.ID]++; seen[d.ID] == 2 {
			r.duplicated++
		}
	})
	for id := range r.produced.expected {
		if seen[id] == 0 {
			r.missing++
		}
	}
	return r, err
}

func (r *report) print() {
	fmt.Printf("\nProduced   %d events in %d records, %d control messages among them\n", r.produced.events, r.produced.records, r.produced.controls)
	fmt.Printf("Found      %d documents in OpenSearch\n", r.found)
	for _, index := range slices.Sorted(maps.Keys(r.perIndex)) {
		fmt.Printf("             %s  %d\n", index, r.perIndex[index])
	}
	fmt.Printf("Missing    %d\nDuplicated %d\nWrong      %d (another index or text than the event's)\nUnknown    %d\nDead       %d letters\n",
		r.missing, r.duplicated, r.wrong, r.unknown, r.deadLetters)
	fmt.Printf("Put to acknowledged: p50 %.0f ms, p99 %.0f ms\n", 1000*r.p50, 1000*r.p99)
}

// err returns an error unless each event has exactly one unchanged document.
func (r *report) err() error {
	if r.found != r.produced.events || r.missing+r.duplicated+r.wrong+r.unknown+r.deadLetters > 0 {
		return errors.New("the documents differ from the produced events")
	}
	fmt.Println("\nEvery event is there exactly once.")
	return nil
}
