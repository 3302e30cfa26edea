package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"logsluice/local/inspect"
)

// words to search for.
const words = "connection refused"

// search shows a few lines found by their words.
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
	const width = 79 // so that a line fits a terminal
	for _, d := range found.Hits.Hits {
		line := fmt.Sprintf("  %s  %-10s %s", d.Source.Time, d.Source.Group, strings.Join(strings.Fields(d.Source.Message), " "))
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width-1]) + "…"
		}
		fmt.Println(line)
	}
	return nil
}
