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

// runner is the user that OpenSearch, which refuses root, runs as: nobody if we
// are root, else ourselves.
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
		return runner{}, fmt.Errorf("OpenSearch refuses to run as root, and there is no other user to run it as: %w", err)
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

// apply makes a command run as that user.
func (r runner) apply(command *exec.Cmd) {
	if r.other {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}} //nolint:gosec // ids of a user database
	}
}

// own gives folders to that user.
func (r runner) own(folders ...string) error {
	if !r.other {
		return nil
	}
	for _, folder := range folders {
		if err := os.Chown(folder, r.uid, r.gid); err != nil {
			return fmt.Errorf("give a folder to the user that OpenSearch runs as: %w", err)
		}
	}
	return nil
}

// reaches tells whether that user can enter a folder: whether everybody may
// pass through it and each folder above it.
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

// lasting is the folder for temporary files that every user reaches and that
// outlives a reboot.
const lasting = "/var/tmp"

// cache is a cache folder that user can read: the one given, or else one in
// /var/tmp.
func (r runner) cache(given string) (string, error) {
	if err := os.MkdirAll(given, 0o755); err != nil { //nolint:gosec // other users read it
		return "", fmt.Errorf("make the cache folder, which %s can name: %w", cacheVariable, err)
	}
	if r.reaches(given) {
		return given, nil
	}
	other := filepath.Join(lasting, "logsluice-cache-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(other, 0o755); err != nil { //nolint:gosec // other users read it
		return "", fmt.Errorf("make a cache folder that every user can read: %w", err)
	}
	// Everybody can make folders in /var/tmp, and programs are run from this one.
	info, err := os.Lstat(other)
	if err != nil {
		return "", fmt.Errorf("look at the cache folder: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not ours: remove it, or set %s to a folder that every user can read", other, cacheVariable)
	}
	return other, os.Chmod(other, 0o755) //nolint:gosec // whatever the umask, other users read it
}

// temporary makes a folder for temporary files that user can reach.
func (r runner) temporary(name string) (string, error) {
	parent := os.TempDir()
	if !r.reaches(parent) {
		parent = lasting
	}
	folder, err := os.MkdirTemp(parent, name)
	if err != nil {
		return "", fmt.Errorf("make a folder for temporary files: %w", err)
	}
	return folder, nil
}
