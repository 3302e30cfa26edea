// Command bench measures the cost of the whole consumer as a process, next to that of parts of
// its work, JSON libraries and Telegraf with the same records in the same run. Everything runs
// on this machine: Kinesis and DynamoDB in process, and a _bulk endpoint that accepts every
// document and checks that each event arrives once. Other parts use a real OpenSearch: they
// measure documents per second, latency, and the cost of different ways of indexing.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

type settings struct {
	events, shards, rounds int
	cache, part            string
	peers                  bool
}

// parts are the measurements, in order.
var parts = []struct {
	name    string
	measure func(ctx context.Context, program string, s settings) error
	alone   bool // not part of "all"
}{
	{name: "cost", measure: cost}, {name: "search", measure: search}, {name: "latency", measure: latency}, {name: "scaling", measure: scaling},
	{name: "index", measure: index, alone: true},
}

func main() {
	var s settings
	flag.IntVar(&s.events, "events", 361_832, "number of log events")
	flag.IntVar(&s.shards, "shards", 4, "number of shards")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds, whose medians are printed")
	flag.StringVar(&s.cache, "cache", ".cache", "folder for built programs")
	flag.StringVar(&s.part, "part", "all", "what to measure: cost, search, latency, scaling, or all of these; or index")
	flag.BoolVar(&s.peers, "peers", true, "measure Telegraf and other JSON libraries too, which have to be built")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
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
	known := false
	for _, part := range parts {
		if s.part != part.name && (s.part != "all" || part.alone) {
			continue
		}
		known = true
		fmt.Printf("\n== %s\n", part.name)
		if err := part.measure(ctx, program, s); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !known {
		return fmt.Errorf("-part: %q is unknown: use cost, search, latency, scaling, index or all", s.part)
	}
	return nil
}

func median[T cmp.Ordered](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
