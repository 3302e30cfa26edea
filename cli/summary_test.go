package cli

import (
	"testing"
	"time"
)

func TestSummarySentence(t *testing.T) {
	f := func(want string, values map[string]float64) {
		t.Helper()
		if got := summarySentence(time.Minute, values); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("1m: 0 documents indexed of 0 events in 0 records; holding 0 of 0 shards", nil)
	f("1m: 12,345 documents indexed of 12,345 events in 320 records, 166ms after Kinesis (99%: 1.3s); lag 12m34s; holding 2 of 4 shards",
		map[string]float64{"documents_indexed": 12345, "events": 12345, "records": 320, "lag_seconds": 754.4, "leases": 2, "shards": 4, "oldest_document_seconds": 0.4,
			"put_to_acknowledged_seconds_count": 5, "put_to_acknowledged_seconds_p50": 0.16612345, "put_to_acknowledged_seconds_p99": 1.2987})
	f("1m: 0 documents indexed of 0 events in 0 records; holding 0 of 4 shards; 4 shards unread; 1 gaps; 2 bulk requests failed; oldest document waits for 46.6s",
		map[string]float64{"shards": 4, "shards_unread": 4, "gaps": 1, "bulk_requests_failed": 2, "oldest_document_seconds": 46.644343852})
}
