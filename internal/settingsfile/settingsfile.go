// Package settingsfile reads the files that settings name.
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
	most = 1 << 20 // bytes of a file
	// patience is for the writer of a pipe.
	patience = 10 * time.Second
)

// pipes has what was read from pipes, by name: a pipe, such as <(command) of a shell, can be
// read once only.
var pipes sync.Map

// Read returns the contents of a file or a pipe of up to 1 MiB. Its error begins with the
// name. It is nothing else that it reads: a folder has no contents, and a device no end.
func Read(name string) ([]byte, error) {
	if kept, has := pipes.Load(name); has {
		return kept.([]byte), nil
	}
	// Otherwise to open a pipe waits until somebody opens it for writing.
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
	_ = f.SetReadDeadline(time.Now().Add(patience)) // files have none, and need none
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, failure(name, err)
	case len(data) > most:
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
