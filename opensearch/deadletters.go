package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Dead letters as doctor counts them: how many of late, and for which reasons.

// Reason is one for which documents became dead letters.
type Reason struct {
	// Type is OpenSearch's, or the decoder's.
	Type string
	// Letters count those with it, and Example is the text of one of them.
	Letters int
	Example string
}

// Blocked are dead letters of documents that their index did not accept.
type Blocked struct {
	Index   string `json:"key"`
	Letters int    `json:"doc_count"`
}

// mostBlocked is how many indices DeadLetters returns at most.
const mostBlocked = 100

// DeadLetters counts the dead letters of an index that are not older than a time, and
// returns the most frequent of their reasons, and the indices that did not accept
// documents. An index that is not there has none.
func DeadLetters(ctx context.Context, client Client, index string, age time.Duration, most int) (letters int, reasons []Reason, blocked []Blocked, err error) {
	doing := "count the dead letters of " + index
	body, err := json.Marshal(map[string]any{
		"size": 0, "track_total_hits": true,
		"query": map[string]any{"range": map[string]any{"@timestamp": map[string]any{"gte": fmt.Sprintf("now-%ds", int(age.Seconds()))}}},
		"aggs": map[string]any{"types": map[string]any{
			"terms": map[string]any{"field": "error.type", "size": most},
			"aggs":  map[string]any{"example": map[string]any{"top_hits": map[string]any{"size": 1, "_source": "error.reason"}}},
		}, "blocked": map[string]any{
			"filter": map[string]any{"term": map[string]any{"stage": "blocked"}},
			"aggs":   map[string]any{"indices": map[string]any{"terms": map[string]any{"field": "target_index", "size": mostBlocked}}},
		}},
	})
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%s: %w", doing, err)
	}
	type example struct {
		Source struct{ Error struct{ Reason string } } `json:"_source"`
	}
	var answer struct {
		Hits         struct{ Total struct{ Value int } }
		Aggregations struct {
			Types struct {
				Buckets []struct {
					Key     string
					Count   int `json:"doc_count"`
					Example struct{ Hits struct{ Hits []example } }
				}
			}
			Blocked struct{ Indices struct{ Buckets []Blocked } }
		}
	}
	err = call(ctx, client, doing, http.MethodPost, "/"+index+"/_search", body, &answer)
	if HasStatus(err, http.StatusNotFound) {
		return 0, nil, nil, nil
	}
	for _, b := range answer.Aggregations.Types.Buckets {
		r := Reason{Type: b.Key, Letters: b.Count}
		for _, hit := range b.Example.Hits.Hits {
			r.Example = hit.Source.Error.Reason
		}
		reasons = append(reasons, r)
	}
	return answer.Hits.Total.Value, reasons, answer.Aggregations.Blocked.Indices.Buckets, err
}
