// Services runs a command with a real OpenSearch and a real DynamoDB Local
// beside it: go run ./local/services -- go test ./...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"logsluice/local"
	"logsluice/local/localtest"
)

func main() {
	cache := flag.String("cache", ".cache", "folder for what is fetched")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "services: no command given: services [-cache FOLDER] -- COMMAND ARGS…")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *cache, flag.Args())
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	case err != nil:
		fmt.Fprintf(os.Stderr, "services: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cache string, command []string) (err error) {
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

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		localtest.OpenSearchURL+"="+search.URL,
		localtest.DynamoDBURL+"="+dynamo.URL,
		localtest.MustNotSkip+"=1")
	return cmd.Run()
}
