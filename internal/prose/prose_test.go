// Package prose tests the language of comments, messages and pages.
package prose

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// phrases are rejected because readers had to read them twice. The remedy is what to write.
var phrases = []struct {
	pattern *regexp.Regexp
	remedy  string
}{
	{compile(`tells? (whether|that|if|which)`), "reports whether, returns, logs"},
	{compile(`(is|was|were) none|there (is|are|was|were) none`), "that no X exists"},
	{compile(`(is|are) no (error|log|command|record|number|name|lease|shard|event|part|difference|fault)`), "is not a"},
	{compile(`at the (most|least)`), "at most, at least"},
	{compile(`beside`), "next to, alongside, apart from"},
	{compile(`all the same|just so`), "still, anyway; exactly"},
	{compile(`of late`), "recently"},
	{compile(`(for|from) want of`), "for lack of, because X is missing"},
	{compile(`gives? (free|back)|hands? over|takes? on`), "releases, returns; hands off, passes; accepts"},
	{compile(`in place of`), "instead of"},
	{compile(`(once|twice|times|requests|events|records|calls) an? (second|minute|hour|day)`), "per second"},
	{compile(`who asks|what is in it|mostly what`), "the caller; the contents; usual causes"},
	{compile(`held to`), "checked against"},
}

func compile(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)\b(` + pattern + `)\b`) }

// Comments and strings in Go, pages, YAML and shell scripts, and comments in Python do not
// contain the phrases.
func TestPhrases(t *testing.T) {
	t.Parallel()
	looked := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path != "../.." && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "dist" || entry.Name() == "prose"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line, text := range texts(path, data) {
			looked++
			for _, p := range phrases {
				if found := p.pattern.FindString(text); found != "" {
					t.Errorf("%s:%d: %q: write %s", path, line, found, p.remedy)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked == 0 {
		t.Error("no text was found")
	}
}

// texts returns the texts of a file by line: comments and strings of Go, and whole lines of
// other kinds.
func texts(path string, data []byte) map[int]string {
	all := make(map[int]string)
	switch filepath.Ext(path) {
	case ".go":
		files := token.NewFileSet()
		file := files.AddFile(path, -1, len(data))
		var s scanner.Scanner
		s.Init(file, data, nil, scanner.ScanComments)
		for {
			at, kind, literal := s.Scan()
			switch kind {
			case token.EOF:
				return all
			case token.COMMENT, token.STRING:
				all[file.Line(at)] += " " + literal
			}
		}
	case ".md", ".yaml", ".yml", ".sh":
		for i, line := range bytes.Split(data, []byte("\n")) {
			all[i+1] = string(line)
		}
	case ".py":
		for i, line := range bytes.Split(data, []byte("\n")) {
			_, comment, _ := strings.Cut(string(line), "#")
			all[i+1] = comment
		}
	}
	return all
}

// A phrase is found in each kind of text, and not in code.
func TestTexts(t *testing.T) {
	t.Parallel()
	f := func(path, text string, want bool) {
		t.Helper()
		found := false
		for _, line := range texts(path, []byte(text)) {
			found = found || phrases[3].pattern.MatchString(line)
		}
		if found != want {
			t.Errorf("%s: %q: found %t", path, text, found)
		}
	}
	f("a.go", "package a // three at the most", true)
	f("a.go", `package a; var s = "three at the most"`, true)
	f("a.go", "package a; var at, the, most int", false)
	f("a.md", "three at the most", true)
	f("a.yaml", "# three at the most", true)
	f("a.py", "x = 1  # at the most", true)
	f("a.py", "at_the_most = 1", false)
	f("a.txt", "three at the most", false)
}
