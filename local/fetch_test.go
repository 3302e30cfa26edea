package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFetch_FillsOnceForAll(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "new", "cache")
	var fills atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			folder, err := fetch(t.Context(), cache, "thing", func(folder string) error {
				fills.Add(1)
				time.Sleep(100 * time.Millisecond)
				return os.WriteFile(filepath.Join(folder, "content"), nil, 0o600)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if folder != filepath.Join(cache, "thing") {
				t.Errorf("got the folder %s", folder)
			}
			if _, err := os.Stat(filepath.Join(folder, "content")); err != nil {
				t.Errorf("the folder exists before it is complete: %v", err)
			}
		})
	}
	all.Wait()
	if fills.Load() != 1 {
		t.Errorf("filled %d times, want once", fills.Load())
	}
}

func TestFetch_Atomic(t *testing.T) {
	cache := t.TempDir()
	broken := errors.New("broken")
	_, err := fetch(t.Context(), cache, "thing", func(folder string) error {
		writeFile(t, filepath.Join(folder, "content"), "half", 0o644)
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of filling", err)
	}
	// A process that was killed leaves a partial folder.
	writeFile(t, filepath.Join(cache, "thing.part-123", "content"), "half", 0o644)
	if names := list(t, cache); len(names) != 2 {
		t.Errorf("the cache has %v after a failure", names)
	}

	folder, err := fetch(t.Context(), cache, "thing", func(folder string) error {
		return os.WriteFile(filepath.Join(folder, "content"), []byte("whole"), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(folder, "content")); err != nil || string(content) != "whole" {
		t.Errorf("got %q, %v", content, err)
	}
	if names := list(t, cache); len(names) != 2 {
		t.Errorf("the cache has %v, want the folder and its lock", names)
	}
}

func list(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestFetch_AllCanRead(t *testing.T) {
	folder, err := fetch(t.Context(), t.TempDir(), "thing", func(folder string) error {
		return errors.Join(os.Mkdir(filepath.Join(folder, "sub"), 0o700),
			os.WriteFile(filepath.Join(folder, "sub", "content"), nil, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"": 0o755, "sub": 0o755, "sub/content": 0o644} {
		info, err := os.Stat(filepath.Join(folder, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has the mode %o, want %o", path, got, want)
		}
	}
}

func TestFetch_Cancelled(t *testing.T) {
	cache := t.TempDir()
	unlock, err := lock(t.Context(), filepath.Join(cache, "thing.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = fetch(ctx, cache, "thing", func(string) error { return errors.New("filled without the lock") })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestMaven_Missing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := maven(t.Context(), jdk{}, t.TempDir(), "copy"); err == nil {
		t.Error("no error without Maven")
	}
}

func TestMaven_Error(t *testing.T) {
	bin := t.TempDir()
	writeFile(t, filepath.Join(bin, "mvn"), `#!/bin/sh
echo '[WARNING] noise'
echo '[ERROR] Failed to execute goal: could not find artifact -> [Help 1]'
echo '[ERROR] '
echo '[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.'
exit 1
`, 0o755)
	t.Setenv("PATH", bin)
	err := maven(t.Context(), jdk{}, t.TempDir(), "copy")
	const want = "mvn: exit status 1: Failed to execute goal: could not find artifact"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
