// Command bench measures what the whole consumer costs as a process, beside what
// parts of its work, JSON libraries and Telegraf cost on the same records in the
// same run. Everything is on this machine: Kinesis and DynamoDB in process, and a
// _bulk endpoint that takes every document and checks that it got each event once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

type settings struct {
	events, shards, rounds int
	cache                  string
	peers                  bool
}

func main() {
	var s settings
	flag.IntVar(&s.events, "events", 361_832, "number of log events")
	flag.IntVar(&s.shards, "shards", 4, "number of shards")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds, of which the medians are told")
	flag.StringVar(&s.cache, "cache", ".cache", "folder for the programs that are built")
	flag.BoolVar(&s.peers, "peers", true, "measure Telegraf and other JSON libraries too, which have to be built")
	flag.Parse()
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	program, err := filepath.Abs(filepath.Join(s.cache, "logsluice"))
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build logsluice: %w\n%s", err, out)
	}
	return cost(ctx, program, s)
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
