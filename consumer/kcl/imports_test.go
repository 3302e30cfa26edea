package kcl

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the path to the root of this module. importers are the packages that may import
// the library: this one, and the simulation that compares logsluice with it.
const module = "../.."

var importers = map[string]bool{"consumer/kcl": true, "internal/sim/kcl_test.go": true}

// No other package imports the library.
func TestOnlyHere(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != module && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			name, err := filepath.Rel(module, path)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			if pkg, err := strconv.Unquote(imported.Path.Value); err != nil || !strings.HasPrefix(pkg, "github.com/vmware/vmware-go-kcl-v2") {
				continue
			}
			folder := name[:strings.LastIndex(name, "/")+1]
			switch folder = strings.TrimSuffix(folder, "/"); {
			case importers[folder]:
				found[folder] = true
			case importers[name]:
				found[name] = true
			default:
				t.Errorf("%s imports %s: only consumer/kcl may import it", name, imported.Path.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range importers {
		if !found[name] {
			t.Errorf("%s does not import the library", name)
		}
	}
}
