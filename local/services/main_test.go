package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"logsluice/local"
)

func TestRunCommand_ExitCode(t *testing.T) {
	f := func(err error, want int, printed string) {
		t.Helper()
		var stderr strings.Builder
		if got := exitCode(err, &stderr); got != want || stderr.String() != printed {
			t.Errorf("%v: exit code %d, want %d; printed %q, want %q", err, got, want, stderr.String(), printed)
		}
	}
	shell := func(script string) error { return runCommand(exec.Command("sh", "-c", script), nil) }
	f(shell("exit 0"), 0, "")
	f(shell("exit 7"), 7, "")
	f(shell("kill -TERM $$"), 128+int(syscall.SIGTERM), "")
	f(runCommand(exec.Command("/no/such/command"), nil), 1, "services: run the command: fork/exec /no/such/command: no such file or directory\n")
	// A failure to stop a server does not hide the command's exit code, and is printed.
	f(errors.Join(shell("exit 7"), errors.New("stop")), 7, "services: stop\n")
	f(errors.Join(shell("exit 0"), errors.New("stop")), 1, "services: stop\n")
}

func TestRunCommand_ForwardsSignals(t *testing.T) {
	f := func(signal os.Signal) {
		t.Helper()
		cmd := exec.Command("sh", "-c", `trap "exit 8" TERM; trap "exit 9" HUP; echo ready; while :; do sleep 0.05; done`)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 1)
		ended := make(chan error, 1)
		go func() { ended <- runCommand(cmd, signals) }()
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("the command printed %q: %v", line, err)
		}
		signals <- signal
		want := map[os.Signal]int{syscall.SIGTERM: 8, syscall.SIGHUP: 9}[signal]
		if got := exitCode(<-ended, io.Discard); got != want {
			t.Errorf("%v: exit code %d, want %d", signal, got, want)
		}
	}
	f(syscall.SIGTERM)
	f(syscall.SIGHUP)
}

// Processes that a command leaves behind are killed.
func TestRunCommand_NothingLeft(t *testing.T) {
	cmd := exec.Command("sh", "-c", `sleep 1000 >/dev/null 2>&1 & echo $!`)
	var out strings.Builder
	cmd.Stdout = &out
	if err := runCommand(cmd, nil); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

// Mounts that a command leaves behind end with it, so that its folders can be removed.
func TestRunCommand_NoMountsLeft(t *testing.T) {
	var probe exec.Cmd
	if local.PrivateMounts(&probe); probe.SysProcAttr == nil {
		t.Skip("needs CAP_SYS_ADMIN on Linux")
	}
	folder := t.TempDir()
	if err := runCommand(exec.Command("mount", "-t", "tmpfs", "tmpfs", folder), nil); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exec.Command("umount", folder).Run() }() // fails if all is well
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), folder) {
		t.Errorf("%s is still a mount point: %v", folder, err)
	}
}
