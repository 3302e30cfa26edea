package indexer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"logsluice/indexer/deadletter"
	"logsluice/local/localtest"
	"logsluice/opensearch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBulk is a _bulk endpoint for responses that a real node cannot easily be made to
// return. item returns the status and error type of each create.
type fakeBulk struct {
	item func(index, id, source string) (status int, kind string)
	// answer handles a whole request if it returns true.
	answer func(w http.ResponseWriter, body string) bool

	mu       sync.Mutex
	created  map[string]string // "index/id" to source
	requests []int             // documents of each request
	attempts map[string]int

	compressed atomic.Int64 // requests
}

func (f *fakeBulk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		f.compressed.Add(1)
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	raw, _ := io.ReadAll(body)
	if f.answer != nil && f.answer(w, string(raw)) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var items []string
	lines := bufio.NewScanner(strings.NewReader(string(raw)))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil || !lines.Scan() {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		key, source := action.Create.Index+"/"+action.Create.ID, lines.Text()
		f.attempts[key]++
		status, kind := http.StatusCreated, ""
		if f.item != nil {
			status, kind = f.item(action.Create.Index, action.Create.ID, source)
		}
		if _, exists := f.created[key]; exists && status == http.StatusCreated {
			status, kind = http.StatusConflict, "version_conflict_engine_exception"
		}
		if status == http.StatusCreated {
			f.created[key] = source
			items = append(items, `{"create":{"status":201}}`)
		} else {
			items = append(items, fmt.Sprintf(`{"create":{"status":%d,"error":{"type":%q,"reason":"because"}}}`, status, kind))
		}
	}
	f.requests = append(f.requests, len(items))
	fmt.Fprintf(w, `{"errors":true,"items":[%s]}`, strings.Join(items, ","))
}

func (f *fakeBulk) documents() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	documents := make(map[string]string)
	for key, source := range f.created {
		documents[key] = source
	}
	return documents
}

// start returns a running indexer for a fake endpoint.
func start(t *testing.T, fake *fakeBulk, change func(*Config)) *Indexer {
	t.Helper()
	fake.created, fake.attempts = make(map[string]string), make(map[string]int)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	cfg := Config{
		Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1000, Linger: 5 * time.Millisecond, Connections: 2,
		RequestTimeout: 5 * time.Second, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond, InFlightBytes: 64 << 20, WaitForIndex: time.Hour,
		Registry: prometheus.NewRegistry(), Log: zerolog.Nop(), Fallback: testFallback{},
	}
	if change != nil {
		change(&cfg)
	}
	client, err := opensearch.NewClient(opensearch.ClientConfig{URL: server.URL, Connections: cfg.Connections})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ix, err := New(cfg, client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ix.Close)
	return ix
}

// testFallback marks its results by name.
type testFallback struct{}

func (testFallback) AppendPlain(dst, source, _, _ []byte, kind, reason string) []byte {
	return fmt.Appendf(dst, `{"plain":%q,"why":%q,"of":%s}`, kind, reason, source)
}

func (testFallback) AppendMinimal(dst, _, _, _ []byte) []byte {
	return append(dst, `{"minimal":true}`...)
}

// Core returns the message of the documents that record makes.
func (testFallback) Core(source []byte) (timestamp, message []byte) {
	_, rest, _ := bytes.Cut(source, []byte(`"message":"`))
	text, _, _ := bytes.Cut(rest, []byte{'"'})
	return []byte(`"2018-12-10T00:00:00Z"`), quoted(text)
}

// record returns the documents of one record with the ids first, first+1, and so on.
func record(ix *Indexer, first, n int) *Documents {
	docs := NewDocuments(Source{Stream: "stream", Shard: "shard", SequenceNumber: fmt.Sprint(first)}, 0)
	docs.From(Origin{[]byte(`"owner"`), []byte(`"/g"`), []byte(`"s"`)})
	for i := range n {
		docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":\"app-2018-12-10\",\"_id\":\"%d\"}}\n{\"message\":\"m%d\",\"log_group\":\"/g\"}\n", first+i, first+i)
		docs.Next(0)
	}
	return docs
}

