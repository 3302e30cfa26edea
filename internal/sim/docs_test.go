package sim

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testInCode   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	testOnPage   = regexp.MustCompile("`(Test\\w+)(…?)`")
	defectOnPage = regexp.MustCompile("`Known/([^`]+)`")
)

// The tests and the scenarios that the pages name exist, and each scenario of a known
// defect is on the page.
func TestNamesInDocs(t *testing.T) {
	t.Parallel()
	const root = "../.."
	tests := "\n"
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		code, err := os.ReadFile(path)
		for _, found := range testInCode.FindAllStringSubmatch(string(code), -1) {
			tests += found[1] + "\n"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"guarantees.md", "known-defects.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testOnPage.FindAllStringSubmatch(string(text), -1) {
			name := "\n" + found[1]
			if found[2] == "" {
				name += "\n"
			}
			if !strings.Contains(tests, name) {
				t.Errorf("docs/%s names %s, which does not exist", page, found[1])
			}
		}
	}

	text, err := os.ReadFile(filepath.Join(root, "docs", "known-defects.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"NAME": true} // which stands for any
	for _, found := range defectOnPage.FindAllStringSubmatch(string(text), -1) {
		named[found[1]] = true
	}
	for _, known := range knownDefects {
		if !named[known.name] {
			t.Errorf("docs/known-defects.md does not name the scenario %q", known.name)
		}
		delete(named, known.name)
	}
	delete(named, "NAME")
	for name := range named {
		t.Errorf("docs/known-defects.md names the scenario %q, which does not exist", name)
	}
}
