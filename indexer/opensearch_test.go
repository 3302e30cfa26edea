package indexer

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer/deadletter"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

// ask sends a request and decodes the response.
func ask(t *testing.T, client opensearch.Client, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Stream(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s: %s", path, raw)
	}
	return resp.StatusCode, answer
}

// A document whose fallbacks OpenSearch refuses too becomes a dead letter with the first
// reason that OpenSearch reported. Its payload is stored but cannot be searched.
func TestRefusedByOpenSearch(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	template, err := deadletter.Template(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := opensearch.EnsureTemplate(t.Context(), client, template); err != nil {
		t.Fatal(err)
	}
	index := prefix + "-2018-12-10"
	if status, answer := ask(t, client, http.MethodPut, "/"+index, `{"mappings":{"dynamic":"strict","properties":{"n":{"type":"integer"},"log_group":{"type":"keyword"}}}}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	ix, err := New(Config{
		Prefix: prefix, BatchBytes: 1 << 20, BatchDocuments: 100, Connections: 1, RequestTimeout: 30 * time.Second,
		RetryMin: time.Millisecond, RetryMax: time.Second, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(), Fallback: testFallback{}, InFlightBytes: 64 << 20,
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	for range 2 { // a re-delivery adds nothing
		docs := NewDocuments(Source{Stream: "stream", Shard: "shard", SequenceNumber: "1"}, 0)
		docs.From(Origin{LogGroup: []byte(`"/g"`)})
		for i, value := range []string{"1", `"not a number"`, "3"} {
			docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"%d\"}}\n{\"n\":%s,\"log_group\":\"/g\"}\n", index, i, value)
			docs.Next(0)
		}
		put(t, ix, docs)
	}
	ask(t, client, http.MethodPost, "/"+prefix+"*/_refresh", "")
	if _, answer := ask(t, client, http.MethodGet, "/"+index+"/_count", ""); answer["count"] != 2.0 {
		t.Errorf("documents: %v", answer)
	}
	_, answer := ask(t, client, http.MethodGet, "/"+template.Name+"/_search", `{"query":{"term":{"target_id":"1"}}}`)
	hits := answer["hits"].(map[string]any)["hits"].([]any)
	if len(hits) != 1 {
		t.Fatalf("dead letters: %v", answer)
	}
	letter, _ := json.Marshal(hits[0].(map[string]any)["_source"])
	for _, want := range []string{
		`"type":"mapper_parsing_exception"`, `failed to parse field [n] of type [integer]`, `For input string`,
		`"payload":"{\"_id\":\"1\",\"id\":\"1\",\"timestamp\":1544400000000,\"message\":\"\",\"logGroup\":\"/g\",\"position\":0}"`, `"log_group":"/g"`, `"sequence_number":"1"`, `"target_index":"` + index + `"`,
	} {
		if !strings.Contains(string(letter), want) {
			t.Errorf("%s is missing in %s", want, letter)
		}
	}
	if status, _ := ask(t, client, http.MethodGet, "/"+template.Name+"/_search", `{"query":{"term":{"payload":"x"}}}`); status != http.StatusBadRequest {
		t.Errorf("the payload is indexed: status %d", status)
	}
}

// Documents are sent to a node that temporarily refuses them until it accepts each one.
func TestTemporarilyReadOnly(t *testing.T) {
	client := localtest.Client(t)
	prefix := localtest.Prefix(t, client)
	index := prefix + "-2018-12-10"
	if status, answer := ask(t, client, http.MethodPut, "/"+index, `{"settings":{"index.blocks.write":true}}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	ix, err := New(Config{
		Prefix: prefix, BatchBytes: 1 << 20, BatchDocuments: 100, Connections: 2, RequestTimeout: 30 * time.Second,
		RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(), Fallback: testFallback{}, InFlightBytes: 64 << 20,
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	go func() {
		time.Sleep(500 * time.Millisecond)
		ask(t, client, http.MethodPut, "/"+index+"/_settings", `{"index.blocks.write":null}`)
	}()
	docs := NewDocuments(Source{}, 0)
	for i := range 500 {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"%d\"}}\n{\"n\":%d}\n", index, i, i)
		docs.Next(0)
	}
	put(t, ix, docs)
	ask(t, client, http.MethodPost, "/"+index+"/_refresh", "")
	if _, answer := ask(t, client, http.MethodGet, "/"+index+"/_count", ""); answer["count"] != 500.0 {
		t.Errorf("documents: %v", answer)
	}
}