// put passes records to the indexer and waits for all their outcomes.
func put(t *testing.T, ix *Indexer, records ...*Documents) {
	t.Helper()
	var done sync.WaitGroup
	var calls atomic.Int64
	for _, docs := range records {
		done.Add(1)
		if err := ix.Put(t.Context(), docs, 0, func(settled bool) {
			if !settled {
				t.Error("done was called without all outcomes")
			}
			calls.Add(1)
			done.Done()
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, &done)
	time.Sleep(5 * time.Millisecond) // a second call of done would happen here
	if calls.Load() != int64(len(records)) {
		t.Errorf("done was called %d times for %d records", calls.Load(), len(records))
	}
}

func wait(t *testing.T, done *sync.WaitGroup) {
	t.Helper()
	finished := make(chan struct{})
	go func() { done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(2 * time.Minute):
		t.Fatal("no outcome in time")
	}
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestPutIndexesEachDocumentOnce(t *testing.T) {
	fake := &fakeBulk{}
	ix := start(t, fake, nil)
	var records []*Documents
	for i := range 50 {
		records = append(records, record(ix, i*100, 1+i*2))
	}
	records = append(records, record(ix, 0, 0)) // done is called at once for a record without documents
	put(t, ix, records...)
	documents := fake.documents()
	if want := 50 * 50; len(documents) != want {
		t.Errorf("%d documents, want %d", len(documents), want)
	}
	for key, source := range documents {
		id := strings.TrimPrefix(key, "app-2018-12-10/")
		if want := `{"message":"m` + id + `","log_group":"/g"}`; source != want {
			t.Errorf("%s: %s", key, source)
		}
	}
	// The same records again add nothing: a conflict is a success.
	put(t, ix, record(ix, 4900, 99))
	if again := fake.documents(); len(again) != len(documents) {
		t.Errorf("%d documents after a re-delivery", len(again))
	}
}

func TestBatchBounds(t *testing.T) {
	one := len(record(nil, 100, 1).Body)
	f := func(name string, change func(*Config), largest int) {
		t.Run(name, func(t *testing.T) {
			fake := &fakeBulk{}
			var tooLong atomic.Bool
			ix := start(t, fake, func(c *Config) { c.Connections = 1; c.Linger = 20 * time.Millisecond; change(c) })
			fake.answer = func(_ http.ResponseWriter, body string) bool {
				if len(body) > ix.cfg.BatchBytes && strings.Count(body, "\n") > 2 {
					tooLong.Store(true)
				}
				return false
			}
			put(t, ix, record(ix, 100, 60), record(ix, 200, 3), record(ix, 300, 30), record(ix, 400, 3), record(ix, 500, 4))
			if n := len(fake.documents()); n != 100 {
				t.Errorf("%d documents", n)
			}
			most := 0
			for _, n := range fake.requests {
				most = max(most, n)
			}
			if most > largest || tooLong.Load() {
				t.Errorf("requests of %v documents, too long: %v", fake.requests, tooLong.Load())
			}
		})
	}
	f("documents", func(c *Config) { c.BatchDocuments = 7 }, 7)
	f("bytes", func(c *Config) { c.BatchBytes = 10 * one }, 10)
	f("bytes that documents do not fill exactly", func(c *Config) { c.BatchBytes = 10*one + one/2 }, 10)
	f("fewer bytes than one document", func(c *Config) { c.BatchBytes = 1 }, 1)
}

// A document is sent at once when no request is under way. Documents that arrive during a
// request wait for each other until the response, but at most for the linger.
func TestLinger(t *testing.T) {
	localtest.Volume(t)
	f := func(name string, linger, answer time.Duration, least, most time.Duration) {
		t.Run(name, func(t *testing.T) {
			fake := &fakeBulk{}
			ix := start(t, fake, func(c *Config) { c.Linger = linger; c.Connections = 4 })
			put(t, ix, record(ix, 1000, 1), record(ix, 1001, 1)) // then two connections are allowed
			var first atomic.Bool
			fake.answer = func(http.ResponseWriter, string) bool {
				if !first.Swap(true) {
					time.Sleep(answer)
				}
				return false
			}
			fake.requests = nil
			began := time.Now()
			var done sync.WaitGroup
			done.Add(1)
			if err := ix.Put(t.Context(), record(ix, 0, 1), 0, func(bool) { done.Done() }); err != nil {
				t.Fatal(err)
			}
			for !first.Load() {
				if time.Sleep(time.Millisecond); time.Since(began) > linger/2 {
					t.Fatal("a document waits although nothing is under way")
				}
			}
			var records []*Documents
			for i := range 20 {
				records = append(records, record(ix, i+1, 1))
			}
			put(t, ix, records...)
			if took := time.Since(began); took < least || took > most {
				t.Errorf("indexed after %s", took)
			}
			wait(t, &done)
			if len(fake.requests) != 2 {
				t.Errorf("requests of %v documents", fake.requests)
			}
		})
	}
	f("until the response", 3*time.Second, 300*time.Millisecond, 250*time.Millisecond, 2*time.Second)
	f("until the linger ends", 300*time.Millisecond, 3*time.Second, 250*time.Millisecond, 2*time.Second)
}

// Only failed documents are sent again, and permanently refused ones become dead letters.
// Other documents of the record are not delayed.
func TestOutcomesOfDocuments(t *testing.T) {
	f := func(name string, status int, kind string, wantAttempts int, wantPlain bool) {
		t.Run(name, func(t *testing.T) {
			fake := &fakeBulk{}
			ix := start(t, fake, nil)
			fake.item = func(index, id, _ string) (int, string) {
				if id == "3" && fake.attempts[index+"/3"] < wantAttempts {
					return status, kind
				}
				return http.StatusCreated, ""
			}
			put(t, ix, record(ix, 0, 10))
			if got := fake.attempts["app-2018-12-10/3"]; got != wantAttempts {
				t.Errorf("%d attempts, want %d", got, wantAttempts)
			}
			wantRejected := 0
			if status == http.StatusTooManyRequests {
				wantRejected = wantAttempts - 1
			}
			if got := testutil.ToFloat64(ix.metrics.rejected); got != float64(wantRejected) {
				t.Errorf("%.0f documents counted as rejected, want %d", got, wantRejected)
			}
			for _, id := range []string{"2", "4"} {
				if got := fake.attempts["app-2018-12-10/"+id]; got != 1 {
					t.Errorf("document %s next to it was sent %d times", id, got)
				}
			}
			for key, source := range fake.documents() {
				if strings.HasPrefix(key, "app-dead-letter/") {
					t.Errorf("dead letter %s", source)
				}
			}
			source := fake.documents()["app-2018-12-10/3"]
			if plain := fmt.Sprintf(`{"plain":%q,"why":"because","of":{"message":"m3","log_group":"/g"}}`, kind); (source == plain) != wantPlain {
				t.Errorf("indexed as %s", source)
			}
		})
	}
	f("busy", 429, "rejected_execution_exception", 3, false)
	f("unavailable", 503, "unavailable_shards_exception", 3, false)
	f("internal", 500, "exception", 3, false)
	f("block", 403, "cluster_block_exception", 3, false)
	f("forbidden", 403, "security_exception", 3, false)
	f("no index", 404, "index_not_found_exception", 3, false)
	f("another resource is missing", 404, "resource_not_found_exception", 3, false)
	f("closed", 400, "index_closed_exception", 3, false)
	f("too many shards for a new index", 400, "validation_exception", 3, false)
	f("mapping", 400, "mapper_parsing_exception", 2, true)
	f("field limit", 400, "illegal_argument_exception", 2, true)
}

// A document whose plain fallback is refused too is kept as a dead letter. Its minimal
// fallback is sent as well and may be refused. Other documents continue.
func TestRefusedInEachFallback(t *testing.T) {
	f := func(name string, bareStatus int, want string) {
		t.Run(name, func(t *testing.T) {
			fake := &fakeBulk{}
			ix := start(t, fake, nil)
			fake.item = func(_, id, source string) (int, string) {
				switch {
				case id != "3":
					return http.StatusCreated, ""
				case source == `{"minimal":true}`:
					return bareStatus, "bare_exception"
				case strings.HasPrefix(source, `{"plain"`):
					return http.StatusBadRequest, "plain_exception"
				}
				return http.StatusBadRequest, "first_exception"
			}
			put(t, ix, record(ix, 0, 10))
			documents := fake.documents()
			if got := documents["app-2018-12-10/3"]; got != want {
				t.Errorf("indexed as %q", got)
			}
			if len(documents) != 10+len(want)/len(`{"minimal":true}`) {
				t.Errorf("%d documents", len(documents))
			}
			for key, source := range documents {
				if strings.HasPrefix(key, "app-dead-letter/") {
					var letter deadletter.Letter
					if err := json.Unmarshal([]byte(source), &letter); err != nil || letter.Cause.Type != "first_exception" || letter.TargetID != "3" ||
						letter.Payload != `{"_id":"3","id":"3","timestamp":1544400000000,"message":"m3","owner":"owner","logGroup":"/g","logStream":"s","position":0}` || letter.LogGroup != "/g" || letter.SequenceNumber != "0" || letter.PayloadTruncated {
						t.Errorf("dead letter %s, %v", source, err)
					}
				}
			}
		})
	}
	f("minimal", http.StatusCreated, `{"minimal":true}`)
	f("minimal refused", http.StatusBadRequest, "")
	f("its index becomes blocked", http.StatusForbidden, "")
	f("minimal fails", http.StatusInternalServerError, "")
}

// Documents whose context has ended are not sent again.
func TestCanceled(t *testing.T) {
	fake := &fakeBulk{}
	var attempts atomic.Int64
	fake.item = func(_, id, _ string) (int, string) {
		if id == "3" {
			attempts.Add(1)
			return http.StatusTooManyRequests, "busy"
		}
		return http.StatusCreated, ""
	}
	ix := start(t, fake, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool, 1)
	if err := ix.Put(ctx, record(ix, 0, 5), 0, func(settled bool) { done <- settled }); err != nil {
		t.Fatal(err)
	}
	for attempts.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case settled := <-done:
		if settled {
			t.Error("settled without an outcome")
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("done is not called")
	}
	if n := len(fake.documents()); n != 4 {
		t.Errorf("%d documents", n)
	}
}

// Compressed bodies have the same content as uncompressed ones.
func TestGzip(t *testing.T) {
	fake := &fakeBulk{}
	ix := start(t, fake, func(c *Config) { c.Gzip = true })
	var records []*Documents
	for i := range 50 {
		records = append(records, record(ix, i*100, 100))
	}
	put(t, ix, records...)
	documents := fake.documents()
	if len(documents) != 5000 || fake.compressed.Load() != int64(len(fake.requests)) {
		t.Errorf("%d documents, %d of %d requests compressed", len(documents), fake.compressed.Load(), len(fake.requests))
	}
	if got := documents["app-2018-12-10/42"]; got != `{"message":"m42","log_group":"/g"}` {
		t.Errorf("document: %s", got)
	}
}

// Requests first run one at a time, then more, but never more than allowed. An OpenSearch
// that refuses more than two concurrent requests soon gets fewer.
func TestConcurrencyAdapts(t *testing.T) {
	localtest.Volume(t)
	f := func(name string, room int64) {
		t.Run(name, func(t *testing.T) {
			var running, most, refused, all atomic.Int64
			fake := &fakeBulk{answer: func(w http.ResponseWriter, _ string) bool {
				n := running.Add(1)
				defer running.Add(-1)
				most.Store(max(most.Load(), n))
				all.Add(1)
				time.Sleep(10 * time.Millisecond)
				if n > room {
					refused.Add(1)
					http.Error(w, "busy", http.StatusTooManyRequests)
				}
				return n > room
			}}
			ix := start(t, fake, func(c *Config) { c.Connections = 8; c.BatchDocuments = 10 })
			var records []*Documents
			for i := range 200 {
				records = append(records, record(ix, i*10, 10))
			}
			put(t, ix, records...)
			if n := len(fake.documents()); n != 2000 {
				t.Errorf("%d documents", n)
			}
			if room >= 8 && (most.Load() < 6 || most.Load() > 8) || room < 8 && refused.Load() > all.Load()/3 {
				t.Errorf("at most %d concurrent, %d of %d refused", most.Load(), refused.Load(), all.Load())
			}
		})
	}
	f("accepts all", 100)
	f("accepts two", 2)
}

// Without ids for documents, dead letters have none either.
func TestDeadLetterWithoutID(t *testing.T) {
	var body string
	fake := &fakeBulk{answer: func(w http.ResponseWriter, b string) bool {
		body = b
		io.WriteString(w, `{"items":[{"index":{"status":201}}]}`)
		return true
	}}
	ix := start(t, fake, func(c *Config) { c.NoIDs = true })
	put(t, ix, NewDeadLetter(Record{}, deadletter.StageParse, io.EOF, []byte("x")))
	if action, _, _ := strings.Cut(body, "\n"); action != `{"index":{"_index":"app-dead-letter"}}` {
		t.Errorf("action %s", action)
	}
}

// A request that fails as a whole is sent again until it succeeds.
func TestRequestFailures(t *testing.T) {
	var silent chan struct{} // of a server that does not answer
	f := func(name string, fail func(w http.ResponseWriter)) {
		t.Run(name, func(t *testing.T) {
			fake := &fakeBulk{}
			ix := start(t, fake, func(c *Config) { c.RequestTimeout = 200 * time.Millisecond })
			silent = make(chan struct{})
			t.Cleanup(func() { close(silent) }) // before the server is closed
			var failures atomic.Int64
			fake.answer = func(w http.ResponseWriter, _ string) bool {
				if failures.Add(1) > 5 {
					return false
				}
				fail(w)
				return true
			}
			put(t, ix, record(ix, 0, 10))
			for key, source := range fake.documents() {
				if !strings.HasPrefix(key, "app-2018-12-10/") || !strings.HasPrefix(source, `{"message":`) {
					t.Errorf("unexpected document %s: %s", key, source)
				}
			}
			if n := len(fake.documents()); n != 10 {
				t.Errorf("%d documents", n)
			}
			if n := testutil.ToFloat64(ix.metrics.rejected); n > 0 != strings.HasPrefix(name, "429") || n > 0 && n != 50 {
				t.Errorf("%.0f documents counted as rejected", n)
			}
		})
	}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { http.Error(w, "no", code) }
	}
	// Otherwise the documents would be considered the cause.
	f("400 of a proxy", status(400))
	f("400 of OpenSearch", func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"root_cause":[],"type":"illegal_argument_exception","reason":"explicit index in bulk is not allowed"},"status":400}`)
	})
	f("429", status(429))
	f("429 of a busy node", func(w http.ResponseWriter) { refuseForPressure(w, 1000, 1, 1000) })
	f("502", status(502))
	f("503", status(503))
	f("401", status(401))
	f("403", status(403))
	f("invalid JSON", func(w http.ResponseWriter) { io.WriteString(w, "<html>") })
	f("too few items", func(w http.ResponseWriter) { io.WriteString(w, `{"errors":false,"items":[{"create":{"status":201}}]}`) })
	f("item without status", func(w http.ResponseWriter) {
		io.WriteString(w, `{"errors":false,"items":[`+strings.Repeat(`{"create":{}},`, 9)+`{"create":{}}]}`)
	})
	f("connection cut", func(w http.ResponseWriter) { panic(http.ErrAbortHandler) })
	f("no response", func(http.ResponseWriter) { <-silent })
}

// When OpenSearch answers again, documents delayed by its failure are sent at once.
// Refused documents keep waiting.
func TestReachableAgain(t *testing.T) {
	fake := &fakeBulk{}
	var away atomic.Bool
	var attempts atomic.Int64
	fake.answer = func(w http.ResponseWriter, body string) bool {
		if away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return true
		}
		if strings.Contains(body, `"m1000"`) {
			attempts.Add(1)
		}
		return false
	}
	fake.item = func(_, id, _ string) (int, string) {
		if id == "1000" {
			return http.StatusForbidden, "cluster_block_exception"
		}
		return http.StatusCreated, ""
	}
	ix := start(t, fake, func(c *Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour })
	var done sync.WaitGroup
	done.Add(3)
	for i := range 3 {
		away.Store(i < 2)
		if i == 2 { // refused, before the others are put
			if err := ix.Put(t.Context(), record(ix, 1000, 1), 0, func(bool) {}); err != nil {
				t.Fatal(err)
			}
			for attempts.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if err := ix.Put(t.Context(), record(ix, 10*i, 10), 0, func(bool) { done.Done() }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	wait(t, &done)
	if n := attempts.Load(); n != 1 {
		t.Errorf("the refused document was sent %d times", n)
	}
}

// A request that keeps failing while others succeed still waits between attempts.
func TestFailsWhileOthersSucceed(t *testing.T) {
	var failures atomic.Int64
	fake := &fakeBulk{answer: func(w http.ResponseWriter, body string) bool {
		if strings.Contains(body, `"m1000"`) {
			failures.Add(1)
			http.Error(w, "never", http.StatusBadGateway)
			return true
		}
		return false
	}}
	ix := start(t, fake, func(c *Config) { c.RetryMin, c.RetryMax, c.Linger = time.Hour, time.Hour, 0 })
	if err := ix.Put(t.Context(), record(ix, 1000, 1), 0, func(bool) {}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		for failures.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		put(t, ix, record(ix, 10*i, 10))
	}
	time.Sleep(50 * time.Millisecond)
	if n := failures.Load(); n != 2 { // once more when others succeed
		t.Errorf("it was sent %d times", n)
	}
}

// A response that is lost after the request was applied causes no duplicates.
func TestAppliedAndLost(t *testing.T) {
	fake := &fakeBulk{}
	ix := start(t, fake, nil)
	var lost atomic.Bool
	fake.answer = func(_ http.ResponseWriter, body string) bool {
		if lost.Swap(true) {
			return false
		}
		fake.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/_bulk", strings.NewReader(body)))
		panic(http.ErrAbortHandler)
	}
	put(t, ix, record(ix, 0, 10))
	if n := len(fake.documents()); n != 10 {
		t.Errorf("%d documents", n)
	}
	if got := fake.attempts["app-2018-12-10/3"]; got != 2 {
		t.Errorf("%d attempts", got)
	}
}

// A request that is too large is halved until it fits. A single document that never fits
// becomes a dead letter, whose payload is cut until the letter fits.
func TestTooLarge(t *testing.T) {
	const limit = 2000
	f := func(name string, refuse func(w http.ResponseWriter, size int)) {
		t.Run(name, func(t *testing.T) { testTooLarge(t, limit, refuse) })
	}
	f("for the server", func(w http.ResponseWriter, _ int) { http.Error(w, "too large", http.StatusRequestEntityTooLarge) })
	f("for a node's memory", func(w http.ResponseWriter, size int) { refuseForPressure(w, 0, size, limit) })
}

// refuseForPressure responds like a node whose indexing memory is used up.
func refuseForPressure(w http.ResponseWriter, held, size, most int) {
	w.WriteHeader(http.StatusTooManyRequests)
	fmt.Fprintf(w, `{"error":{"root_cause":[],"type":"rejected_execution_exception","reason":"rejected execution of coordinating operation `+
		`[coordinating_and_primary_bytes=%d, replica_bytes=0, all_bytes=%[1]d, coordinating_operation_bytes=%d, max_coordinating_and_primary_bytes=%d]"},"status":429}`, held, size, most)
}

func testTooLarge(t *testing.T, limit int, refuse func(w http.ResponseWriter, size int)) {
	t.Helper()
	fake := &fakeBulk{}
	ix := start(t, fake, nil)
	fake.answer = func(w http.ResponseWriter, body string) bool {
		if len(body) > limit {
			refuse(w, len(body))
		}
		return len(body) > limit
	}
	docs := record(ix, 0, 100)
	docs.Body = fmt.Appendf(docs.Body, "{\"create\":{\"_index\":\"app-2018-12-10\",\"_id\":\"big\"}}\n{\"message\":\"%s\",\"log_group\":\"/g\"}\n", strings.Repeat("x", 10*limit))
	docs.Next(0)
	put(t, ix, docs)
	found := 0
	for key, source := range fake.documents() {
		if !strings.HasPrefix(key, "app-dead-letter/") {
			if found++; (source == `{"minimal":true}`) != strings.HasSuffix(key, "/big") {
				t.Errorf("%s: %s", key, source)
			}
			continue
		}
		var letter deadletter.Letter
		if err := json.Unmarshal([]byte(source), &letter); err != nil {
			t.Fatal(err)
		}
		if !letter.PayloadTruncated || letter.PayloadBytes < 10*limit || len(letter.Payload) < limit/8 || letter.TargetID != "big" || letter.TargetIndex != "app-2018-12-10" {
			t.Errorf("dead letter: %.300s", source)
		}
	}
	if documents := fake.documents(); found != 101 || len(documents) != 102 {
		t.Errorf("%d documents, %d with dead letters", found, len(documents))
	}
}

func TestDeadLetter(t *testing.T) {
	fake := &fakeBulk{}
	ix := start(t, fake, nil)
	source := Source{Stream: "stream", Shard: "shard-1", SequenceNumber: "7"}
	var done sync.WaitGroup
	payloads := []string{"not gzip", "\xff\xfe\x00binary"}
	for range 2 { // a re-delivery causes no duplicates
		for _, payload := range payloads {
			done.Add(1)
			letter := NewDeadLetter(Record{Source: source, LogGroup: "/g"}, deadletter.StageInflate, io.ErrUnexpectedEOF, []byte(payload))
			if err := ix.Put(t.Context(), letter, 0, func(bool) { done.Done() }); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait(t, &done)
	documents := fake.documents()
	if len(documents) != 2 {
		t.Fatalf("%d dead letters", len(documents))
	}
	encodings := map[string]string{}
	for _, text := range documents {
		var letter deadletter.Letter
		if err := json.Unmarshal([]byte(text), &letter); err != nil {
			t.Fatal(err)
		}
		encodings[letter.PayloadEncoding] = letter.Payload
		if letter.Stage != "inflate" || letter.Cause.Reason != "unexpected EOF" || letter.Shard != "shard-1" || letter.LogGroup != "/g" || letter.SequenceNumber != "7" || time.Since(letter.Time) > time.Minute {
			t.Errorf("dead letter: %s", text)
		}
	}
	if encodings["text"] != "not gzip" || encodings["base64"] != "//4AYmluYXJ5" {
		t.Errorf("payloads: %v", encodings)
	}
	if n, again := counted(t, ix.metrics.deadLetters), counted(t, ix.metrics.alreadyIndexed); n != 2 || again != 2 {
		t.Errorf("%v dead letters and %v already there are counted", n, again)
	}
}

// A payload longer than a string may be is cut from the start and marked as truncated.
func TestDeadLetterTooLong(t *testing.T) {
	localtest.Volume(t)
	fake := &fakeBulk{}
	ix := start(t, fake, func(c *Config) { c.RequestTimeout = time.Minute })
	for _, unit := range []string{"x", "\xff"} {
		put(t, ix, NewDeadLetter(Record{}, deadletter.StageParse, io.EOF, []byte(strings.Repeat(unit, deadletter.MaxPayload+1))))
	}
	for _, source := range fake.documents() {
		var letter deadletter.Letter
		if err := json.Unmarshal([]byte(source), &letter); err != nil || !letter.PayloadTruncated || letter.PayloadBytes != deadletter.MaxPayload+1 || len(letter.Payload) < deadletter.MaxPayload || len(letter.Payload) >= 50_000_000 {
			t.Errorf("%d characters of %d bytes, %v", len(letter.Payload), letter.PayloadBytes, err)
		}
	}
	if n := len(fake.documents()); n != 2 {
		t.Errorf("%d dead letters", n)
	}
}

// A refused dead letter is kept and sent again, never skipped.
func TestDeadLetterRefused(t *testing.T) {
	fake := &fakeBulk{}
	var refusals atomic.Int64
	fake.item = func(index, _, _ string) (int, string) {
		if index == "app-dead-letter" && refusals.Add(1) < 4 {
			return http.StatusBadRequest, "mapper_parsing_exception"
		}
		if index != "app-dead-letter" {
			return http.StatusBadRequest, "mapper_parsing_exception"
		}
		return http.StatusCreated, ""
	}
	ix := start(t, fake, nil)
	put(t, ix, record(ix, 0, 2))
	if n := len(fake.documents()); n != 2 || refusals.Load() < 4 {
		t.Errorf("%d dead letters", n)
	}
}

// slowReader is a transport that returns a response before it has read the body.
type slowReader struct {
	bodies chan io.ReadCloser
}

func (s slowReader) Stream(r *http.Request) (*http.Response, error) {
	s.bodies <- r.Body
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[{"create":{"status":201}}]}`))}, nil
}

// The memory of a request that the transport still reads is not reused.
func TestBodyReadLate(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		client := slowReader{bodies: make(chan io.ReadCloser, 1)}
		ix, err := New(Config{
			Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1, Connections: 1, RequestTimeout: time.Second, Gzip: compressed,
			RetryMin: time.Millisecond, RetryMax: time.Second, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(), Fallback: testFallback{}, InFlightBytes: 64 << 20,
		}, client)
		if err != nil {
			t.Fatal(err)
		}
		defer ix.Close()
		for i := range 50 {
			docs := record(ix, 1000+i, 1)
			want := string(docs.Body)
			put(t, ix, docs)
			for range 4 { // would overwrite it
				record(ix, 5000, 1)
				if _, err := pack(strings.NewReader("another request")); err != nil {
					t.Fatal(err)
				}
			}
			var body io.Reader = <-client.bodies
			if compressed {
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := io.ReadAll(body); string(got) != want {
				t.Fatalf("the transport reads %q instead of %q", got, want)
			}
		}
	}
}

func TestClose(t *testing.T) {
	fake := &fakeBulk{answer: func(w http.ResponseWriter, _ string) bool {
		http.Error(w, "busy", http.StatusTooManyRequests)
		return true
	}}
	ix := start(t, fake, nil)
	called := make(chan struct{}, 1)
	if err := ix.Put(t.Context(), record(ix, 0, 5), 0, func(bool) { called <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	ix.Close()
	if err := ix.Put(t.Context(), record(ix, 5, 5), 0, func(bool) { called <- struct{}{} }); err == nil {
		t.Error("a closed indexer accepted documents")
	}
	if len(called) != 0 {
		t.Error("done was called without an outcome")
	}
}

func TestNew_Failure(t *testing.T) {
	good := Config{Prefix: "p", BatchBytes: 1, BatchDocuments: 1, Connections: 1, RequestTimeout: 1, RetryMin: 1, RetryMax: 1, InFlightBytes: 64 << 20, Fallback: testFallback{}, Registry: prometheus.NewRegistry()}
	f := func(change func(*Config)) {
		t.Helper()
		cfg := good
		change(&cfg)
		if ix, err := New(cfg, nil); err == nil {
			ix.Close()
			t.Errorf("no error for %+v", cfg)
		}
	}
	f(func(c *Config) { c.Prefix = "" })
	f(func(c *Config) { c.BatchBytes = 0 })
	f(func(c *Config) { c.BatchDocuments = -1 })
	f(func(c *Config) { c.Linger = -1 })
	f(func(c *Config) { c.Connections = 0 })
	f(func(c *Config) { c.RequestTimeout = 0 })
	f(func(c *Config) { c.RetryMax = 0 })
	f(func(c *Config) { c.Fallback = nil })
}
