package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"logsluice/local/inspect"
)

// words to look for, as one would grep for them.
const words = "connection refused"

// search shows what it is all for: a few lines found by their words.
func search(ctx context.Context, p *parts) error {
	body, _ := json.Marshal(map[string]any{
		"size":             3,
		"track_total_hits": true,
		"query":            map[string]any{"match_phrase": map[string]any{"message": words}},
		"sort":             []any{map[string]any{"@timestamp": "desc"}},
	})
	var found struct {
		Took int
		Hits struct {
			Total struct{ Value int }
			Hits  []struct {
				Source line `json:"_source"`
			}
		}
	}
	if err := inspect.Ask(ctx, p.search, http.MethodPost, "/"+p.prefix+"-*/_search", string(body), &found); err != nil {
		return err
	}
	fmt.Printf("\nSearch for %q: %d lines in %d ms\n", words, found.Hits.Total.Value, found.Took)
	for _, d := range found.Hits.Hits {
		line := strings.Join(strings.Fields(d.Source.Message), " ")
		if runes := []rune(line); len(runes) > 110 {
			line = string(runes[:110]) + "…"
		}
		fmt.Printf("  %s  %-14s %s\n", d.Source.Time, d.Source.Group, line)
	}
	return nil
}
