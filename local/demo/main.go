// Demo shows the main job of logsluice on real servers. It starts OpenSearch, DynamoDB Local and
// an in-process Kinesis, produces logs as CloudWatch does, and runs two workers, which index
// them while the stream is resharded. Then it checks that OpenSearch has each event exactly
// once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings of a demo.
type settings struct {
	openSearchURL string        // the user's domain, "" to start one
	keep          bool          // keep running until Ctrl-C
	events        int           // events to produce
	over          time.Duration // time in which they are produced
	seed          uint64
	cache         string // folder of binaries and servers
}

func main() {
	var s settings
	flag.StringVar(&s.openSearchURL, "opensearch-url", "", "use this OpenSearch instead of starting one")
	flag.BoolVar(&s.keep, "keep", false, "leave everything running, with new input, until Ctrl-C")
	flag.IntVar(&s.events, "events", 60_000, "log events to produce")
	flag.DurationVar(&s.over, "over", 20*time.Second, "time in which they are produced")
	flag.Uint64Var(&s.seed, "seed", 1, "seed of the input")
	flag.StringVar(&s.cache, "cache", ".cache", "folder for the binary and fetched servers")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

// waitTimeout bounds the wait for the workers.
const waitTimeout = 90 * time.Second

func run(ctx context.Context, s settings) (err error) {
	parts, err := startParts(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.stop()) }()

	workers, err := startWorkers(ctx, parts, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, workers.stop()) }()

	fmt.Println("waiting until every shard is leased")
	if err := workers.await(ctx, "every shard is leased", func(c counts) bool { return int(c.leases) == shards }); err != nil {
		return err
	}
	producer := newProducer(parts.kinesis, s)
	progress := startProgress(ctx, func() int { return producer.counts().events }, workers)
	defer progress.stop()
	if err := producer.run(ctx); err != nil {
		return err
	}
	if err := workers.await(ctx, "every event has an outcome", func(c counts) bool { return int(c.settled()) >= producer.counts().events }); err != nil {
		return err
	}
	progress.stop()

	fmt.Println("comparing every document in OpenSearch with its event")
	report, err := check(ctx, parts, producer, workers)
	if err != nil {
		return err
	}
	report.print()
	if err := search(ctx, parts); err != nil {
		return err
	}
	err = report.err()
	if s.keep {
		return errors.Join(err, keepRunning(ctx, parts, workers, s.seed+1, report.produced.events))
	}
	return err
}
