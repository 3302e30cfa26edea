package mapping

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// Values are checked against their type, including its limits.
func TestValues(t *testing.T) {
	const maxDateOrIP = 100 // maximum bytes of an address in package schema
	f := func(field, json, want string) {
		t.Helper()
		if !strings.HasPrefix(field, "paths:") {
			field = "paths: [x], " + field
		}
		s := schemaOf(t, "fields:\n  - {name: x, "+field+"}")
		if want != "" {
			want = `"x":` + want
		}
		if got := fieldsOf(t, s, `{"x":`+json+`}`); got != want {
			t.Errorf("%s: %.100s became %.100s, want %s", field, json, got, want)
		}
	}
	f("type: long", "9223372036854775807", "9223372036854775807")
	f("type: long", "-9223372036854775808", "-9223372036854775808")
	f("type: long", "9223372036854775808", "")
	f("type: long", "9007199254740993.0", "9007199254740993")
	f("type: long", "4503599627370497.4", "")
	f("type: long", "1e18", "1000000000000000000")
	f("type: long", "1e19", "")
	f("type: long", "120e-1", "12")
	f("type: long", "1e-5000", "")
	f("type: long", strings.Repeat("0", schema.MaxNumber)+"1", "")
	f("type: long", "0."+strings.Repeat("0", schema.MaxNumber), "")
	f("type: long", "-0", "0")
	f("type: long", "01", "")
	f("type: long", `"+1"`, "")
	f("type: unsigned_long", "18446744073709551615", "18446744073709551615")
	f("type: unsigned_long", "18446744073709551616", "")
	f("type: unsigned_long", "-1", "")
	f("type: byte", "127", "127")
	f("type: byte", "128", "")
	f("type: byte", "-129", "")
	f("type: double", "1e308", "1e308")
	f("type: double", "1e309", "")
	f("type: double", strings.Repeat("9", schema.MaxNumber+1), "")
	f("type: float", "3.4e38", "3.4e38")
	f("type: float", "3.5e38", "")
	f("type: float", strings.Repeat("9", 39), "")
	f("type: half_float", "65504", "65504")
	f("type: half_float", "65505", "")
	f("type: scaled_float, mapping: {scaling_factor: 100}", "9e16", "9e16")
	f("type: scaled_float, mapping: {scaling_factor: 100}", "1e17", "")
	f("type: float", `"NaN"`, "")
	f("type: boolean", "1", "")
	f("type: keyword", "NaN", "")
	f("type: keyword", "1.50", `"1.50"`)
	// Durations.
	f("type: long, unit: us", `"1h"`, "3600000000")
	f("type: integer, unit: us", `"1h"`, "")
	f("type: byte, unit: s", `"-2m"`, "")
	f("type: byte, unit: s", `"3m"`, "")
	f("type: unsigned_long, unit: s", `"-1s"`, "")
	f("type: half_float, unit: ms", `"65.504s"`, "65504")
	f("type: half_float, unit: ms", `"65.505s"`, "")
	f("type: long, unit: s", `"1.9s"`, "1")
	f("type: double, unit: s", "9.3e9", "")
	f("type: double, unit: s", `"`+strings.Repeat("1", 38)+`.0s"`, "")
	f("type: double, unit: s", `"x1s"`, "")
	f("type: double, unit: s", "1.5", "") // no unit is known
	inUnit := func(unit, json, want string) {
		t.Helper()
		f("paths: [{path: x, unit: "+unit+"}], type: double, unit: s", json, want)
	}
	inUnit("ns", "9223372036854775807", "9223372036.854775807")
	inUnit("ns", "9223372036854775808", "")
	inUnit("s", "1768478400.001", "1768478400.001")
	inUnit("s", "0.0000000015", "0.000000002")
	inUnit("s", "-0.0000000015", "")
	inUnit("s", "0.0000000004", "0")
	// Dates.
	f("type: date, formats: [epoch_seconds]", "1768478400.001", `"2026-01-15T12:00:00.001Z"`)
	f("type: date, formats: [epoch_micros]", `"1768478400001000"`, `"2026-01-15T12:00:00.001Z"`)
	f("type: date, formats: [epoch_nanos]", "1768478400001000000", `"2026-01-15T12:00:00.001Z"`)
	f("type: date", `1768478400`, `"2026-01-15T12:00:00Z"`)
	f("type: date", `1768478400.5`, `"2026-01-15T12:00:00.5Z"`)
	f("type: date", `1768478400001`, `"2026-01-15T12:00:00.001Z"`)
	f("type: date", `1768478400001002`, `"2026-01-15T12:00:00.001002Z"`)
	f("type: date", `1768478400001002003`, `"2026-01-15T12:00:00.001002003Z"`)
	for _, implausible := range []string{`0`, `-1`, `12`, `20260115`, `99999999999`, `1e30`, `"1768478400"`, `"1768478400001"`, `"20260115"`, `true`} {
		f("type: date", implausible, "")
	}
	for _, text := range []string{
		"2026-01-15T12:00:00Z", "2026-01-15T12:00Z", "2026-01-15T21:00+09", "2026-01-15T21:00:00+09", "2026-01-15T21:00:00.000+0900", "2026-01-15 21:00+09:00",
		"2026-01-15T12:00", "2026-01-15 12:00", "2026-01-15 12:00:00,000",
	} {
		f("type: date", `"`+text+`"`, `"2026-01-15T12:00:00Z"`)
	}
	f("type: date", `"2026-01-15"`, `"2026-01-15T00:00:00Z"`)
	f("type: date", `"2026-02-30"`, "")
	f("type: date", `"9999-12-31T23:59:59-01:00"`, "")
	f("type: date", `"0001-01-01T00:00:00Z"`, "")
	f("type: date", `"9999-12-31T23:59:59Z"`, "")
	f("type: date, formats: [iso8601]", `"9999-12-31T23:59:59Z"`, `"9999-12-31T23:59:59Z"`)
	f("type: date", `"`+strings.Repeat("2026-01-15T12:00:00Z", 6)+`"`, "")
	f("type: ip", `"`+strings.Repeat("1", maxDateOrIP+1)+`"`, "")
	// Texts.
	f("type: keyword, ignore_above: 2", `"ab"`, `"ab"`)
	f("type: keyword, ignore_above: 2", `"abc"`, "")
	f("type: keyword, ignore_above: 2", `"\u00e9\u65e5"`, `"é日"`)
	f("type: keyword, ignore_above: 2", `"\u0001\n"`, `"\u0001\n"`)
	f("type: keyword, ignore_above: 2", `"\u0001\n\n"`, "")
	f("type: keyword, ignore_above: 2", `"\ud83d\ude00"`, `"😀"`)
	f("type: keyword, ignore_above: 2", `"\ud83d\ude00a"`, "")
	f("type: text", `"`+strings.Repeat(`\u0041`, schema.MaxTerm)+`"`, `"`+strings.Repeat("A", schema.MaxTerm)+`"`)
	f("type: text", `"`+strings.Repeat(`\u0041`, schema.MaxTerm+1)+`"`, "")
	f("type: text", `"`+strings.Repeat(`\u0041`, 2*schema.MaxTerm)+`"`, "")
	f(`type: keyword, until: "?#"`, `"a#b?c"`, `"a"`)
	f(`type: keyword, until: "?"`, `"?a"`, "")
	f(`type: keyword, until: "[", lowercase: true`, `"A\u001b[31m"`, `"a\u001b"`)
	f(`type: keyword, values: {"-": ""}`, `"-"`, "")
	f(`type: keyword, lowercase: true, values: {é: e, "a\"b": c}`, `"A\"B"`, `"c"`)
	// Levels of libraries.
	s := mustBuiltIn(t, "default")
	for line, want := range map[string]string{
		`{"level":"Level(-2)"}`: `"owner":"1"`, `{"level":"DEBUG-4"}`: `"level":"trace"`, `{"level":"-"}`: `"owner":"1"`, `{"level":"","severity":"WARN"}`: `"level":"warn"`,
		`{"level":"non-critical"}`: `"owner":"1"`, `{"path":"?a","uri":"/b","status":200}`: `"path":"/b","status":200`, `{"gr\u00f6\u00dfe":1,"l\u0065vel":"INFO"}`: `"level":"info"`,
	} {
		if got := fieldsOf(t, s, line); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// A mapper keeps neither the memory of records nor large buffers, whatever the lines.
func TestMapperReleasesMemory(t *testing.T) {
	s := schemaOf(t, "rest: flat_object\nfields:\n  - {name: a, type: text, paths: [a]}\n  - {name: b, type: keyword, paths: [b]}\nrules:\n  - drop: {message: nothing like it}")
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20
	value := `"` + strings.Repeat(`\n`, 10_000) + `"`
	for name, line := range map[string]string{
		"text":       strings.Repeat("x", size),
		"one value":  `{"a":"` + strings.Repeat(`\n`, size) + `"}`,
		"one name":   `{"` + strings.Repeat(`\n`, size) + `":1}`,
		"duplicates": `{"b":1` + strings.Repeat(`,"a":`+value, size/len(value)) + `}`,
		"an array":   `{"b":[` + strings.Repeat(value+",", size/len(value)) + `1]}`,
		"the rest":   `{"c":[` + strings.Repeat("0,", size/2) + `0]}`,
	} {
		e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal("x")}, {ID: []byte("2"), Message: schema.Literal(line)}}}
		m.AppendAll(nil, e)
		m.Begin(&subscription.Envelope{}, time.Time{})
		x := m.extract.clone()
		if x.read(schema.Literal(line)); len(x.values) > maxFound+2*schema.MaxTerm {
			t.Errorf("%s: %d bytes of values", name, len(x.values))
		}
		x = m.extract
		if kept := max(cap(x.values), cap(x.raw), cap(x.text), cap(m.fields)/2, cap(m.message)/2); x.line.text != nil || kept > maxKept {
			t.Errorf("%s: %d bytes are kept, and %d of the line", name, kept, len(x.line.text))
		}
	}
	if n := testutil.ToFloat64(m.metrics.restLost); n != 5 {
		t.Errorf("the rest of %v lines was lost, want that of the 5 that are JSON", n)
	}
}

// Clones can be used concurrently.
func TestClones(t *testing.T) {
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}})
	if err != nil {
		t.Fatal(err)
	}
	var clones sync.WaitGroup
	for c := range 4 {
		clone := m.Clone()
		clones.Go(func() {
			for i := range 200 {
				e := &subscription.Envelope{LogStream: schema.Literal(fmt.Sprint(c, i)), Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal(fmt.Sprintf(`{"level":"info","status":%d}`, 100+100*c+i%100))}}}
				if got := string(clone.AppendAll(nil, e)); !strings.Contains(got, fmt.Sprintf(`"level":"info","status":%d}`, 100+100*c+i%100)) {
					t.Errorf("clone %d: %s", c, got)
				}
			}
		})
	}
	clones.Wait()
}
