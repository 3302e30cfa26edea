// Services runs a command while a real OpenSearch and a real DynamoDB Local run:
// go run ./local/services -- go test ./...
// It ends with the command's exit code.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"logsluice/local"
	"logsluice/local/localtest"
)

func main() {
	cache := flag.String("cache", "", "folder for fetched servers (default LOGSLUICE_CACHE, otherwise .cache of this module)")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "services: no command given: services [-cache FOLDER] -- COMMAND ARGS…")
		os.Exit(2)
	}
	os.Exit(exitCode(run(*cache, flag.Args()), os.Stderr))
}

// exitCode returns the exit code of the command as a shell does, or 1 if only something else
// failed. It writes what else failed to stderr.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	failed := errors.As(err, &exit)
	for _, line := range strings.Split(err.Error(), "\n") {
		if !failed || line != exit.Error() {
			fmt.Fprintf(stderr, "services: %s\n", line)
		}
	}
	if !failed {
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

func run(cache string, command []string) (err error) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, ends...)
	defer signal.Stop(signals)
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()

	options := local.Options{Cache: cache, Log: os.Stderr, FastStart: true}
	search, err := local.StartOpenSearch(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, search.Stop()) }()
	dynamo, err := local.StartDynamoDB(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dynamo.Stop()) }()

	// Temporary files of tests that are interrupted are removed with this folder. All users can
	// enter it, because servers that tests start can run as another user.
	temporary, err := os.MkdirTemp("", "logsluice-tests-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	const searchable = 0o755
	if err := os.Chmod(temporary, searchable); err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // running it is the purpose
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		"TMPDIR="+temporary,
		localtest.OpenSearchURL+"="+search.URL,
		localtest.DynamoDBURL+"="+dynamo.URL,
		localtest.MustNotSkip+"=1")
	return runCommand(cmd, signals)
}

// runCommand runs a command in its own process group, with its own mounts, and forwards signals to
// the whole group. The command decides how to handle them, and the servers run until it ends.
// Afterwards the rest of the group is killed.
func runCommand(cmd *exec.Cmd, signals <-chan os.Signal) error {
	local.PrivateMounts(cmd)
	ended, err := local.Start(cmd)
	if err != nil {
		return fmt.Errorf("run the command: %w", err)
	}
	group := -cmd.Process.Pid
	defer func() { _ = syscall.Kill(group, syscall.SIGKILL) }() // the group is usually empty
	for {
		select {
		case err := <-ended:
			return err
		case s := <-signals:
			if err := syscall.Kill(group, s.(syscall.Signal)); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("send a signal to the command: %w", err)
			}
		}
	}
}
