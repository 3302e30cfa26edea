package local

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// zipOf creates an archive of files, given as name, content, name, content …
func zipOf(t *testing.T, files ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := zip.NewWriter(out)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnzip_Success(t *testing.T) {
	archive := zipOf(t,
		"server-1/", "",
		"server-1/lib/", "",
		"server-1/lib/a.jar", "aaaa",
		"server-1/modules/big/b.jar", "bbbb",
		"server-1/modules/bigger.jar", "cccc")
	folder := t.TempDir()
	if err := unzip(archive, folder, 8, "modules/big"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "lib", "a.jar")); err != nil || string(got) != "aaaa" {
		t.Errorf("lib/a.jar: got %q, %v", got, err)
	}
	if got := list(t, filepath.Join(folder, "modules")); !slices.Equal(got, []string{"bigger.jar"}) {
		t.Errorf("modules has %v, want only bigger.jar", got)
	}
}

func TestUnzip_Failure(t *testing.T) {
	f := func(limit int64, files ...string) {
		t.Helper()
		parent := t.TempDir()
		folder := filepath.Join(parent, "in", "folder")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unzip(zipOf(t, files...), folder, limit); err == nil {
			t.Errorf("no error for %q", files)
		}
		if _, err := os.Stat(filepath.Join(parent, "evil")); err == nil {
			t.Errorf("%q was written outside the folder", files)
		}
	}
	f(100, "s/../../evil", "x")
	f(100, "s/lib/../../../evil", "x")
	f(100, "s//evil", "x")
	// One file larger than the limit, and all files together.
	f(3, "s/a", "aaaa")
	f(5, "s/a", "aaa", "s/b", "bbb")

	if err := unzip(filepath.Join(t.TempDir(), "none.zip"), t.TempDir(), 1); err == nil {
		t.Error("no error for an archive that does not exist")
	}
}
