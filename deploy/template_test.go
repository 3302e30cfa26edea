package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"logsluice/local"
	"logsluice/local/localtest"
)

// The tests of the template are in Python, because the linter and moto are.
func TestTemplate(t *testing.T) {
	url := localtest.OpenSearch(t)
	python := pythonWith(t, "tests/requirements.txt")
	program := filepath.Join(t.TempDir(), "logsluice")
	run(t, exec.Command("go", "build", "-o", program, ".."))

	tests := exec.Command(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--show-capture=no", "--durations=5")
	tests.Dir = "tests"
	tests.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", localtest.OpenSearchURL+"="+url, "LOGSLUICE_TEST_PROGRAM="+program)
	run(t, tests)
}

// pythonWith returns a Python with the packages of a requirements file, installed in a folder of
// the cache whose name is derived from that file. It skips the test without Python.
func pythonWith(t *testing.T, requirements string) string {
	t.Helper()
	list, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("LOGSLUICE_CACHE")
	if cache == "" {
		cache = filepath.Join("..", ".cache")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("python3", "-c", "import sys, venv, ensurepip; assert sys.version_info >= (3, 11)").Run(); err != nil {
		localtest.Skip(t, "needs Python 3.11 or later with venv (Debian: python3-venv)")
	}
	sum := sha256.Sum256(list)
	folder := filepath.Join(cache, "python-"+hex.EncodeToString(sum[:6]))
	python := filepath.Join("bin", "python3")
	if _, err := os.Stat(folder); err == nil {
		return filepath.Join(folder, python)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	partial, err := os.MkdirTemp(cache, filepath.Base(folder)+".part-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(partial)
	run(t, exec.Command("python3", "-m", "venv", partial))
	run(t, exec.Command(filepath.Join(partial, python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements))
	// The folder appears when it is complete. Another test can have been faster.
	if err := os.Rename(partial, folder); err != nil {
		if _, gone := os.Stat(folder); gone != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, python)
}

// run runs a command, kills the processes that it leaves behind, and logs its output.
func run(t *testing.T, command *exec.Cmd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	// Linux kills the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	local.Detach(command)
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	err = command.Wait()
	stop()
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // processes left behind
	text, _ := os.ReadFile(output.Name())
	if err != nil {
		t.Fatalf("%s: %v (%v)\n%s", command, err, ctx.Err(), text)
	}
	t.Logf("%s\n%s", command, text)
}
