//go:build !linux

package local

import (
	"os/exec"
	"syscall"
)

// Detach puts the child into its own process group, so that Ctrl-C does not reach it and it can
// be stopped in order. Only Linux can also end the child when this process is killed.
func Detach(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
}

// PrivateMounts does nothing: only Linux has mount namespaces.
func PrivateMounts(*exec.Cmd) {}
