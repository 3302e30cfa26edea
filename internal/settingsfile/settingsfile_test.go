package settingsfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file, large, pipe := filepath.Join(folder, "file"), filepath.Join(folder, "large"), filepath.Join(folder, "pipe")
	for name, text := range map[string]string{file: "text", large: strings.Repeat("x", maxBytes+1)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := Read(file); string(data) != "text" || err != nil {
		t.Errorf("a file: %q, %v", data, err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reads, writes, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reads.Close()
	if _, err := writes.WriteString("from a pipe"); err != nil {
		t.Fatal(err)
	}
	writes.Close()
	for range 2 {
		if data, err := Read(fmt.Sprint("/dev/fd/", reads.Fd())); string(data) != "from a pipe" || err != nil {
			t.Errorf("a pipe: %q, %v", data, err)
		}
	}
	if data, err := Read(pipe); len(data) != 0 || err != nil {
		t.Errorf("a pipe without a writer: %q, %v", data, err)
	}
	for name, want := range map[string]string{
		folder: " is a folder", "/dev/zero": " is a device and not a file", large: " has more than 1 MiB", filepath.Join(folder, "none"): " cannot be read: no such file or directory",
	} {
		if data, err := Read(name); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}
