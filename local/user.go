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
		return runner{}, err
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		return runner{}, err
	}
	return runner{other: true, uid: uid, gid: gid}, nil
}

// apply makes a command run as that user.
func (r runner) apply(command *exec.Cmd) {
	if r.other {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}}
	}
}

// own gives folders to that user.
func (r runner) own(folders ...string) error {
	if !r.other {
		return nil
	}
	for _, folder := range folders {
		if err := os.Chown(folder, r.uid, r.gid); err != nil {
			return err
		}
	}
	return nil
}

// reaches tells whether that user can enter a folder: whether everybody may
// pass through each folder above it.
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
