package local

import (
	"os/exec"
	"syscall"
)

// Detach has the kernel kill the child when we end, however we end. A group of
// its own keeps Ctrl-C from it, so that it is stopped in order.
func Detach(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	command.SysProcAttr.Setpgid = true
}
