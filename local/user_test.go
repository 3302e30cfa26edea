package local

import (
	"os"
	"path/filepath"
	"testing"
)

// publicTemp returns a temporary folder that all users can enter, unlike t.TempDir.
func publicTemp(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "logsluice-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestRunner_Reaches(t *testing.T) {
	open, shut := publicTemp(t), filepath.Join(t.TempDir(), "shut")
	if err := os.MkdirAll(filepath.Join(shut, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	f := func(r runner, folder string, want bool) {
		t.Helper()
		if got := r.reaches(folder); got != want {
			t.Errorf("%+v reaches %s: %v, want %v", r, folder, got, want)
		}
	}
	other := runner{other: true, uid: 65534, gid: 65534}
	f(other, open, true)
	f(other, filepath.Join(open, "not", "there", "yet"), true)
	f(other, shut, false)
	f(other, filepath.Join(shut, "open"), false)
	f(runner{}, filepath.Join(shut, "open"), true)
}

func TestRunner_Temporary(t *testing.T) {
	shut := filepath.Join(t.TempDir(), "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", shut)
	f := func(r runner, want string) {
		t.Helper()
		folder, err := r.temporary("logsluice-test-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(folder)
		if got := filepath.Dir(folder); got != want {
			t.Errorf("%+v: got a folder in %s, want one in %s", r, got, want)
		}
	}
	f(runner{}, shut)
	f(runner{other: true, uid: 65534, gid: 65534}, persistentTemp)
}
