package schema

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of fields in docs")

// The tables on the pages are those that the program prints, each on one page:
// go test ./mapping/schema -run TestTablesInDocs -update
func TestTablesInDocs(t *testing.T) {
	pages := map[string]string{
		"default": "../../docs/documents.md",
		"plain":   "../../docs/fields.md",
		"ecs":     "../../docs/fields.md",
	}
	for _, name := range BuiltIns() {
		hold(t, pages[name], "fields of "+name, mustBuiltIn(t, name).ShortTable())
	}
	hold(t, "../../docs/keys.md", "keys", mustBuiltIn(t, "default").KeyTable())
	dialects, err := Dialects()
	if err != nil {
		t.Fatal(err)
	}
	hold(t, "../../docs/dialects.md", "dialects", DialectTable(dialects))
}

// hold compares a block of a page with what it should be.
func hold(t *testing.T, page, block, want string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	mark := "<!-- " + block + " -->\n"
	begin, rest, _ := strings.Cut(string(text), mark)
	table, end, found := strings.Cut(rest, "<!-- -->\n")
	switch {
	case !found:
		t.Errorf("%s has no block %s", page, mark)
	case *update:
		if err := os.WriteFile(page, []byte(begin+mark+want+"<!-- -->\n"+end), 0o644); err != nil {
			t.Fatal(err)
		}
	case table != want:
		t.Errorf("%s: the block %q differs from the program: go test ./mapping/schema -run TestTablesInDocs -update writes it", page, block)
	}
}

// The schema on the page about schemas can be used.
func TestExampleInDocs(t *testing.T) {
	t.Parallel()
	const page = "../../docs/schemas.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("%s has no schema", page)
	}
	if s, err := Parse([]byte(example)); err != nil || len(s.Fields) == 0 || len(s.Rules) == 0 {
		t.Errorf("%s: the schema is not one with fields and rules: %v", page, err)
	}
	_, err = Parse([]byte(strings.Replace(example, "type: keyword", "type: int", 1)))
	if shown, _, _ := strings.Cut(fmt.Sprint(err), "byte,"); !strings.Contains(string(text), "shop.yaml: "+shown+"byte, …`") {
		t.Errorf("%s does not show the error %v", page, err)
	}
}

func TestTable(t *testing.T) {
	schema, err := Parse([]byte(`
rest: flat_object
fields:
  - {name: env, type: keyword, value: prod, meaning: where it runs}
  - {name: n, type: long, value: 5}
  - {name: group, type: keyword, from: log_group}
  - {name: stream, type: keyword, from: log_stream, meaning: "a | b\n c"}
  - {name: d, type: float, unit: ms, paths: [d, {path: e.f, unit: ns}], meaning: how long}
  - {name: x, type: ip, paths: [x, y.z]}
`))
	if err != nil {
		t.Fatal(err)
	}
	table := schema.Table()
	f := func(row string) {
		t.Helper()
		if !strings.Contains(table, "\n"+row+"\n") {
			t.Errorf("no %s in\n%s", row, table)
		}
	}
	f("| `env` | `keyword` | where it runs — `\"prod\"` |")
	f("| `n` | `long` | `5` |")
	f("| `group` | `keyword` | from `log_group` |")
	f("| `stream` | `keyword` | a \\| b c |")
	f("| `d` | `float` | how long — `d`, `e.f` (ns) |")
	f("| `x` | `ip` | `x`, `y.z` |")
}
