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

// fetch makes a folder under the cache by filling a temporary one, unless it
// is there. Processes that want the same folder at once wait for the first.
// Every user may read what is fetched, because OpenSearch may run as another.
func fetch(ctx context.Context, cache, name string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(cache, name)
	// It is whole if it is there, so a cache that only others can write to will do.
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // see above
		return "", fmt.Errorf("make the cache folder, which %s can name: %w", cacheVariable, err)
	}
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", fmt.Errorf("lock the cache for %s: %w", name, err)
	}
	defer unlock()
	// Another may have fetched it meanwhile.
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := fillAtOnce(folder, fill); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return folder, nil
}

// fillAtOnce makes a folder appear when it is complete. The caller holds its lock.
func fillAtOnce(folder string, fill func(folder string) error) error {
	// Under the lock, what is half done is nobody's.
	halves, err := filepath.Glob(folder + ".part-*")
	if err != nil {
		return err
	}
	for _, half := range halves {
		if err := os.RemoveAll(half); err != nil {
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

// openToAll lets every user read a folder, whatever the umask.
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

// lock takes a lock that ends with the process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a folder of ours
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
