package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// parentVariable makes the test binary act as a parent that is killed: see TestParentKilled.
const parentVariable = "LOGSLUICE_LOCAL_PARENT"

func TestMain(m *testing.M) {
	if what := os.Getenv(parentVariable); what != "" {
		if err := runParent(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// script returns a process whose server is a shell script. It is ready when the file "ready"
// exists in its folder.
func script(folder, text string) *process {
	return &process{
		name:        "the script",
		folder:      folder,
		stopTimeout: 300 * time.Millisecond,
		command:     func() *exec.Cmd { return exec.Command("sh", "-c", text) },
		ready: func(context.Context) bool {
			_, err := os.Stat(filepath.Join(folder, "ready"))
			return err == nil
		},
	}
}

// alive reports whether a process runs.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

func goneWithin(pid int, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !alive(pid) {
			return true
		}
	}
	return false
}

func TestProcess_Stop(t *testing.T) {
	f := func(text, wantNote string) {
		t.Helper()
		note := filepath.Join(t.TempDir(), "note")
		p := script(filepath.Join(t.TempDir(), "server"), strings.ReplaceAll(text, "NOTE", note))
		if err := os.Mkdir(p.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := p.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pid := p.running.Process.Pid
		if group, err := syscall.Getpgid(pid); err != nil || group != pid {
			t.Errorf("process group %d, %v, want its own", group, err)
		}
		if err := p.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if alive(pid) {
			t.Error("the server still runs")
		}
		if _, err := os.Stat(p.folder); err == nil {
			t.Error("the folder still exists")
		}
		if got, _ := os.ReadFile(note); string(got) != wantNote {
			t.Errorf("note %q, want %q", got, wantNote)
		}
		if err := p.stop(); err != nil {
			t.Errorf("second stop: %v", err)
		}
	}
	// One server ends by SIGTERM, the other only by SIGKILL.
	f(`trap 'printf ended >NOTE; exit 0' TERM; touch ready; while :; do sleep 0.02; done`, "ended")
	f(`trap '' TERM; touch ready; while :; do sleep 0.02; done`, "")
}

func TestProcess_StartFailure(t *testing.T) {
	f := func(ctx context.Context, text string, wants ...string) {
		t.Helper()
		p := script(t.TempDir(), text)
		err := p.start(ctx)
		if err == nil {
			t.Fatalf("%s: no error", text)
		}
		if strings.Count(err.Error(), "ended") > 1 {
			t.Errorf("%s: reported twice: %v", text, err)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, which lacks %q", text, err, want)
			}
		}
		if p.running != nil && alive(p.running.Process.Pid) {
			t.Errorf("%s: the server still runs", text)
		}
	}
	f(t.Context(), `seq 30; echo 'no room' >&2; exit 3`, "the script ended at its start", "exit status 3", "| 30 | no room")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	f(ctx, `echo thinking; while :; do sleep 0.02; done`, "does not answer", "deadline", "thinking")

	p := script(t.TempDir(), "")
	p.command = func() *exec.Cmd { return exec.Command("/no/such/server") }
	if err := p.start(t.Context()); err == nil || !strings.Contains(err.Error(), "start the script") {
		t.Errorf("got %v for a program that does not exist", err)
	}
}

func TestProcess_EndedByItself(t *testing.T) {
	p := script(t.TempDir(), `touch ready; echo 'out of memory'; exit 4`)
	if err := p.spawn(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "had ended by itself (exit status 4): out of memory") {
		t.Errorf("got %v", err)
	}
}

func TestProcess_KillAndStartAgain(t *testing.T) {
	p := script(t.TempDir(), `trap 'touch asked' TERM; echo once >>ready; while :; do sleep 0.02; done`)
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.running.Process.Pid
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	if alive(first) {
		t.Error("the server runs after it was killed")
	}
	if _, err := os.Stat(filepath.Join(p.folder, "asked")); err == nil {
		t.Error("the server got SIGTERM before it was killed")
	}
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := p.running.Process.Pid
	if second == first || !alive(second) {
		t.Errorf("process %d after %d, want another that runs", second, first)
	}
	if err := errors.Join(p.kill(), p.stop()); err != nil {
		t.Error(err)
	}
}

// runParent starts servers, prints their process ids, and waits to be killed.
func runParent(what string) error {
	var pids []int
	switch what {
	case "of a script":
		folder, err := os.MkdirTemp("", "script")
		if err != nil {
			return err
		}
		p := script(folder, `trap '' TERM HUP; touch ready; while :; do sleep 0.05; done`)
		if err := p.start(context.Background()); err != nil {
			return err
		}
		pids = append(pids, p.running.Process.Pid)
	case "of servers":
		options := Options{Heap: "256m", FastStart: true}
		search, err := StartOpenSearch(context.Background(), options)
		if err != nil {
			return err
		}
		dynamo, err := StartDynamoDB(context.Background(), options)
		if err != nil {
			return err
		}
		pids = append(pids, search.Pid(), dynamo.Pid())
	}
	fmt.Println(strings.Trim(fmt.Sprint(pids), "[]"))
	time.Sleep(time.Hour)
	return nil
}

// killParent starts a process that starts servers, kills it, and checks that the servers end.
func killParent(t *testing.T, what string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child whose parent was killed")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+what, "TMPDIR="+publicTemp(t))
	var errs bytes.Buffer
	parent.Stderr = &errs
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	var pids []int
	for _, field := range strings.Fields(line) {
		pid, err := strconv.Atoi(field)
		if err != nil || !alive(pid) {
			t.Errorf("%q of %q does not run: %v", field, line, err)
			continue
		}
		pids = append(pids, pid)
	}
	// Wait returns that it was killed.
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait()
	if len(pids) == 0 {
		t.Fatalf("nothing was started: %s", errs.String())
	}
	for _, pid := range pids {
		if !goneWithin(pid, 5*time.Second) {
			t.Errorf("process %d outlives its parent", pid)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestParentKilled(t *testing.T) { killParent(t, "of a script") }
