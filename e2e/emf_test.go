package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// metricNames are the documented metrics. deploy/tests reads this list to check the dashboard,
// alarms and scaling of deploy/logsluice.yaml.
var metricNames = []string{
	"bulk_concurrency", "bulk_request_bytes", "bulk_request_seconds_count", "bulk_request_seconds_p50", "bulk_request_seconds_p99",
	"bulk_requests_failed", "control_messages", "dead_letters", "dead_letters_stored", "documents_already_there", "documents_conflicting",
	"documents_indexed", "documents_plain", "documents_rejected", "documents_retried", "events", "events_identical", "events_outside",
	"fields_left_out", "gap_seconds", "gaps", "in_flight_bytes", "indices_given_up", "indices_waited_for", "lag_seconds", "leases", "oldest_document_seconds", "put_to_acknowledged_seconds_count",
	"put_to_acknowledged_seconds_p50", "put_to_acknowledged_seconds_p99", "record_bytes", "records", "shards", "shards_paused", "shards_unread", "waiting_bytes",
}

// checkEMF checks a worker's log as CloudWatch reads it: each line is JSON, and the EMF documents
// together have exactly metricNames.
func checkEMF(t *testing.T, w *worker, application string, shards float64) {
	t.Helper()
	names, lagging := map[string]bool{}, map[string]bool{}
	var last map[string]any
	for line := range strings.Lines(w.lines()) {
		var metadata struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		values := map[string]any{}
		if err := json.Unmarshal([]byte(line), &metadata); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		_ = json.Unmarshal([]byte(line), &values) // checked above
		if shard, _ := values["shard"].(string); values["message"] == "lag" {
			lagging[shard] = true
		}
		if values["message"] != "summary" {
			continue
		}
		last = values
		if len(metadata.AWS.CloudWatchMetrics) != 1 {
			t.Fatalf("no EMF document: %s", line)
		}
		directive := metadata.AWS.CloudWatchMetrics[0]
		if age := time.Since(time.UnixMilli(metadata.AWS.Timestamp)); directive.Namespace != "logsluice" || values["application"] != application || age < 0 || age > time.Hour ||
			len(directive.Dimensions) != 1 || !slices.Equal(directive.Dimensions[0], []string{"application"}) {
			t.Errorf("wrong EMF document: %s", line)
		}
		for _, metric := range directive.Metrics {
			names[metric.Name] = true
			if _, is := values[metric.Name].(float64); !is {
				t.Errorf("%s has no number: %s", metric.Name, line)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, metricNames) {
		t.Errorf("metrics %q", got)
	}
	if last["shards"] != shards {
		t.Errorf("%v shards in the end, want %v", last["shards"], shards)
	}
	if len(lagging) == 0 {
		t.Error("no shard's lag was logged")
	}
}
