package indexer_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer"
	"logsluice/indexer/deadletter"
	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
	"logsluice/opensearch/assets"
	"logsluice/subscription"
)

// Each version accepts our templates with its cheapest text type and returns them
// unchanged. It indexes each document of the mapper once, however often it is sent, and
// finds it.
func TestVersions(t *testing.T) {
	shared := localtest.OpenSearch(t)
	f := func(version, text string) {
		t.Helper()
		t.Run(version, func(t *testing.T) {
			url := shared
			if version != "shared" {
				localtest.Long(t)
				s, err := local.StartOpenSearch(t.Context(), local.Options{Version: version, Heap: "256m", FastStart: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := s.Stop(); err != nil {
						t.Error(err)
					}
				})
				url = s.URL
			}
			checkVersion(t, url, text)
		})
	}
	f("7.10.2", "text")
	f("1.3.20", "text")
	f("2.19.4", "match_only_text")
	f("shared", "match_only_text")
}

func checkVersion(t *testing.T, url, text string) {
	client, err := opensearch.NewClient(opensearch.ClientConfig{URL: url, Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func(method, path, body string, answer any) {
		t.Helper()
		if err := inspect.Ask(t.Context(), client, method, path, body, answer); err != nil {
			t.Fatal(err)
		}
	}
	prefix := fmt.Sprintf("t%d", time.Now().UnixNano())
	defer ask(http.MethodDelete, "/_index_template/"+prefix+"*", "", nil)
	defer ask(http.MethodDelete, "/"+prefix+"-2018-12-10,"+prefix+"-2018-12-11,"+deadletter.Index(prefix)+"?ignore_unavailable=true", "", nil)
	naming := schema.Naming{Prefix: prefix, Zone: time.UTC}
	fields, err := schema.BuiltIn(schema.Default)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := mapping.New(mapping.Config{Naming: naming, Schema: fields})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		templates, err := assets.Documents{Naming: naming, Schema: fields}.Templates()
		if err != nil {
			t.Fatal(err)
		}
		for _, template := range templates {
			if _, changes, err := opensearch.EnsureTemplate(t.Context(), client, template); err != nil || len(changes) > 0 != want {
				t.Fatalf("template %s: changes %v, want %v, %v", template.Name, changes, want, err)
			}
		}
	}
	for _, want := range []bool{true, false} {
		if created, err := opensearch.EnsureIndex(t.Context(), client, deadletter.Index(prefix)); err != nil || created != want {
			t.Fatalf("dead-letter index: created %t, %v", created, err)
		}
	}
	ask(http.MethodPut, "/"+prefix+"-aliased", `{"aliases":{"`+prefix+`-alias":{}}}`, nil)
	defer ask(http.MethodDelete, "/"+prefix+"-aliased", "", nil)
	if _, err := opensearch.EnsureIndex(t.Context(), client, prefix+"-alias"); !errors.Is(err, opensearch.ErrNameTaken) {
		t.Fatalf("an alias instead of an index: %v", err)
	}
	// In one index, log_group has another type.
	ask(http.MethodPut, "/"+prefix+"-2018-12-11", `{"mappings":{"properties":{"log_group":{"type":"integer"}}}}`, nil)
	ix, err := indexer.New(indexer.Config{
		Prefix: prefix, BatchBytes: 1 << 20, BatchDocuments: 100, Connections: 1, RequestTimeout: 30 * time.Second,
		RetryMin: time.Millisecond, RetryMax: time.Second, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(), Fallback: mapper, InFlightBytes: 1 << 20,
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	envelope := &subscription.Envelope{Owner: subscription.Text(`"1"`), LogGroup: subscription.Text(`"/g"`), LogStream: subscription.Text(`"s"`)}
	for i, day := range []int64{1544414264183, 1544414264184, 1544414264183 + 24*3600*1000} {
		envelope.Events = append(envelope.Events, subscription.Event{ID: fmt.Append(nil, i), Timestamp: day, Message: subscription.Text(fmt.Sprintf(`"the line %d is here"`, i))})
	}
	const structured = `{\"level\":\"warn\",\"msg\":\"the fields are here\",\"status\":\"503\",\"duration\":\"1.5s\",\"error\":{\"message\":\"it broke\"},\"unknown\":{\"a\":[]}}`
	envelope.Events = append(envelope.Events, subscription.Event{ID: []byte("3"), Timestamp: 1544414264183, Message: subscription.Text(`"` + structured + `"`)})
	for range 2 {
		docs := indexer.NewDocuments(indexer.Source{Stream: "s", Shard: "x", SequenceNumber: "1"}, 0)
		mapper.Begin(envelope, time.Time{})
		n, _, _ := mapper.Prepare(1 << 20)
		for range n {
			docs.Body, _ = mapper.Append(docs.Body)
			docs.Next(0)
		}
		done := make(chan struct{})
		if err := ix.Put(t.Context(), docs, 0, func(bool) { close(done) }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
		case <-time.After(3 * time.Minute):
			t.Fatal("no outcome")
		}
	}
	ask(http.MethodPost, "/"+prefix+"*/_refresh", "", nil)
	found := func(indices, query string) int {
		t.Helper()
		var answer struct {
			Hits struct{ Total struct{ Value int } }
		}
		ask(http.MethodPost, "/"+indices+"/_search?ignore_unavailable=true", query, &answer)
		return answer.Hits.Total.Value
	}
	if n := found(prefix+"-2018-12-10", `{"query":{"match_all":{}}}`); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
	var indices map[string]struct {
		Mappings struct {
			Properties struct{ Message, Msg struct{ Type string } }
		}
	}
	ask(http.MethodGet, "/"+prefix+"-2018-12-10/_mapping", "", &indices)
	if fields := indices[prefix+"-2018-12-10"].Mappings.Properties; fields.Message.Type != text || fields.Msg.Type != text {
		t.Errorf("texts are mapped as %+v, want %s", fields, text)
	}
	for _, query := range []string{
		`{"term":{"level":"warn"}}`, `{"match_phrase":{"msg":"fields are"}}`, `{"range":{"status":{"gte":500}}}`,
		`{"range":{"duration_ms":{"gte":1500,"lte":1500}}}`, `{"match":{"error.message":"broke"}}`, `{"match_phrase":{"message":"the fields are"}}`,
	} {
		if n := found(prefix+"-2018-12-10", `{"query":`+query+`}`); n != 1 {
			t.Errorf("%s finds %d documents, want 1", query, n)
		}
	}
	if n := found(prefix+"-2018-12-10", `{"query":{"match_phrase":{"message":"line 1 is"}}}`); n != 1 {
		t.Errorf("the phrase matches %d documents", n)
	}
	plain := found(prefix+"-2018-12-11", `{"query":{"ids":{"values":["2"]}}}`)
	if dead := found(deadletter.Index(prefix), `{"query":{"term":{"target_id":"2"}}}`); plain+dead != 1 {
		t.Errorf("the refused event: %d documents, %d dead letters", plain, dead)
	}
}
