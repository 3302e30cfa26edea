package mapping

import (
	"strings"
	"testing"

	"logsluice/mapping/schema"
)

func TestRest(t *testing.T) {
	s := schemaOf(t, `
rest: flat_object
fields:
  - {name: status, type: short, paths: [log.response.status, status]}
  - {name: user, type: keyword, paths: [user.name]}
`)
	f := func(message, want string) {
		t.Helper()
		if got := fieldsOf(t, s, message); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", message, got, want)
		}
	}
	f(`{"a":1,"b":{"c":"d"},"status":200}`, `"status":200,"json":{"a":1,"b":{"c":"d"}}`)
	f(`{"log":{"response":{"status":500,"bytes":7}},"status":200}`, `"status":500,"json":{"log":{"response":{"bytes":7}},"status":200}`)
	f(`{"log.response":{"status":500},"log":{"response.status":1}}`, `"status":1`)
	f(`{"user":{"name":"ann"}}`, `"user":"ann"`)
	f(`{"a":1,"a":2}`, `"json":{"a":2}`)
	f(`{"":1,".":2,"a.":3,"a..b":4," ":5,"$a":6,"a.b":7}`, `"json":{"$a":6,"a.b":7}`)
	f(`{"a":null,"b":{},"c":{"d":null},"e":[]}`, ``)
	f(`{"a":[1,null,{"b":"c"},[]],"d":[[{"e":1}],{"f":[]},{"g":2}],"h":[{"i":1},[2]]}`, `"json":{"a":[1],"d":[[{"e":1}],{"g":2}],"h":[[2]]}`)
	f(`[{"a":1}]`, ``)
	f(`p {"a":1}} and more`, ``)
	f(`{"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p":1,"a.b":{"c":1}}`, `"json":{"a.b":{"c":1}}`)
	f(`{"a":"`+strings.Repeat("x", maxRestLine)+`","b":1}`, ``)
	f(`{"a":`+strings.Repeat("9", schema.MaxNumber+1)+`,"b":1e400}`, `"json":{"b":1e400}`)
	f(`{"a":"`+strings.Repeat("x", maxRestString+1)+`","`+strings.Repeat("k", maxRestKey+1)+`":1,"b":"\u2028<"}`, `"json":{"b":"\u2028\u003c"}`)
	f(`{"a":`+strings.Repeat(`{"a":`, maxRestDepth-1)+`{"a":`+`1`+strings.Repeat(`}`, maxRestDepth)+`,"b":1}`, `"json":{"b":1}`)
	f(`{"a":NaN,"status":5}`, `"status":5`)
	f(`{"a":1} tail`, `"json":{"a":1}`)
	f(`prefix {"a":1}`, `"json":{"a":1}`)
	f(`prefix {"a":1} tail`, ``)
	f(`{"a":1`, ``)
	f(`["a"]`, ``)
	f(`a line`, ``)
}

// A document that is refused for the rest of its JSON is indexed without the rest.
func TestPlainWithoutTheRest(t *testing.T) {
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}})
	if err != nil {
		t.Fatal(err)
	}
	const fields = `{"@timestamp":"2018-12-10T03:57:44.183Z","message":"{\",\"json\":{\"","status":200`
	source := []byte(fields + `,"json":{"a":{"json":1}}}`)
	f := func(reason, want string) {
		t.Helper()
		if got := string(m.AppendPlain(nil, source, nil, nil, "kind", reason)); got != want+`,"refused":{"reason":"`+reason+`","type":"kind"}}` {
			t.Errorf("%s: %s", reason, got)
		}
	}
	const coreOnly = `{"@timestamp":"2018-12-10T03:57:44.183Z","message":"{\",\"json\":{\""`
	f("object mapping for [json.a] tried to parse", fields)
	f("failed to parse field [json] of type", fields)
	f("Limit of total fields [5] has been exceeded", fields)
	f("failed to parse", fields)
	f("failed to parse field [status] of type", coreOnly)
	f("object mapping for [error] tried to parse field [error] as object", coreOnly)
}
