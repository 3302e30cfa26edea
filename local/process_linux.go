package local

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
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

// PrivateMounts gives the child its own mount namespace if this process may create one. Mounts
// that the child leaves behind end with its last process, and nothing is removed through them.
func PrivateMounts(command *exec.Cmd) {
	if !mayMount() {
		return
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNS
}

var effectiveCapabilities = regexp.MustCompile(`CapEff:\s*([0-9a-f]+)`)

// mayMount reports whether this process has CAP_SYS_ADMIN (capabilities(7)).
func mayMount() bool {
	const sysAdmin = 21
	status, _ := os.ReadFile("/proc/self/status")
	found := effectiveCapabilities.FindSubmatch(status)
	if found == nil {
		return false
	}
	set, err := strconv.ParseUint(string(found[1]), 16, 64)
	return err == nil && set>>sysAdmin&1 == 1
}
