package schema

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// The tables in the pages match the schemas.
func TestTableInREADME(t *testing.T) {
	f := func(file string, names ...string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && file != "../../README.md" {
			t.Skip(file + " does not exist")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			_, rest, _ := strings.Cut(string(text), "<!-- fields of "+name+" -->\n")
			table, _, _ := strings.Cut(rest, "<!-- -->\n")
			if table != mustBuiltIn(t, name).Table() {
				t.Errorf("%s: the text between <!-- fields of %s --> and <!-- --> differs from the output of `logsluice assets fields --schema=%s`", file, name, name)
			}
		}
	}
	f("../../README.md", "default")
	f("../README.md", BuiltIns()...)
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
