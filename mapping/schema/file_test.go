package schema

import (
	"slices"
	"strings"
	"testing"
)

func mustBuiltIn(t testing.TB, name string) *Schema {
	t.Helper()
	s, err := BuiltIn(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBuiltIn(t *testing.T) {
	for _, name := range BuiltIns() {
		s := mustBuiltIn(t, name)
		if s.Name != name || s.Hash == "" || len(s.Fields) < 3 {
			t.Errorf("%s: %+v", name, s)
		}
		for _, f := range s.Fields {
			if f.Meaning == "" {
				t.Errorf("%s: %s has no meaning", name, f.Name)
			}
		}
	}
	if _, err := BuiltIn("none"); err == nil || !strings.Contains(err.Error(), "default, plain, ecs") {
		t.Error(err)
	}
}

// The error for an invalid schema is one line with the line number, the field and the
// remedy.
func TestParse_Failure(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, err := Parse([]byte(yaml))
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", yaml, err, want)
		}
	}
	field := func(members string) string { return "fields:\n  - {name: ok, type: ip, paths: [ip]}\n  - " + members }
	f(``, `line 1: the schema is empty: add fields`)
	f("a: b: c", `the file: this is not YAML: mapping values are not allowed in this context: correct it, with spaces and no tabs before names`)
	f("a: *x", `the file: this is not YAML: unknown anchor 'x' referenced: correct it, with spaces and no tabs before names`)
	f("a: [", `line 1: this is not YAML: did not find expected node content: correct it, with spaces and no tabs before names`)
	f(`5`, `line 1: the schema: this is not a mapping: write names and values, such as name: value`)
	f("name: x\nfeilds: []", `line 2: the schema: "feilds" is unknown: use one of fields, message, name, rest, rest_fields, rules, version`)
	f("name: x\ndrop: {message: x}", `line 2: drop is outside rules: write rules: [{drop: {message: GET /healthz}}]`)
	f("version: 2\nfields:\nrest: none", `line 2: fields is empty: add fields, or remove it to index only the line`)
	f("fields:\n\t- {name: a}", `line 2: this is not YAML: found character that cannot start any token: put quotes around texts that begin with @, % or a backquote, and spaces instead of tabs`)
	if _, err := Parse([]byte(field(`{name: a, type: keyword, lowercase: True, paths: [a]}`))); err != nil {
		t.Error(err)
	}
	f("fields:\n  - {name: a, type: keyword, paths: [@a]}", `line 2: this is not YAML: found character that cannot start any token: put quotes around texts that begin with @, % or a backquote, and spaces instead of tabs`)
	f("fields:\n  user: {type: keyword}", `line 2: fields is a mapping: use a list, such as - {name: user, type: keyword, paths: [user]}`)
	f("message: keyword", `line 1: "keyword" is invalid: use one of match_only_text, text`)
	f("name: x\nname: y", `line 2: the schema: "name" is set twice: remove one`)
	f("version: one", `line 1: "one" is invalid: use a whole number from 1 to 2147483647`)
	f("rest: all", `line 1: "all" is invalid: use one of none, flat_object, dynamic`)
	f(field(`{type: keyword}`), `line 3: a field: it has no name`)
	f(field(`{name: a, type: int, paths: [a]}`), `line 3: field "a": type "int" is not supported: use one of boolean, byte, date, double, float, half_float, integer, ip, keyword, long, match_only_text, scaled_float, short, text, unsigned_long`)
	f(field(`{name: a, paths: [a]}`), `line 3: field "a": it has no type: use one of boolean, byte, date, double, float, half_float, integer, ip, keyword, long, match_only_text, scaled_float, short, text, unsigned_long`)
	f(field(`{name: a, type: ip, path: [a]}`), `line 3: field "a": "path" is unknown: use one of as, formats, from, ignore_above, lowercase, mapping, meaning, name, paths, pattern, role, type, unit, until, value, values`)
	f(field(`{name: a, type: ip}`), `line 3: field "a": set exactly one of paths, from and value`)
	f(field(`{name: a, type: ip, paths: []}`), `line 3: field "a": set exactly one of paths, from and value`)
	f(field(`{name: a, type: ip, paths: [a], from: owner}`), `line 3: field "a": set exactly one of paths, from and value`)
	f(field(`{name: a, type: ip, paths: [a..b]}`), `line 3: field "a": the path "a..b" has an empty part`)
	f(field(`{name: a, type: ip, paths: [{a: b}]}`), `line 3: field "a": a path: "a" is unknown: use one of in, multiline, path, unit`)
	f(field(`{name: a, type: float, paths: [{path: b, unit: ms}]}`), `line 3: field "a": the path "b" has a unit, but the field does not: add unit to the field`)
	dialects, err := Dialects()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{RequestDialect}
	for _, d := range dialects {
		known = append(known, d.Name)
	}
	slices.Sort(known)
	names := `"` + strings.Join(known, `", "`) + `"`
	f(field(`{name: a, type: keyword, paths: [{path: b, in: [pino, zapp]}]}`), `line 3: field "a": the dialect "zapp" does not exist: use one of `+names)
	f(field(`{name: a, type: keyword, as: loglevel, paths: [a]}`), `line 3: field "a": "loglevel" is invalid: use one of level, text, id, method, path, host, status, error`)
	f(field(`{name: a, type: long, as: level, paths: [a]}`), `line 3: field "a": as: level is for keyword and text only`)
	f(field(`{name: a, type: keyword, as: status, paths: [a]}`), `line 3: field "a": as: status is for whole numbers only`)
	f(field(`{name: a, type: float, unit: h, paths: [a]}`), `line 3: field "a": "h" is invalid: use one of ms, ns, s, us`)
	f(field(`{name: a, type: keyword, unit: ms, paths: [a]}`), `line 3: field "a": unit is for numbers only`)
	f(field(`{name: a, type: long, lowercase: true, paths: [a]}`), `line 3: field "a": lowercase is for keyword and text only`)
	f(field(`{name: a, type: keyword, lowercase: yes, paths: [a]}`), `line 3: field "a": "yes" is not a boolean: use true or false`)
	f(field(`{name: a, type: keyword, until: x, paths: [a]}`), `line 3: field "a": until is "x": set it to the characters at which the text ends, such as ?#`)
	f(field(`{name: a, type: keyword, until: "0", paths: [a]}`), `line 3: field "a": until is "0": set it to the characters at which the text ends, such as ?#`)
	f(field(`{name: a, type: keyword, values: {a: b, a: c}, paths: [a]}`), `line 3: field "a": values has "a" twice`)
	f(field(`{name: a, type: keyword, lowercase: true, values: {A: b}, paths: [a]}`), `line 3: field "a": values has "A", but with lowercase the value looked up is "a"`)
	f(field(`{name: a, type: keyword, lowercase: true, from: log_group}`), `line 3: field "a": lowercase, until and values are for paths, values and patterns: values from log_group are not changed`)
	f(field(`{name: a, type: date, formats: ["%b %d %H:%M"], paths: [a]}`), `line 3: field "a": the date format "%b %d %H:%M" does not identify a time: it needs a year, and %z instead of %Z`)
	f(field(`{name: a, type: date, formats: ["%Y-%m-%d %Z"], paths: [a]}`), `line 3: field "a": the date format "%Y-%m-%d %Z" does not identify a time: it needs a year, and %z instead of %Z`)
	f(field(`{name: a, type: date, mapping: {format: epoch_millis}, paths: [a]}`), `line 3: field "a": mapping has "format", which cannot be set there: remove it`)
	f(field(`{name: a, type: keyword, mapping: {meta: {1: x}}, paths: [a]}`), `line 3: field "a": mapping cannot be written as JSON: json: unsupported type: map[interface {}]interface {}`)
	f(field(`{name: a, type: scaled_float, mapping: {scaling_factor: .inf}, paths: [a]}`), `line 3: field "a": mapping cannot be written as JSON: json: unsupported value: +Inf`)
	f(field(`{name: a, type: keyword, paths: [a.b.c.d.e.f.g.h.i.j.k]}`), `line 3: field "a": the path "a.b.c.d.e.f.g.h.i.j.k" has more than 10 parts`)
	f(field(`{name: a, type: long, unit: ms, value: ""}`), `line 3: field "a": "" is not a value of type long`)
	f(field(`{name: a.b, type: ip, paths: [a]}`)+"\n  - {name: a, type: ip, paths: [a]}", `line 4: field "a": a and a.b cannot both exist: one would be a value and an object`)
	f(field(`{name: a, type: short, role: code, paths: [a]}`), `line 3: field "a": "code" is invalid: use one of level, log_group, status, latency, path, message, error`)
	f(field(`{name: a, type: keyword, role: status, paths: [a]}`), `line 3: field "a": role status is for numbers with index and doc_values only`)
	f(field(`{name: a, type: keyword, role: level, paths: [a], mapping: {doc_values: false}}`), `line 3: field "a": role level is for keywords with index and doc_values only`)
	f(field(`{name: a, type: ip, role: error, paths: [a]}`), `line 3: field "a": role error is for keyword and text only`)
	f(field(`{name: a, type: short, role: status, paths: [a]}`)+"\n  - {name: b, type: short, role: status, paths: [b]}", `line 4: field "b": field "a" already has role status: remove one`)
	f("rest_fields: 0", `line 1: "0" is invalid: use a whole number from 1 to 10000`)
	f("name: a\n---\nname: b", `the file has more than one document: remove what comes after ---`)
	f(field(`{name: a, type: keyword, ignore_above: 20000, paths: [a]}`), `line 3: field "a": ignore_above is 20000: a keyword of more than 10922 characters may exceed Lucene's limit for a term`)
	f(field(`{name: a, type: date, formats: [unix], paths: [a]}`), `line 3: field "a": the date format "unix" is not supported: use iso8601, epoch_seconds, epoch_millis, epoch_micros, epoch_nanos or a pattern such as %d/%b/%Y:%H:%M:%S %z`)
	f(field(`{name: a, type: scaled_float, paths: [a]}`), `line 3: field "a": a scaled_float needs mapping: {scaling_factor: N}`)
	f(field(`{name: a, type: keyword, mapping: {type: text}, paths: [a]}`), `line 3: field "a": mapping has "type", which cannot be set there: remove it`)
	f(field(`{name: a, type: keyword, from: log_group, pattern: "["}`), `line 3: field "a": "[" is not a regular expression: missing closing ] in "[": correct it, with \ before literal special characters`)
	f(field(`{name: a, type: keyword, from: log_group, pattern: "a"}`), `line 3: field "a": the pattern has no group in parentheses for the value`)
	f(field(`{name: a, type: keyword, from: owner, pattern: "(a)"}`), `line 3: field "a": pattern is for from: log_group and from: log_stream only`)
	f(field(`{name: a, type: long, from: log_group}`), `line 3: field "a": values from log_group are text: use the type keyword`)
	f(field(`{name: a, type: long, value: x}`), `line 3: field "a": "x" is not a value of type long`)
	f(field(`{name: message, type: text, paths: [msg]}`), `line 3: field "message": message is a built-in field: use another name`)
	f(field(`{name: _id, type: text, paths: [msg]}`), `line 3: field "_id": names that begin with _ are reserved by OpenSearch: use another name`)
	f(field(`{name: a., type: text, paths: [msg]}`), `line 3: field "a.": the name has an empty part: use one such as a.b`)
	f(field(`{name: ok, type: text, paths: [msg]}`), `line 3: field "ok": another field has that name: use another name`)
	f(field(`{name: ok.b, type: text, paths: [msg]}`), `line 3: field "ok.b": ok.b and ok cannot both exist: one would be a value and an object`)
	f(field(`{name: [a], type: text, paths: [msg]}`), `line 3: field "": this is not text: put quotes around it if it should be`)
	rule := func(rule string) string {
		return "rules:\n  - " + rule + "\n" + "fields:\n  - {name: level, type: keyword, paths: [level]}\n  - {name: took, type: float, paths: [took]}\n  - {name: n, type: short, paths: [n]}"
	}
	f(rule(`drop`), `line 2: a rule is either drop or keep, with conditions: drop: {message: GET /healthz}`)
	f(rule(`{omit: {}}`), `line 2: a rule: "omit" is unknown: use one of drop, keep`)
	f(rule(`{drop: {level: debug}}`), `line 2: a rule: "level" is unknown: use one of fields, log_group, log_stream, message`)
	for _, empty := range []string{`{drop: {}}`, `{drop: }`, `{drop: ~}`, `{keep: {}}`, `{drop: {fields: {}}}`} {
		f(rule(empty), `line 2: the rule has no condition, so it would match every event: add one, such as {message: GET /healthz}, or remove the rule`)
	}
	f(rule(`{drop: {message: ""}}`), `line 2: an empty expression matches everything: use one such as GET /healthz, or remove the condition`)
	f(rule(`{drop: {log_group: "", message: x}}`), `line 2: an empty expression matches everything: use one such as GET /healthz, or remove the condition`)
	for _, every := range []string{".*", "(?s).*", "GET /health|", "x?", "^"} {
		f(rule(`{drop: {message: "`+every+`"}}`), `line 2: "`+every+`" matches every text: use an expression such as GET /healthz, or remove the condition`)
	}
	f(rule(`{drop: {log_stream: /web/*}}`), `line 2: "/web/*" is a regular expression, in which * after / matches more slashes: use "^/web/"`)
	f(rule(`{keep: {message: x}}`), `line 2: keep has no effect as the last rule, because events that no rule matches are kept: end with drop: {log_group: .} to drop the rest, or remove it`)
	f(rule(`{drop: {message: x}, keep: {message: y}}`), `line 2: a rule is either drop or keep: write several rules as a list, such as - drop: {message: GET /healthz}`)
	f(rule(`{drop: {message: "a(?=b)"}}`), `line 2: "a(?=b)" has (?=, which Go's regular expressions (RE2) do not support, because they have no lookahead or lookbehind: write it without`)
	for _, path := range []string{"$.a.b", "/a/b", "a[0].b"} {
		f(field(`{name: a, type: ip, paths: ["`+path+`"]}`), `line 3: field "a": the path "`+path+`" is in another syntax: use names separated by dots, such as a.b; paths cannot lead into arrays`)
	}
	f(field("{name: \"a\\eb\", type: ip, paths: [a]}"), `line 3: field "a\x1bb": "a\x1bb" has control characters: remove them`)
	f("name: own\n", `line 1: the schema has neither fields nor rules: add some, or set SCHEMA to plain`)
	f("rest: none\nrest_fields: 5\nfields: [{name: a, type: ip, paths: [a]}]\n", `line 1: rest_fields is for rest: dynamic only: remove it, or set rest: dynamic`)
	f("\xff\xfef\x00", `the file is not UTF-8 text: save it as UTF-8`)
	f(rule(`{drop: {fields: {level: []}}}`), `line 2: field "level" has no value to match: add one, or remove the condition`)
	f(rule(`{drop: {fields: {level: ""}}}`), `line 2: "" is not a value of field "level": use one that its documents can have`)
	f(rule(`{drop: {message: "("}}`), `line 2: "(" is not a regular expression: missing closing ) in "(": correct it, with \ before literal special characters`)
	f(rule(`{drop: {fields: {lvl: debug}}}`), `line 2: the fields of a rule: "lvl" is unknown: use one of level, n, took`)
	f(rule(`{drop: {fields: {took: 1}}}`), `line 2: rules cannot use field "took": they can use keywords, whole numbers and booleans from the line's JSON`)
	f(rule(`{drop: {fields: {n: many}}}`), `line 2: "many" is not a value of field "n": use one that its documents can have`)
}

func TestAddConstants(t *testing.T) {
	s := mustBuiltIn(t, "plain")
	if err := s.AddConstants(map[string]string{"env": "prod", "service": `a "shop"`}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.Fields[3:] {
		got = append(got, f.Name+"="+string(f.Constant))
	}
	if got, want := strings.Join(got, ","), `env="prod",service="a \"shop\""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, want := range map[string]string{"owner": `field "owner": another field has that name: use another name`, "message": `field "message": message is a built-in field: use another name`} {
		if err := s.AddConstants(map[string]string{name: "x"}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
