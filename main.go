// Logsluice reads the CloudWatch logs of an ECS fleet from a Kinesis data stream
// and indexes them in OpenSearch. See README.md.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"logsluice/cli"
)

// version is set by the linker, in images and releases.
var version string

// programVersion returns the version that the linker set, otherwise the one that the go
// command recorded, or "devel".
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return cmp.Or(version, "devel")
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) }) // a second Ctrl-C ends the program at once
	code := cli.Main(ctx, programVersion(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
