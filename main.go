// Logsluice reads the CloudWatch logs of an ECS fleet from a Kinesis data stream
// and indexes them in OpenSearch. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"logsluice/cli"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) }) // the second Ctrl-C kills the program
	code := cli.Main(ctx, version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
