package main

import (
	"bufio"
	"errors"
	"fmt"
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
	f := func(script string, want int) {
		t.Helper()
		if got := exitCode(runCommand(exec.Command("sh", "-c", script), nil)); got != want {
			t.Errorf("sh -c %q: exit code %d, want %d", script, got, want)
		}
	}
	f("exit 0", 0)
	f("exit 7", 7)
	f("kill -TERM $$", 128+int(syscall.SIGTERM))

	if got := exitCode(runCommand(exec.Command("/no/such/command"), nil)); got != 1 {
		t.Errorf("command that does not exist: exit code %d, want 1", got)
	}
	// A failure to stop a server does not hide the command's exit code.
	if got := exitCode(errors.Join(runCommand(exec.Command("sh", "-c", "exit 7"), nil), errors.New("stop"))); got != 7 {
		t.Errorf("a failed command and a failed stop: exit code %d, want 7", got)
	}
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
		if got := exitCode(<-ended); got != want {
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
	folder := t.TempDir()
	cmd := exec.Command("sh", "-c", `mount -t tmpfs tmpfs "$0" && touch "$0"/inside`, folder)
	local.PrivateMounts(cmd)
	if cmd.SysProcAttr == nil {
		t.Skip("needs CAP_SYS_ADMIN on Linux")
	}
	if err := runCommand(cmd, nil); err != nil {
		t.Fatal(err)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), folder) {
		t.Errorf("%s is still a mount point: %v", folder, err)
	}
}
