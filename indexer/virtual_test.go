package indexer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/local/localtest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// refusal is the item of an operation that is not accepted.
type refusal struct {
	status       int
	kind, reason string
	index        string
}

// virtualBulk is a _bulk endpoint without a network, for tests in virtual time.
type virtualBulk struct {
	mu     sync.Mutex
	refuse func(index, id string) *refusal            // nil accepts
	answer func(body string) (status int, fails bool) // of a whole request
	took   time.Duration                              // of a request

	created map[string]string // "index/id" to source
	sent    map[string]int    // "index/id", and attempts
	order   []string
	log     localtest.Buffer
}

func (b *virtualBulk) set(refuse func(index, id string) *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = refuse
}

func (b *virtualBulk) Stream(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	b.mu.Lock()
	took := b.took
	b.mu.Unlock()
	select {
	case <-time.After(took):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodGet { // the indices of a name
		name := strings.Trim(strings.TrimSuffix(r.URL.Path, "/_mapping"), "/")
		return respond(http.StatusOK, fmt.Sprintf(`{%q:{}}`, strings.TrimPrefix(name, "alias-"))), nil
	}
	if b.answer != nil {
		if status, fails := b.answer(string(body)); fails {
			return respond(status, `{"error":{"type":"story","reason":"the whole request"}}`), nil
		}
	}
	var items []string
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &action); err != nil {
			return nil, err
		}
		target := action["create"]
		key := target.Index + "/" + target.ID
		b.sent[key]++
		b.order = append(b.order, key)
		no := (*refusal)(nil)
		if b.refuse != nil {
			no = b.refuse(target.Index, target.ID)
		}
		if _, exists := b.created[key]; exists && no == nil {
			no = &refusal{409, "version_conflict_engine_exception", "[" + target.ID + "]: version conflict, document already exists (current version [1])", target.Index}
		}
		if no == nil {
			b.created[key] = lines[i+1]
			items = append(items, `{"create":{"status":201}}`)
			continue
		}
		items = append(items, fmt.Sprintf(`{"create":{"status":%d,"error":{"type":%q,"reason":%q,"index":%q}}}`, no.status, no.kind, no.reason, no.index))
	}
	return respond(http.StatusOK, `{"errors":true,"items":[`+strings.Join(items, ",")+`]}`), nil
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}
}

// letters returns the dead letters by the document id that they are about.
func (b *virtualBulk) letters(t *testing.T) map[string]deadletter.Letter {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]deadletter.Letter)
	for key, source := range b.created {
		if strings.HasPrefix(key, "app-dead-letter/") {
			all[letterIn(t, source).TargetID] = letterIn(t, source)
		}
	}
	return all
}

func letterIn(t *testing.T, source string) deadletter.Letter {
	t.Helper()
	var letter deadletter.Letter
	if err := json.Unmarshal([]byte(source), &letter); err != nil {
		t.Fatalf("%v: %s", err, source)
	}
	return letter
}

// state returns the created documents and how often each document was sent.
func (b *virtualBulk) state() (created map[string]string, sent map[string]int) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.created), maps.Clone(b.sent)
}

func (b *virtualBulk) has(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.created[key]
	return ok
}

func (b *virtualBulk) attempts(key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent[key]
}

// virtualIndexer is an indexer with a virtual endpoint.
type virtualIndexer struct {
	*Indexer
	*virtualBulk
	t       *testing.T
	next    int
	pending map[string]int // by shard: records with missing outcomes
	mu      sync.Mutex
}

// inVirtualTime runs a test with an indexer in a synctest bubble.
func inVirtualTime(t *testing.T, change func(*Config), test func(t *testing.T, v *virtualIndexer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := &virtualBulk{created: make(map[string]string), sent: make(map[string]int), took: 10 * time.Millisecond}
		cfg := Config{
			Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 10_000, Linger: 100 * time.Millisecond, Connections: 4,
			RequestTimeout: time.Minute, RetryMin: 100 * time.Millisecond, RetryMax: 10 * time.Second,
			InFlightBytes: 4 << 20, WaitForIndex: 30 * time.Minute,
			Registry: prometheus.NewRegistry(), Log: zerolog.New(&fake.log), Fallback: testFallback{},
		}
		if change != nil {
			change(&cfg)
		}
		ix, err := New(cfg, fake)
		if err != nil {
			t.Fatal(err)
		}
		v := &virtualIndexer{Indexer: ix, virtualBulk: fake, t: t, pending: make(map[string]int)}
		defer ix.Close()
		test(t, v)
		v.checkMemory()
	})
}

// checkMemory checks that no bytes count as in flight when no record is open.
func (v *virtualIndexer) checkMemory() {
	v.t.Helper()
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, n := range v.pending {
		if n > 0 {
			return
		}
	}
	if used, waiting, paused := v.budget.state(); used != 0 || waiting != 0 || paused != nil || len(v.budget.shards) > 0 {
		v.t.Errorf("%d bytes are in flight and %d wait, paused %v", used, waiting, paused)
	}
}

// put puts a record with one document per index into a shard, as a processor does. It
// reports false if the shard is paused or has no room within a second.
func (v *virtualIndexer) put(shard string, indices ...string) bool {
	return v.putLarge(shard, 0, indices...)
}

func (v *virtualIndexer) putLarge(shard string, size int, indices ...string) bool {
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Second)
	defer cancel()
	if !v.Begin(ctx, shard) {
		return false
	}
	v.next++
	docs := NewDocuments(Source{Stream: "stream", Shard: shard, SequenceNumber: fmt.Sprint(v.next), Arrived: time.Now()}, 0)
	docs.From(Origin{[]byte(`"owner"`), []byte(`"/g"`), []byte(`"s"`)})
	for i, index := range indices {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":%q,\"_id\":\"%d-%d\"}}\n{\"message\":\"m%d-%d%s\"}\n", index, v.next, i, v.next, i, strings.Repeat("x", size))
		docs.Next(i)
	}
	reserved := v.Reserve(ctx, shard, docs.Size())
	if reserved == 0 {
		return false
	}
	v.mu.Lock()
	v.pending[shard]++
	v.mu.Unlock()
	if err := v.Put(v.t.Context(), docs, reserved, func(bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.pending[shard]--
	}); err != nil {
		v.t.Error(err)
	}
	return true
}

// open returns the number of records of a shard with missing outcomes.
func (v *virtualIndexer) open(shard string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pending[shard]
}

// feed puts one document per second into a shard.
func (v *virtualIndexer) feed(shard, index string, length time.Duration) {
	for range int(length / time.Second) {
		if !v.put(shard, index) {
			v.t.Errorf("shard %s is not read", shard)
			return
		}
		time.Sleep(time.Second)
	}
}

// gauge returns the value of a metric.
func (v *virtualIndexer) gauge(name string) float64 {
	v.t.Helper()
	families, err := v.cfg.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		v.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	v.t.Fatalf("metric %s does not exist", name)
	return 0
}

func (v *virtualIndexer) givenUp() float64 {
	return testutil.ToFloat64(v.metrics.givenUp)
}

// Refusals in OpenSearch's wording.
func readOnly(index string) *refusal {
	return &refusal{403, "cluster_block_exception", "index [" + index + "] blocked by: [FORBIDDEN/8/index write (api)];", index}
}

func floodStage(index string) *refusal {
	return &refusal{429, "cluster_block_exception", "index [" + index + "] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];", index}
}

// only refuses documents of one index.
func only(index string, how func(string) *refusal) func(string, string) *refusal {
	return func(i, _ string) *refusal {
		if i == index {
			return how(i)
		}
		return nil
	}
}
