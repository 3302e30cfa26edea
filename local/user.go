package local

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// runner is the user that OpenSearch runs as. It refuses to run as root, so that is the user
// nobody if this process runs as root, and otherwise the current user.
type runner struct {
	other    bool
	uid, gid int
}

func findRunner() (runner, error) {
	if os.Getuid() != 0 {
		return runner{}, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return runner{}, fmt.Errorf("find a user for OpenSearch, which refuses to run as root: %w", err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		return runner{}, fmt.Errorf("read the id of the user nobody: %w", err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		return runner{}, fmt.Errorf("read the group of the user nobody: %w", err)
	}
	return runner{other: true, uid: uid, gid: gid}, nil
}

// apply makes a command run as the user.
func (r runner) apply(command *exec.Cmd) {
	if r.other {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}} //nolint:gosec // ids of a user database
	}
}

// chown makes the user the owner of folders and files.
func (r runner) chown(paths ...string) error {
	if !r.other {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, r.uid, r.gid); err != nil {
			return fmt.Errorf("change the owner to the user that OpenSearch runs as: %w", err)
		}
	}
	return nil
}

// reaches reports whether the user can enter a folder: all users must be able to enter it and
// each folder above it.
func (r runner) reaches(folder string) bool {
	if !r.other {
		return true
	}
	for {
		if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return true
		}
		folder = parent
	}
}

// persistentTemp is the folder for temporary files that all users can enter and that survives a
// reboot.
const persistentTemp = "/var/tmp"

// cache returns a cache folder that the user can read: the given one, or one in /var/tmp.
func (r runner) cache(given string) (string, error) {
	if err := os.MkdirAll(given, 0o755); err != nil { //nolint:gosec // other users read it
		return "", fmt.Errorf("create the cache folder: %w: set %s to another folder", err, cacheVariable)
	}
	if r.reaches(given) {
		return given, nil
	}
	other := filepath.Join(persistentTemp, "logsluice-cache-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(other, 0o755); err != nil { //nolint:gosec // other users read it
		return "", fmt.Errorf("create a cache folder that every user can read: %w", err)
	}
	// Every user can create folders in /var/tmp, and programs are run from this one.
	info, err := os.Lstat(other)
	if err != nil {
		return "", fmt.Errorf("check the cache folder: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to another user: remove it, or set %s to a folder that every user can read", other, cacheVariable)
	}
	return other, os.Chmod(other, 0o755) //nolint:gosec // whatever the umask, other users read it
}

// temporary creates a folder for temporary files that the user can enter.
func (r runner) temporary(name string) (string, error) {
	parent := os.TempDir()
	if !r.reaches(parent) {
		parent = persistentTemp
	}
	folder, err := os.MkdirTemp(parent, name)
	if err != nil {
		return "", fmt.Errorf("create a temporary folder: %w", err)
	}
	return folder, nil
}
