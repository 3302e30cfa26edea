package mapping

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// The first rule that matches decides, and dropped events are counted by rule.
func TestRules(t *testing.T) {
	s := schemaOf(t, `
fields:
  - {name: level, type: keyword, paths: [level], lowercase: true, values: {warning: warn}}
  - {name: status, type: short, paths: [status]}
  - {name: ok, type: boolean, paths: [ok]}
rules:
  - keep: {fields: {level: [WARNING, error]}}
  - drop: {log_group: ^/ecs/noisy$, message: GET /healthz}
  - drop: {log_stream: canary, fields: {status: "200", ok: "true"}}
  - keep: {log_group: important}
  - drop: {fields: {level: debug}}
  - drop: {message: "tab\there"}
  - drop: {message: ^$}
`)
	registry := prometheus.NewRegistry()
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: s, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	var want [7]int
	f := func(group, stream string, rule int, messages ...string) {
		t.Helper()
		e := &subscription.Envelope{Owner: schema.Literal("1"), LogGroup: schema.Literal(group), LogStream: schema.Literal(stream)}
		for i, message := range messages {
			e.Events = append(e.Events, subscription.Event{ID: fmt.Append(nil, i), Message: schema.Literal(message)})
		}
		documents := strings.Count(string(m.AppendAll(nil, e)), "\n") / 2
		if rule == 0 {
			if documents != len(messages) {
				t.Errorf("%s %s %q: %d documents", group, stream, messages, documents)
			}
			return
		}
		if want[rule-1] += len(messages); documents != 0 {
			t.Errorf("%s %s %q: %d documents", group, stream, messages, documents)
		}
	}
	f("/ecs/noisy", "s", 0, "hello", `{"level":"error","url":"GET /healthz"}`, `{"level":"Warn","url":"GET /healthz"}`)
	f("/ecs/noisy", "s", 2, "GET /healthz", `{"level":"info","msg":"GET /healthz"}`)
	f("/ecs/noisy/not", "s", 0, "GET /healthz")
	f("g", "a canary", 3, `{"status":200,"ok":true}`, `{"status":"200","ok":true,"level":"debug"}`)
	f("g", "a canary", 0, `{"status":200}`, `{"status":201,"ok":true}`, "x")
	f("important", "s", 0, `{"level":"debug"}`)
	f("g", "s", 5, `{"level":"DEBUG"}`)
	f("g", "s", 6, "a tab\there")
	f("g", "s", 0, "a tab there")
	f("g", "s", 7, "")
	for i, n := range want {
		if got := testutil.ToFloat64(m.metrics.dropped[i]); int(got) != n {
			t.Errorf("rule %d: %v dropped, want %d", i+1, got, n)
		}
	}
}

// Values that do not fit are left out and counted by field and reason, once per event
// however often it is prepared.
func TestLeftOutIsCounted(t *testing.T) {
	s := schemaOf(t, `
fields:
  - {name: status, type: short, paths: [status, code]}
  - {name: user, type: keyword, ignore_above: 3, paths: [user]}
`)
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	e := &subscription.Envelope{}
	for _, message := range []string{`{"status":"ok"}`, `{"status":"ok","code":200}`, `{"status":null,"user":"long"}`, `{"user":{"a":1}}`, `{"user":["long","ab"]}`, `{"user":["long"]}`, `no`} {
		e.Events = append(e.Events, subscription.Event{Message: schema.Literal(message)})
	}
	m.Begin(e, time.Time{})
	for more := true; more; {
		_, _, more = m.Prepare(1)
	}
	got := []float64{testutil.ToFloat64(m.metrics.unfit[0]), testutil.ToFloat64(m.metrics.tooLong[0]), testutil.ToFloat64(m.metrics.unfit[1]), testutil.ToFloat64(m.metrics.tooLong[1])}
	if want := []float64{1, 0, 1, 2}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("left out %v, want %v", got, want)
	}
}

// Fields from the names in the envelope, and from the event's system fields.
func TestOrigins(t *testing.T) {
	s := mustBuiltIn(t, "default")
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	f := func(stream, want string) {
		t.Helper()
		e := &subscription.Envelope{Owner: schema.Literal("1"), LogGroup: schema.Literal("g"), LogStream: schema.Literal(stream), Events: []subscription.Event{
			{ID: []byte("1"), Message: schema.Literal("x"), Account: schema.Literal("2"), Region: schema.Literal("eu")}}}
		want = `"message":"x","log_group":"g","log_stream":` + string(schema.Literal(stream)) + `,"owner":"1"` + want + `,"account":"2","region":"eu"}` + "\n"
		if got := string(m.AppendAll(nil, e)); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s", stream, got)
		}
	}
	const task, old = "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"
	f("prefix/app/"+task, `,"container":"app","task_id":"`+task+`"`)
	f("a/b/app-1_2/"+old, `,"container":"app-1_2","task_id":"`+old+`"`)
	f("app/"+task, `,"container":"app","task_id":"`+task+`"`)
	f("/app/xyz", ``)
	f(task, ``)
	f("2026/01/15/[$LATEST]"+task, ``)
	f("prefix/"+strings.Repeat("c", schema.MaxKeyword+1)+"/"+task, `,"task_id":"`+task+`"`)
	// More log streams than are cached.
	for i := range maxOrigins / 100 {
		id := fmt.Sprintf("%032d", i)
		f("p/c/"+id, `,"container":"c","task_id":"`+id+`"`)
		if m.originBytes > maxOrigins || len(m.origins) > maxOrigins/100 {
			t.Fatalf("%d bytes of %d log streams are cached", m.originBytes, len(m.origins))
		}
	}
	if len(m.origins) >= maxOrigins/100 {
		t.Error("the cache was not cleared")
	}
}
