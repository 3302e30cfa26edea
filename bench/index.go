package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"logsluice/local/inspect"
	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/opensearch/assets"
)

// The part index: bytes and CPU of OpenSearch for the same events, indexed in several
// ways.

// indexConnections is how many concurrent bulk requests keep two cores busy.
const indexConnections = 4

// variant is a way to index the same events.
type variant struct {
	name     string
	template []byte // body of the index template; nil for none
	encoder  encoder
}

// indexCost is what a variant costs OpenSearch.
type indexCost struct {
	bytes   int           // on disk, in one segment
	cpu     time.Duration // for indexing and merging
	words   time.Duration // CPU time of a search for lines with two words
	phrase  time.Duration // CPU time of a search for the same words as a phrase
	fields  int           // in the mapping
	indexed int
	refused int // documents
}

// newVariants returns the variants. The first one is the baseline.
func newVariants() ([]variant, error) {
	variants := []variant{
		{"the Lambda way: the line and each key of its JSON", nil, &dynamic{keys: true}},
		{"the same with @id, as in AWS's sample", nil, &dynamic{keys: true, id: true}},
		{"documents as plain's, dynamic mapping", nil, &dynamic{}},
	}
	for _, schema := range []struct{ name, more string }{
		{plainSchema, ""}, {plainSchema, "message: text"}, {defaultSchema, ""}, {"ecs", ""}, {defaultSchema, "rest: flat_object"}, {defaultSchema, "rest: dynamic"},
	} {
		v, err := schemaVariant(schema.name, schema.more)
		if err != nil {
			return nil, err
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// schemaVariant returns the variant of logsluice with a built-in schema and an additional line
// in the schema's file.
func schemaVariant(name, more string) (variant, error) {
	builtIn, err := schema.BuiltIn(name)
	if err != nil {
		return variant{}, err
	}
	s, err := schema.Parse(append(builtIn.Source(), more...))
	if err != nil {
		return variant{}, err
	}
	naming := schema.Naming{Prefix: indexPrefix, Zone: time.UTC}
	mapper, err := mapping.New(mapping.Config{Naming: naming, Schema: s})
	if err != nil {
		return variant{}, err
	}
	template, err := assets.Documents{Naming: naming, Schema: s}.Template()
	if err != nil {
		return variant{}, err
	}
	return variant{strings.TrimSuffix("logsluice, "+name+", "+more, ", "), template.Bodies[0], mapper}, nil
}

// index measures what documents cost a real OpenSearch, in bytes and CPU time.
func index(ctx context.Context, _ string, s settings) error {
	variants, err := newVariants()
	if err != nil {
		return err
	}
	return measureVariants(ctx, s, variants)
}

func measureVariants(ctx context.Context, s settings, variants []variant) (err error) {
	f := newFixture(s.events)
	fmt.Println(f)
	server, err := startPlainServer(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	results := make([][]indexCost, len(variants))
	for round := range 1 + s.rounds { // the first warms up
		for i := range variants {
			i = (i + round) % len(variants) // so that no variant is always the first
			spent, err := server.measureVariant(ctx, f, &variants[i])
			if err != nil {
				return fmt.Errorf("%s: %w", variants[i].name, err)
			}
			if round > 0 {
				results[i] = append(results[i], spent)
			}
		}
	}
	printCosts(variants, results)
	return nil
}

// templateName is the path of the template of the current variant.
const templateName = "/_index_template/bench"

// measureVariant fills OpenSearch with a variant's documents. OpenSearch must be empty, and is
// empty again afterwards.
func (v *server) measureVariant(ctx context.Context, f *fixture, as *variant) (e indexCost, err error) {
	bodies, err := newBodies(f, as.encoder)
	if err != nil {
		return e, err
	}
	if as.template != nil {
		if err := inspect.Ask(ctx, v.client, http.MethodPut, templateName, string(as.template), nil); err != nil {
			return e, fmt.Errorf("install the index template: %w", err)
		}
		defer func() {
			err = errors.Join(err, inspect.Ask(ctx, v.client, http.MethodDelete, templateName, "", nil))
		}()
	}
	before, err := v.freshCPU(ctx)
	if err != nil {
		return e, err
	}
	if e.refused, err = v.fill(ctx, bodies); err != nil {
		return e, err
	}
	if err := v.merge(ctx); err != nil {
		return e, fmt.Errorf("merge: %w", err)
	}
	after, err := v.freshCPU(ctx)
	if err != nil {
		return e, err
	}
	e.cpu = after - before
	if e.bytes, e.indexed, err = v.size(ctx); err != nil {
		return e, fmt.Errorf("ask for the size: %w", err)
	}
	if e.fields, err = v.fields(ctx); err != nil {
		return e, fmt.Errorf("ask for the mapping: %w", err)
	}
	for _, search := range []struct {
		took  *time.Duration
		times int
		query string
	}{
		{&e.words, 50, `{"query":{"match":{"message":{"query":"connection refused","operator":"and"}}}}`},
		{&e.phrase, 5, `{"query":{"match_phrase":{"message":"connection refused"}}}`},
	} {
		if *search.took, err = v.search(ctx, search.query, search.times); err != nil {
			return e, fmt.Errorf("search: %w", err)
		}
	}
	if e.indexed+e.refused != f.events {
		return e, fmt.Errorf("%w: %d indexed and %d refused of %d", errMissing, e.indexed, e.refused, f.events)
	}
	return e, v.empty(ctx)
}

// search returns the CPU time of a search, as the mean of several.
func (v *server) search(ctx context.Context, query string, times int) (time.Duration, error) {
	before, err := v.freshCPU(ctx)
	if err != nil {
		return 0, err
	}
	for range times {
		if err := inspect.Ask(ctx, v.client, http.MethodPost, "/"+indices+"/_search?request_cache=false", query, nil); err != nil {
			return 0, err
		}
	}
	after, err := v.freshCPU(ctx)
	return (after - before) / time.Duration(times), err
}

// freshCPU returns cpu after waiting until it is current: OpenSearch updates it once per second.
func (v *server) freshCPU(ctx context.Context) (time.Duration, error) {
	if err := pause(ctx, 1100*time.Millisecond); err != nil {
		return 0, err
	}
	return v.cpu(ctx)
}

// fill posts bulk requests and returns the number of documents refused with status 400.
func (v *server) fill(ctx context.Context, bodies [][]byte) (refused int, err error) {
	var all atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(indexConnections)
	for _, body := range bodies {
		group.Go(func() error {
			raw, err := v.bulk(ctx, body)
			if err != nil {
				return err
			}
			n, err := refusals(raw)
			all.Add(int64(n))
			return err
		})
	}
	err = group.Wait()
	return int(all.Load()), err
}

// refusals counts the items with status 400 in the response to a bulk request.
func refusals(raw []byte) (n int, err error) {
	var answer struct {
		Errors bool
		Items  []map[string]struct {
			Status int
			Error  json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, fmt.Errorf("read the answer to a bulk request: %w", err)
	}
	if !answer.Errors {
		return 0, nil
	}
	for _, item := range answer.Items {
		for _, result := range item {
			switch {
			case result.Status == http.StatusBadRequest:
				n++
			case result.Error != nil:
				return n, fmt.Errorf("bulk request: %d %s", result.Status, result.Error)
			}
		}
	}
	return n, nil
}

// merge merges each shard to one segment, and waits until no merge runs.
func (v *server) merge(ctx context.Context) error {
	if err := v.settle(ctx); err != nil {
		return err
	}
	if err := inspect.Ask(ctx, v.client, http.MethodPost, "/"+indices+"/_forcemerge?max_num_segments=1", "", nil); err != nil {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	return inspect.Ask(ctx, v.client, http.MethodPost, "/"+indices+"/_refresh", "", nil)
}

// size returns the size of the searchable segments. The store size in the index statistics can
// be ten seconds old and include segments that were merged since.
func (v *server) size(ctx context.Context) (bytes, documents int, err error) {
	var answer struct {
		Indices map[string]struct {
			Shards map[string][]struct {
				Segments map[string]struct {
					Documents int `json:"num_docs"`
					Size      int `json:"size_in_bytes"`
				}
			}
		}
	}
	err = inspect.Ask(ctx, v.client, http.MethodGet, "/"+indices+"/_segments", "", &answer)
	for _, index := range answer.Indices {
		for _, copies := range index.Shards {
			// The primary: without a second node the replica is unassigned.
			for _, segment := range copies[0].Segments {
				bytes += segment.Size
				documents += segment.Documents
			}
		}
	}
	return bytes, documents, err
}

// property is a field or an object in a mapping.
type property struct {
	Type       string
	Properties map[string]property
	Fields     map[string]property // the same value, indexed in other ways
}

func (p property) count() (n int) {
	if len(p.Properties) == 0 {
		n = 1
	}
	for _, inner := range p.Properties {
		n += inner.count()
	}
	return n + len(p.Fields)
}

// fields returns the number of mapped fields, including multi-fields.
func (v *server) fields(ctx context.Context) (n int, err error) {
	var answer map[string]struct{ Mappings property }
	err = inspect.Ask(ctx, v.client, http.MethodGet, "/"+indices+"/_mapping", "", &answer)
	for _, index := range answer {
		n += index.Mappings.count()
	}
	return n, err
}

func printCosts(variants []variant, results [][]indexCost) {
	fmt.Printf("\n%-52s %9s %6s  %8s %6s  %6s %7s  %13s  %s\n", "of documents indexed", "bytes/doc", "ratio", "CPU s/1M", "ratio", "fields", "refused", "search CPU ms", "CPU s/1M of each round")
	var first [2]float64
	for i, v := range variants {
		last := results[i][len(results[i])-1]
		of := func(quantity func(indexCost) float64) float64 {
			var all []float64
			for _, e := range results[i] {
				all = append(all, quantity(e))
			}
			return median(all)
		}
		cpu := func(e indexCost) float64 { return e.cpu.Seconds() / float64(e.indexed) * 1e6 }
		size, seconds := of(func(e indexCost) float64 { return float64(e.bytes) / float64(e.indexed) }), of(cpu)
		words, phrase := of(func(e indexCost) float64 { return e.words.Seconds() }), of(func(e indexCost) float64 { return e.phrase.Seconds() })
		if i == 0 {
			first = [2]float64{size, seconds}
		}
		fmt.Printf("%-52s %9.0f %6.3f  %8.1f %6.3f  %6d %7d  %6.0f %6.0f  ", v.name, size, size/first[0], seconds, seconds/first[1], last.fields, last.refused, words*1e3, phrase*1e3)
		for _, e := range results[i] {
			fmt.Printf(" %.1f", cpu(e))
		}
		fmt.Println()
	}
	fmt.Println("\nsearch: lines with the words connection and refused; and lines with them as a phrase")
}
