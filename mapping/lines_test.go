package mapping

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// corpus is a file of testdata/lines: lines of an emitter and the fields that they should
// have, written by hand after the emitter's documentation.
type corpus struct {
	Emitter string
	Source  string
	Lines   []struct {
		Line string
		Want map[string]any
	}
}

func readCorpus(t *testing.T) map[string]corpus {
	t.Helper()
	files, err := filepath.Glob("testdata/lines/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]corpus{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c corpus
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if c.Emitter == "" || len(c.Lines) < 4 {
			t.Errorf("%s: %q has %d lines, want 4", file, c.Emitter, len(c.Lines))
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = c
	}
	return all
}

// elasticNames are the fields of the schema default that have another name in ecs.
var elasticNames = map[string]string{
	"level": "log.level", "logger": "log.logger", "msg": "log.message", "method": "http.request.method", "path": "url.path", "host": "url.domain",
	"status": "http.response.status_code", "duration_ms": "event.duration", "error.stack": "error.stack_trace", "trace_id": "trace.id", "request_id": "http.request.id",
}

// Lines of all emitters have the fields that their documentation implies, and nothing else.
func TestLines(t *testing.T) {
	t.Parallel()
	usual, elastic := mapperOf(t, "default"), mapperOf(t, "ecs")
	for name, c := range readCorpus(t) {
		for i, l := range c.Lines {
			want := map[string]any{}
			for field, v := range l.Want {
				want[field] = normal(v)
			}
			if got := taken(t, usual, l.Line); !same(got, want) {
				t.Errorf("%s %d: %.500s\n%s", name, i+1, l.Line, difference(got, want))
			}
			inElastic := map[string]any{}
			for field, v := range want {
				if n, is := v.(float64); is && field == "duration_ms" {
					v = n * 1e6
				}
				if other := elasticNames[field]; other != "" {
					field = other
				}
				inElastic[field] = v
			}
			if got := taken(t, elastic, l.Line); !same(got, inElastic) {
				t.Errorf("%s %d, ecs: %.500s\n%s", name, i+1, l.Line, difference(got, inElastic))
			}
		}
	}
}

var update = flag.Bool("update", false, "write the table of emitters in docs")

// The table of emitters on the page is that of the corpus:
// go test ./mapping -run TestEmittersInDocs -update
func TestEmittersInDocs(t *testing.T) {
	t.Parallel()
	const page, mark, end = "../docs/emitters.md", "<!-- emitters -->\n", "<!-- -->\n"
	all := readCorpus(t)
	rows := map[string]string{}
	for _, c := range all {
		fields := map[string]bool{}
		for _, l := range c.Lines {
			for field := range l.Want {
				fields[field] = true
			}
		}
		if source, _, _ := strings.Cut(c.Source, ","); source != "" {
			rows[strings.ToLower(c.Emitter)] = fmt.Sprintf("| [%s](%s) | %s |\n", c.Emitter, strings.TrimSpace(source), strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(fields)), ", "), "error.message, error.stack, error.type", "error.*"))
		}
	}
	want := "| emitter | fields |\n| --- | --- |\n"
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		want += rows[name]
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), mark)
	table, after, found := strings.Cut(rest, end)
	switch {
	case !found || len(rows) < 45:
		t.Errorf("%s has no table of %d emitters", page, len(rows))
	case *update:
		if err := os.WriteFile(page, []byte(before+mark+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case table != want:
		t.Errorf("%s: the table of emitters differs from the corpus: go test ./mapping -run TestEmittersInDocs -update writes it", page)
	}
}

func mapperOf(t *testing.T, builtIn string) *Mapper {
	t.Helper()
	m, err := New(Config{Naming: schema.Naming{Prefix: "app", Zone: mustZone(t, "UTC")}, Schema: mustBuiltIn(t, builtIn)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// taken returns the fields that are taken from a line.
func taken(t *testing.T, m *Mapper, line string) map[string]any {
	t.Helper()
	e := &subscription.Envelope{Events: []subscription.Event{{ID: []byte("1"), Message: schema.Literal(line)}}}
	_, source, _ := strings.Cut(string(m.AppendAll(nil, e)), "\n")
	var fields map[string]any
	if err := json.Unmarshal([]byte(source), &fields); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	delete(fields, schema.TimeField)
	delete(fields, schema.MessageField)
	return fields
}

// normal returns a value of YAML as encoding/json decodes it.
func normal(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return fmt.Sprint(v)
	}
	return decoded
}

// same compares fields. Durations of ecs are whole nanoseconds.
func same(got, want map[string]any) bool {
	return maps.EqualFunc(got, want, func(a, b any) bool {
		x, isNumber := a.(float64)
		y, too := b.(float64)
		if isNumber && too {
			return x-y < 1 && y-x < 1 && (x == y || y > 1000)
		}
		return fmt.Sprint(a) == fmt.Sprint(b)
	})
}

func difference(got, want map[string]any) string {
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if fmt.Sprint(got[field]) != fmt.Sprint(want[field]) {
			lines = append(lines, fmt.Sprintf("  %s is %.200q, want %.200q", field, fmt.Sprint(got[field]), fmt.Sprint(want[field])))
		}
	}
	for _, field := range slices.Sorted(maps.Keys(got)) {
		if _, is := want[field]; !is {
			lines = append(lines, fmt.Sprintf("  %s is %.200q, want nothing", field, fmt.Sprint(got[field])))
		}
	}
	return strings.Join(lines, "\n")
}
