package mapping

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

func schemaOf(t testing.TB, yaml string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fieldsOf returns the fields that a schema extracts from a line, without those that
// every document has.
func fieldsOf(t testing.TB, s *schema.Schema, message string) string {
	t.Helper()
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	e := &subscription.Envelope{Owner: schema.Literal("1"), LogGroup: schema.Literal("g"), LogStream: schema.Literal("s"), Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal(message)}}}
	document := m.AppendAll(nil, e)
	_, source, _ := strings.Cut(string(document), "\n")
	var all map[string]any
	decoder := json.NewDecoder(strings.NewReader(source))
	decoder.UseNumber() // numbers can exceed Go's types
	if err := decoder.Decode(&all); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	if all["message"] != strings.ToValidUTF8(message, "\uFFFD") {
		t.Fatalf("the line is %q, want %q", all["message"], message)
	}
	_, fields, _ := strings.Cut(source, string(schema.Literal(message)))
	return strings.TrimSuffix(strings.TrimPrefix(fields, ","), "}\n")
}

func TestExtract(t *testing.T) {
	s := schemaOf(t, `
fields:
  - {name: level, type: keyword, paths: [level, severity], lowercase: true, values: {"30": info, warning: warn}}
  - {name: status, type: short, paths: [log.response.status, status]}
  - {name: took, type: float, unit: ms, paths: [took, {path: took_s, unit: s}]}
  - {name: user, type: keyword, ignore_above: 5, paths: [user, user.name]}
  - {name: path, type: keyword, paths: [path], until: "?"}
  - {name: ok, type: boolean, paths: [ok]}
  - {name: at, type: date, paths: [at], formats: [iso8601, epoch_seconds, "%d/%b/%Y:%H:%M:%S %z"]}
  - {name: ip, type: ip, paths: [ip]}
  - {name: big, type: unsigned_long, paths: [big]}
`)
	f := func(message, want string) {
		t.Helper()
		if got := fieldsOf(t, s, message); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", message, got, want)
		}
	}
	f(`{"level":"INFO","log":{"request":{"a":[1,{"b":"}"}]},"response":{"status":200}}}`, `"level":"info","status":200`)
	f(`{"log.response.status":"404","level":30}`, `"level":"info","status":404`)
	f(`{"log":{"response.status":404.0},"severity":"Warning"}`, `"level":"warn","status":404`)
	f(` { "level" : "info" , "status" : 2e2 }`, `"level":"info","status":200`)
	f("{\n\t\"level\": \"a\\\"b\\\\\\n\\u00e9\\ud83d\\ude00\\/\"\r\n}", `"level":"a\"b\\\né😀/"`)
	f(`{"level":"a\xb"}`, ``)
	f(`{"level":"\ud800"}`, `"level":"�"`)
	f("{\"level\":\"tab\tinside\"}", `"level":"tab\tinside"`)
	f(`{"status":99999,"user":"toolong","level":null,"ok":"maybe","ip":"nowhere","at":"never","took":"soon"}`, ``)
	f(`{"status":NaN,"level":"x"}`, `"level":"x"`)
	f(`{"status":-Infinity,"level":"x"}`, `"level":"x"`)
	f(`{"status":1e400,"big":18446744073709551615}`, `"big":18446744073709551615`)
	f(`{"status":200,"status":500}`, `"status":500`)
	f(`{"status":200,"log":{"response":{"status":500}},"status":404}`, `"status":500`)
	f(`{"log":{"response":{"status":"none"}},"status":404}`, `"status":404`)
	f(`{"user":{"name":"ann","id":5}}`, `"user":"ann"`)
	f(`{"user":"bob"}`, `"user":"bob"`)
	f(`{"user":["a","b",{"c":1},null,"toolong",3]}`, `"user":["a","b","3"]`)
	f(`{"user":[],"level":[{}]}`, ``)
	f(`{"":1,"$status":2,"a.b":3,".":4,"status":5}`, `"status":5`)
	f(`{"path":"/a/b?c=d","ok":"true"}`, `"path":"/a/b","ok":true`)
	f(`{"took":"1.5s"}`, `"took":1500`)
	f(`{"took":"12.5 ms"}`, `"took":12.5`)
	f(`{"took_s":3}`, `"took":3000`)
	f(`{"took_s":-3}`, ``)
	f(`{"at":"2018-12-10T12:57:44.183+0900"}`, `"at":"2018-12-10T03:57:44.183Z"`)
	f(`{"at":1544414264.5}`, `"at":"2018-12-10T03:57:44.5Z"`)
	f(`{"at":"10/Dec/2018:12:57:44 +0900"}`, `"at":"2018-12-10T03:57:44Z"`)
	f(`{"at":"2018-12-10 03:57:44,183"}`, `"at":"2018-12-10T03:57:44.183Z"`)
	f(`{"ip":"10.0.0.1:5123"}`, `"ip":"10.0.0.1"`)
	f(`{"ip":"[2001:DB8::1]:80"}`, `"ip":"2001:db8::1"`)
	f(`{"ip":"fe80::1%eth0"}`, ``)
	// Prefixes, and text after the object.
	f(`2026-01-15 INFO {"level":"info"}`, `"level":"info"`)
	f(`2026-01-15 INFO {"level":"info"} in 5 ms`, ``)
	f(`2026-01-15 INFO {"level":"info"`, ``)
	f(`{"level":"info"} in 5 ms`, `"level":"info"`)
	f(`{"level":"info","status":5`, `"level":"info"`)
	f(`{"level":"info","status":5 `, `"level":"info","status":5`)
	f(`{"level":"info","ok":true`, `"level":"info"`)
	f(`{"level":"info","status":5,"pa`, `"level":"info","status":5`)
	f(`[{"level":"info"}]`, ``)
	f(strings.Repeat("x", maxLead)+`{"level":"info"}`, ``)
	for _, odd := range []string{``, `{`, `{}`, `{"`, `{"level`, `{"level"`, `{"level":`, `{"level":}`, `{"level":"`, `{"level":,"a":1}`, `{level:1}`, `"`, `null`, `{"a":[`, `{"a":]`, "\\", `\"`, `{\"level\":\"x\"}`, `{"a":"\`, `{"a":"\\"}`} {
		f(odd, ``)
	}
	f(`{"a":`+strings.Repeat(`[{"a":`, 50_000)+`1`+strings.Repeat(`}]`, 50_000)+`,"level":"deep"}`, `"level":"deep"`)
	f(fmt.Sprintf(`{"user":[%s1]}`, strings.Repeat("1,", maxValues+5)), `"user":[`+strings.Repeat(`"1",`, maxValues-1)+`"1"]`)
}

func TestConstants(t *testing.T) {
	s := mustBuiltIn(t, "plain")
	if err := s.AddConstants(map[string]string{"env": "prod", "service": `a "shop"`}); err != nil {
		t.Fatal(err)
	}
	if got, want := fieldsOf(t, s, "x"), `"log_group":"g","log_stream":"s","owner":"1","env":"prod","service":"a \"shop\""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
