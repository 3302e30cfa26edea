// Package docs has the pages for users and operators.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source returns the text of the program without its tests.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"checkpoint", "cli", "consumer", "indexer", "opensearch", "telemetry"} {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

var (
	messageTables = regexp.MustCompile(`(?s)<!-- messages -->\n(.*?)<!-- -->`)
	quoted        = regexp.MustCompile("`([^`]+)`")
	checkName     = regexp.MustCompile(`^(consumer|indexer|OpenSearch): `)
)

// The log messages and the reasons of probes that the pages quote are in the program. On a
// page, … stands for what differs.
func TestMessages(t *testing.T) {
	t.Parallel()
	program := source(t)
	for page, least := range map[string]int{"monitoring.md": 30, "operations.md": 5} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		messages := 0
		for _, table := range messageTables.FindAllStringSubmatch(string(text), -1) {
			for _, row := range slices.Collect(strings.Lines(table[1]))[2:] {
				for _, message := range quoted.FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
					messages++
					for part := range strings.SplitSeq(checkName.ReplaceAllString(message[1], ""), "…") {
						if part = strings.TrimSpace(part); !strings.Contains(program, part) {
							t.Errorf("%s quotes %q, and the program has no %q", page, message[1], part)
						}
					}
				}
			}
		}
		if messages < least {
			t.Errorf("%s has %d messages in its tables, want %d or more", page, messages, least)
		}
	}
}
