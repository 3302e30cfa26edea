package mapping

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"logsluice/internal/loggen"
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// FuzzFields finds the fields of any line. Documents are JSON with each key once and
// values of the right types. For lines that are JSON, the fields are those that
// encoding/json finds.
func FuzzFields(f *testing.F) {
	g := loggen.New(loggen.Options{Seed: 1, Events: 200})
	for r, more := g.Next(); more; r, more = g.Next() {
		for _, e := range r.Events[:min(len(r.Events), 10)] {
			f.Add(e.Message)
		}
	}
	for _, line := range []string{`{"k":"a\"\\\u00e9","o":{"n":1},"b":"true"}`, `{"k":["a",null,1],"o.n":"7","t":"1.5s"}`, `x {"k":{"a":1},"o":{"n":[1,2]}} `, `{"k":"\ud83d\ude00\ud800","t":0.5,"message":1}`, `{"w":"A\u001b[31m\"?x","d":"10/Dec/2018:12:57:44 +0900"}`, `{"w":30,"d":1.5e9,"i":"[::1]:80"}`} {
		f.Add(line)
	}
	s := schemaOf(f, `
rest: flat_object
fields:
  - {name: keyword, type: keyword, paths: [k, level, log.request.method]}
  - {name: number, type: long, paths: [o.n, log.response.status]}
  - {name: truth, type: boolean, paths: [b]}
  - {name: took, type: float, unit: ms, paths: [t, log.duration]}
  - {name: ip, type: ip, paths: [i]}
  - {name: when, type: date, paths: [d], formats: [iso8601, epoch_seconds, "%d/%b/%Y:%H:%M:%S %z"]}
  - {name: word, type: keyword, paths: [w, level], until: "?#[;", lowercase: true, values: {warning: warn, "30": info}}
`)
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(f, "UTC")}, Schema: s})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal(line)}}}
		_, source, _ := bytes.Cut(m.AppendAll(nil, e), []byte("\n"))
		document := once(t, source)
		for name, v := range document {
			if list, is := v.([]any); is && name != schema.RestField {
				for _, v := range list {
					checkType(t, name, v)
				}
			} else {
				checkType(t, name, v)
			}
		}
		var object map[string]any
		if json.Unmarshal([]byte(line), &object) != nil || hasTwice(line) {
			return
		}
		if k, is := object["k"].(string); is && k != "" && len(k) <= schema.MaxKeyword && document["keyword"] != k {
			t.Errorf("%q: keyword %q, want %q", line, document["keyword"], k)
		}
		if o, is := object["o"].(map[string]any); is {
			if n, is := o["n"].(float64); is && n == float64(int32(n)) && object["o.n"] == nil {
				if got, _ := document["number"].(json.Number).Float64(); got != n {
					t.Errorf("%q: number %v, want %v", line, document["number"], n)
				}
			}
		}
		if b, is := object["b"].(bool); is && document["truth"] != b {
			t.Errorf("%q: truth %v, want %v", line, document["truth"], b)
		}
	})
}

func checkType(t *testing.T, name string, v any) {
	t.Helper()
	var ok bool
	switch name {
	case "number", "took":
		_, ok = v.(json.Number)
	case "truth":
		_, ok = v.(bool)
	case schema.RestField:
		_, ok = v.(map[string]any)
	default:
		_, ok = v.(string)
	}
	if !ok {
		t.Errorf("%s is %v", name, v)
	}
}

// once decodes an object that has each key once at all depths.
func once(t *testing.T, source []byte) map[string]any {
	t.Helper()
	if hasTwice(string(source)) {
		t.Fatalf("a key occurs twice: %s", source)
	}
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return document
}

// hasTwice reports whether an object in a JSON text has a key twice, or the text is
// invalid.
func hasTwice(text string) bool {
	decoder := json.NewDecoder(strings.NewReader(text))
	var value func() bool
	value = func() bool {
		token, err := decoder.Token()
		if err != nil {
			return true
		}
		open, is := token.(json.Delim)
		if !is {
			return false
		}
		seen := map[any]bool{}
		for decoder.More() {
			if open == '{' {
				key, err := decoder.Token()
				if err != nil || seen[key] {
					return true
				}
				seen[key] = true
			}
			if value() {
				return true
			}
		}
		_, err = decoder.Token()
		return err != nil
	}
	return value()
}
