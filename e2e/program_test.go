// Package e2e tests the program as users run it: as processes with real servers. Its tests run in
// parallel, each with its own stream, lease table and indices.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	zerologlog "github.com/rs/zerolog/log"

	"logsluice/cli"
	"logsluice/local"
)

// Exit codes of the program.
const (
	exitOK       = 0
	exitFailure  = 1
	exitSettings = 2
)

// asProgram makes the test binary act as the program, so that commands are processes, which can
// be killed and have their own environment.
const asProgram = "LOGSLUICE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := cli.Main(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	zerologlog.Logger = zerolog.Nop() // toxiproxy logs there
	os.Exit(m.Run())
}

// environments has the variables that tests set for their commands, by the name of the test.
var environments sync.Map

// setenv sets a variable for the commands of a test and of its subtests. Unlike t.Setenv, it does
// not affect other tests.
func setenv(t *testing.T, name, value string) {
	t.Helper()
	found, has := environments.LoadOrStore(t.Name(), map[string]string{})
	variables := found.(map[string]string)
	variables[name] = value
	if !has {
		t.Cleanup(func() { environments.Delete(t.Name()) })
	}
}

// environment returns the variables for the commands of a test.
func environment(t *testing.T) []string {
	all := map[string]string{}
	for i, name := range t.Name() + "/" {
		if name != '/' {
			continue
		}
		if found, has := environments.Load(t.Name()[:i]); has {
			maps.Copy(all, found.(map[string]string))
		}
	}
	env := append(os.Environ(), asProgram+"=1")
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// program runs a command and returns its exit code. When ctx ends, it sends SIGTERM.
func program(ctx context.Context, t *testing.T, args []string, in io.Reader, out, errOut io.Writer) int {
	t.Helper()
	process := exec.Command(os.Args[0], args...)
	process.Env = environment(t)
	process.Stdin, process.Stdout, process.Stderr = in, out, errOut
	ended, err := local.Start(process)
	if err != nil {
		t.Error(err)
		return -1
	}
	stop := context.AfterFunc(ctx, func() { _ = process.Process.Signal(syscall.SIGTERM) }) // it may have ended
	defer stop()
	if err := <-ended; err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Error(err)
	}
	return process.ProcessState.ExitCode()
}

// command runs a command with additional variables, which the test's later commands also have.
func command(t *testing.T, env map[string]string, input []byte, args ...string) (code int, out, errOut string) {
	t.Helper()
	for name, value := range env {
		setenv(t, name, value)
	}
	var stdout, stderr bytes.Buffer
	code = program(t.Context(), t, args, bytes.NewReader(input), &stdout, &stderr)
	if strings.Contains(stderr.String(), "DATA RACE") {
		t.Error(stderr.String())
	}
	return code, stdout.String(), stderr.String()
}

// asset returns the output of an assets command.
func asset(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errOut := command(t, nil, nil, append([]string{"assets"}, args...)...)
	if code != exitOK || errOut != "" {
		t.Fatalf("%s: exit %d, standard error %q, output\n%s", args, code, errOut, out)
	}
	return out
}

// sample returns the envelope of a subscription record and the bulk request made from it.
func sample(t *testing.T) (envelope []byte, bulk string) {
	t.Helper()
	envelope, err := os.ReadFile("../cli/testdata/envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile("../cli/testdata/bulk.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return envelope, string(lines)
}
