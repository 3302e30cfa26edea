package local

import (
	"os/exec"
	"syscall"
)

// Detach makes the kernel kill the child when this process ends for any reason. It also puts the
// child into its own process group, so that Ctrl-C does not reach it and it can be stopped in
// order.
func Detach(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	command.SysProcAttr.Setpgid = true
}
