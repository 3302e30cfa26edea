package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fetch creates a folder in the cache, unless it exists, by filling a temporary one. Processes
// that need the same folder wait for the first one. All users can read the folder, because
// OpenSearch can run as another user.
func fetch(ctx context.Context, cache, name string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(cache, name)
	// An existing folder is complete, so a read-only cache is sufficient.
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // see above
		return "", fmt.Errorf("create the cache folder: %w: set %s to another folder", err, cacheVariable)
	}
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", fmt.Errorf("lock the cache for %s: %w", name, err)
	}
	defer unlock()
	// Another process can have fetched it while this one waited.
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := fillAtomically(folder, fill); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return folder, nil
}

// fillAtomically makes a folder appear when it is complete. Its lock must be held.
func fillAtomically(folder string, fill func(folder string) error) error {
	// The lock is held, so partial folders belong to processes that have ended.
	partial, err := filepath.Glob(folder + ".part-*")
	if err != nil {
		return err
	}
	for _, p := range partial {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	temporary, err := os.MkdirTemp(filepath.Dir(folder), filepath.Base(folder)+".part-")
	if err != nil {
		return err
	}
	if err := errors.Join(fill(temporary), openToAll(temporary)); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return os.Rename(temporary, folder)
}

// openToAll lets all users read a folder, whatever the umask is.
func openToAll(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.Chmod(path, 0o755) //nolint:gosec // it has no secrets
		default:
			return os.Chmod(path, 0o644) //nolint:gosec // it has no secrets
		}
	})
}

// lock acquires a lock, which is released at the latest when the process ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // our folder
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
