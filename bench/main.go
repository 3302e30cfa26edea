// Command bench measures what the whole consumer costs as a process, beside what
// gunzip alone costs on the same records in the same run. Everything is on this
// machine: Kinesis and DynamoDB in process, and a _bulk endpoint that takes every
// document and checks that it got each event once. In other parts a real
// OpenSearch takes the documents: how many a second, and how soon.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

type settings struct {
	events, shards, rounds int
	cache, part            string
}

// parts are what can be measured, in order.
var parts = []struct {
	name    string
	measure func(ctx context.Context, program string, s settings) error
}{
	{"cost", cost}, {"search", search}, {"latency", latency}, {"scaling", scaling},
}

func main() {
	var s settings
	flag.IntVar(&s.events, "events", 361_832, "number of log events")
	flag.IntVar(&s.shards, "shards", 4, "number of shards")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds, of which the medians are told")
	flag.StringVar(&s.cache, "cache", ".cache", "folder for the program that is built")
	flag.StringVar(&s.part, "part", "all", "what to measure: cost, search, latency, scaling, or all")
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
		if s.part != "all" && s.part != part.name {
			continue
		}
		known = true
		fmt.Printf("\n== %s\n", part.name)
		if err := part.measure(ctx, program, s); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q to measure", s.part)
	}
	return nil
}

func cost(ctx context.Context, program string, s settings) error {
	f := newFixture(s.events)
	fmt.Println(f)

	rows := make([]row, len(floors)+1)
	var most int64
	for range s.rounds {
		for i, floor := range floors {
			cost, err := measure(func() error { return floor.inflate(f.records) })
			if err != nil {
				return fmt.Errorf("%s: %w", floor.name, err)
			}
			rows[i].name = floor.name
			rows[i].costs = append(rows[i].costs, cost)
		}
		usage, err := consume(ctx, program, s, f)
		if err != nil {
			return err
		}
		last := &rows[len(floors)]
		last.name = fmt.Sprintf("logsluice, the whole process, %d shards", s.shards)
		last.costs = append(last.costs, usage.cpu)
		most = max(most, usage.resident)
	}
	fmt.Printf("\n%-45s %14s %8s %s\n", "CPU seconds (user+sys) per 1M events", "median", "ratio", "all")
	for _, r := range rows {
		perMillion := func(d time.Duration) float64 { return d.Seconds() / float64(f.events) * 1e6 }
		var all []float64
		for _, c := range r.costs {
			all = append(all, perMillion(c))
		}
		slices.Sort(all)
		fmt.Printf("%-45s %14.2f %8.2f %.2f\n", r.name, perMillion(median(r.costs)), median(r.costs).Seconds()/median(rows[0].costs).Seconds(), all)
	}
	fmt.Printf("\nresident at the most: %d MiB\n", most>>20)
	return nil
}

// row is what one thing cost in each round.
type row struct {
	name  string
	costs []time.Duration
}

func median[T cmp.Ordered](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

var errMissing = errors.New("not every event arrived exactly once")
