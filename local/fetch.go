package local

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// dependencyPlugin fetches artifacts from Maven's repository.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:"

// fetch makes a folder under the cache by filling a temporary one, unless it
// is there. Processes that want the same folder at once wait for the first.
func fetch(cache, name string, fill func(folder string) error) (folder string, err error) {
	if cache, err = filepath.Abs(cache); err != nil {
		return "", err
	}
	folder = filepath.Join(cache, name)
	// 0755: OpenSearch runs as another user.
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	lock, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("lock the cache: %w", err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the cache: %w", err)
	}
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	temporary, err := os.MkdirTemp(cache, name+".part-")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer os.RemoveAll(temporary)
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", err
	}
	if err := fill(temporary); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.Rename(temporary, folder); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return folder, nil
}

// maven runs a goal of the dependency plugin. What it prints is told when it fails.
func maven(ctx context.Context, java jdk, folder, goal string, args ...string) error {
	path, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("Maven is needed to fetch it: install Maven (mvn)")
	}
	mvn := exec.CommandContext(ctx, path, append([]string{"-q", "-B", dependencyPlugin + goal}, args...)...)
	mvn.Dir = folder
	mvn.Env = os.Environ()
	if os.Getenv("JAVA_HOME") == "" {
		mvn.Env = append(mvn.Env, "JAVA_HOME="+java.home)
	}
	if out, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, lastLines(string(out), 5))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], " | ")
}

// maxUnpacked bounds a file of an archive; OpenSearch's largest has 30 MB.
const maxUnpacked = 1 << 30

// unzip unpacks an archive into a folder, without its outermost folder and
// without what skip tells.
func unzip(archive, folder string, skip func(path string) bool) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer reader.Close()
	for _, f := range reader.File {
		_, path, _ := strings.Cut(f.Name, "/")
		if path == "" || skip(path) {
			continue
		}
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%s has the unsafe path %q", archive, f.Name)
		}
		if err := unzipFile(f, filepath.Join(folder, path)); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

func unzipFile(f *zip.File, path string) error {
	if f.FileInfo().IsDir() {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxUnpacked))
	return errors.Join(err, out.Close())
}
