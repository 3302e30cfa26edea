package deadletter

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"logsluice/opensearch"
)

// Dead letters as doctor counts them: the number of recent ones, and their reasons.

// Summary counts the dead letters of an index.
type Summary struct {
	// Letters is the number of letters.
	Letters int
	// Reasons are the most frequent reasons.
	Reasons []Reason
	// Blocked are the indices that did not accept documents, at most 100.
	Blocked []Blocked
}

// Reason is a reason for which documents became dead letters.
type Reason struct {
	// Type is OpenSearch's error type, or the decoder's.
	Type string
	// Letters is the number of letters with this reason, and Example the text of one of
	// them.
	Letters int
	Example string
}

// Blocked counts the dead letters of documents that their index did not accept.
type Blocked struct {
	Index   string `json:"key"`
	Letters int    `json:"doc_count"`
}

const maxBlocked = 100 // indices

// Summarize counts the dead letters under a prefix that are not older than age. It
// returns at most maxReasons of their reasons. An index that does not exist has no
// letters.
func Summarize(ctx context.Context, client opensearch.Client, prefix string, age time.Duration, maxReasons int) (Summary, error) {
	body := map[string]any{
		"size": 0, "track_total_hits": true,
		"query": map[string]any{"range": map[string]any{TimeField: map[string]any{"gte": fmt.Sprintf("now-%ds", int(age.Seconds()))}}},
		"aggs": map[string]any{"types": map[string]any{
			"terms": map[string]any{"field": TypeField, "size": maxReasons},
			"aggs":  map[string]any{"example": map[string]any{"top_hits": map[string]any{"size": 1, "_source": ReasonField}}},
		}, "blocked": map[string]any{
			"filter": map[string]any{"term": map[string]any{StageField: StageBlocked}},
			"aggs":   map[string]any{"indices": map[string]any{"terms": map[string]any{"field": TargetIndexField, "size": maxBlocked}}},
		}},
	}
	type example struct {
		Letter Letter `json:"_source"`
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
	index := Index(prefix)
	err := opensearch.Search(ctx, client, "count the dead letters of "+index, index, body, &answer)
	if opensearch.HasStatus(err, http.StatusNotFound) {
		return Summary{}, nil
	}
	s := Summary{Letters: answer.Hits.Total.Value, Blocked: answer.Aggregations.Blocked.Indices.Buckets}
	for _, b := range answer.Aggregations.Types.Buckets {
		r := Reason{Type: b.Key, Letters: b.Count}
		for _, hit := range b.Example.Hits.Hits {
			r.Example = hit.Letter.Cause.Reason
		}
		s.Reasons = append(s.Reasons, r)
	}
	return s, err
}
