//go:build !linux

package local

import (
	"os/exec"
	"syscall"
)

// Detach gives the child a group of its own, which keeps Ctrl-C from it, so
// that it is stopped in order. Only Linux can also end it when we are killed.
func Detach(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
}
