//go:build !linux

package local

import "os/exec"

// dieWithParent does nothing: there is no such tie here. The child stays in our
// process group and gets Ctrl-C with us.
func dieWithParent(*exec.Cmd) {}
