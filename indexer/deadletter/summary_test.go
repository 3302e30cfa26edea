package deadletter

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// domain responds to each request with a status and a body.
type domain struct {
	status       int
	body         string
	asked, query string
}

func (d *domain) Stream(r *http.Request) (*http.Response, error) {
	query, err := io.ReadAll(r.Body)
	d.asked, d.query = r.Method+" "+r.URL.Path, string(query)
	return &http.Response{StatusCode: d.status, Status: http.StatusText(d.status), Body: io.NopCloser(strings.NewReader(d.body))}, err
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	d := &domain{status: http.StatusOK, body: `{"took":1,"hits":{"total":{"value":7,"relation":"eq"},"hits":[]},"aggregations":{
		"types":{"buckets":[
			{"key":"mapper_parsing_exception","doc_count":4,"example":{"hits":{"hits":[{"_id":"1","_source":{"error":{"reason":"failed to parse"}}}]}}},
			{"key":"parse_error","doc_count":2,"example":{"hits":{"hits":[]}}}]},
		"blocked":{"doc_count":3,"indices":{"buckets":[{"key":"app-2026-01-15","doc_count":3}]}}}}`}
	got, err := Summarize(t.Context(), d, "app", 24*time.Hour, 3)
	want := Summary{
		Letters: 7,
		Reasons: []Reason{{"mapper_parsing_exception", 4, "failed to parse"}, {Type: "parse_error", Letters: 2}},
		Blocked: []Blocked{{"app-2026-01-15", 3}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	const query = `{"aggs":{"blocked":{"aggs":{"indices":{"terms":{"field":"target_index","size":100}}},"filter":{"term":{"stage":"blocked"}}},` +
		`"types":{"aggs":{"example":{"top_hits":{"_source":"error.reason","size":1}}},"terms":{"field":"error.type","size":3}}},` +
		`"query":{"range":{"@timestamp":{"gte":"now-86400s"}}},"size":0,"track_total_hits":true}`
	if d.asked != "POST /app-dead-letter/_search" || d.query != query {
		t.Errorf("%s %s", d.asked, d.query)
	}
	if got, err := Summarize(t.Context(), &domain{status: http.StatusNotFound, body: "{}"}, "app", time.Hour, 3); err != nil || !reflect.DeepEqual(got, Summary{}) {
		t.Errorf("without an index: %+v, %v", got, err)
	}
	if _, err := Summarize(t.Context(), &domain{status: http.StatusForbidden, body: "{}"}, "app", time.Hour, 3); err == nil || !strings.HasPrefix(err.Error(), "count the dead letters of app-dead-letter: ") {
		t.Errorf("denied: %v", err)
	}
}
