// Package settingsfile reads files given by settings.
package settingsfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	maxBytes = 1 << 20 // maximum size of a file in bytes
	// pipeTimeout is how long Read waits for the writer of a pipe.
	pipeTimeout = 10 * time.Second
)

// pipes contains what was read from pipes, by name: a pipe, such as a shell's <(command),
// can be read only once.
var pipes sync.Map

// Read returns the contents of a file or a pipe of at most 1 MiB. Its error begins with
// the name. It refuses folders and devices.
func Read(name string) ([]byte, error) {
	if kept, has := pipes.Load(name); has {
		return kept.([]byte), nil
	}
	// Without O_NONBLOCK, opening a pipe blocks until it is opened for writing.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the name is a setting
	if err != nil {
		return nil, failure(name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, failure(name, err)
	}
	isPipe := info.Mode()&fs.ModeNamedPipe != 0
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%q is a folder", name)
	case !isPipe && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q is a device and not a file", name)
	}
	_ = f.SetReadDeadline(time.Now().Add(pipeTimeout)) // regular files do not support or need it
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, failure(name, err)
	case len(data) > maxBytes:
		return nil, fmt.Errorf("%q has more than 1 MiB", name)
	}
	if isPipe {
		pipes.Store(name, data)
	}
	return data, nil
}

func failure(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%q cannot be read: %w", name, err)
}
