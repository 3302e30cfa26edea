package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The part search: documents per second with a real OpenSearch, compared with a loader that
// only posts.

const (
	searchEvents = 500_000
	// searchShards deliver far more than OpenSearch can index: 2 MB per second and shard.
	searchShards = 16
	// warmUps are rounds that do not count, because Java compiles code that runs often.
	warmUps = 2
	// pollEvery is the resolution of times. A round takes a hundred times as long.
	pollEvery = 100 * time.Millisecond
)

// contender is a way to index the documents.
type contender struct {
	name  string
	start func(context.Context) (*attempt, error)
}

// attempt is a running contender.
type attempt struct {
	pid   int             // of the contender's process, 0 for this process
	ended <-chan struct{} // closed when it has ended, with or without an error
	// finish stops the contender if necessary, and returns its CPU time.
	finish func() (time.Duration, error)
}

// roundResult is the result of a contender in a round.
type roundResult struct {
	took           span          // from the first document to the last
	server, client time.Duration // CPU time
}

// search compares the whole consumer with a loader that only posts the same documents to the
// same real OpenSearch.
func search(ctx context.Context, program string, s settings) (err error) {
	f := newFixture(searchEvents)
	fmt.Println(f)
	mapper, err := newMapper(defaultSchema)
	if err != nil {
		return err
	}
	bodies, err := newBodies(f, mapper)
	if err != nil {
		return err
	}
	server, err := startServer(ctx, s, defaultSchema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	contenders := []contender{
		{fmt.Sprintf("loader of %d prepared requests", len(bodies)), func(ctx context.Context) (*attempt, error) {
			return startLoader(ctx, server, bodies), nil
		}},
		{fmt.Sprintf("logsluice, the whole process, %d shards", searchShards), func(ctx context.Context) (*attempt, error) {
			return startConsumer(ctx, program, s, server, f)
		}},
	}
	results := make([][]roundResult, len(contenders))
	for round := range warmUps + s.rounds {
		for i := range contenders {
			i = (i + round) % len(contenders) // so that no contender is always the first
			p, err := server.measure(ctx, contenders[i], f.events)
			if err != nil {
				return fmt.Errorf("%s: %w", contenders[i].name, err)
			}
			if round >= warmUps {
				results[i] = append(results[i], p)
			}
		}
	}
	printResults(contenders, results, float64(f.events))
	return nil
}

func startLoader(ctx context.Context, server *server, bodies [][]byte) *attempt {
	before, ended := spent(), make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = load(ctx, server, bodies)
	}()
	return &attempt{0, ended, func() (time.Duration, error) {
		<-ended
		return spent() - before, err
	}}
}

// startConsumer starts a worker. Only the worker's CPU time counts.
func startConsumer(ctx context.Context, program string, s settings, server *server, f *fixture) (*attempt, error) {
	services, err := startServices(ctx, searchShards, f)
	if err != nil {
		return nil, err
	}
	worker, err := startWorker(program, s, services, server.node.URL, "BULK_BYTES="+strconv.Itoa(bulkBytes),
		"BULK_DOCUMENTS="+strconv.Itoa(bulkDocuments), "BULK_CONNECTIONS="+strconv.Itoa(bulkConnections))
	if err != nil {
		services.stop()
		return nil, err
	}
	return &attempt{worker.command.Process.Pid, worker.exited, func() (time.Duration, error) {
		defer services.stop()
		took, err := worker.stop()
		return took.cpu, err
	}}, nil
}

// measure empties OpenSearch and runs a contender.
func (v *server) measure(ctx context.Context, c contender, events int) (p roundResult, err error) {
	if err := v.empty(ctx); err != nil {
		return p, err
	}
	before, err := v.cpu(ctx)
	if err != nil {
		return p, err
	}
	try, err := c.start(ctx)
	if err != nil {
		return p, err
	}
	p.took, err = v.watch(ctx, events, try)
	client, finished := try.finish()
	if err = errors.Join(err, finished, v.settle(ctx)); err != nil {
		return p, err
	}
	after, err := v.cpu(ctx)
	p.server, p.client = after-before, client
	return p, errors.Join(err, v.check(ctx, events))
}

// watch returns the time from the first document to the last.
func (v *server) watch(ctx context.Context, events int, try *attempt) (span, error) {
	began, err := now(v.node.Pid(), try.pid)
	if err != nil {
		return span{}, err
	}
	for deadline := time.Now().Add(runTimeout); ; {
		more := true
		select {
		case <-try.ended:
			more = false
		default:
		}
		asked, err := now(v.node.Pid(), try.pid)
		if err != nil {
			return span{}, err
		}
		n, err := v.documents(ctx)
		switch {
		case err != nil:
			return span{}, err
		case n == 0:
			began = asked
		case n >= events:
			ended, err := now(v.node.Pid(), try.pid)
			return ended.since(began), err
		case !more || asked.at.After(deadline):
			return span{}, fmt.Errorf("%w: %d of %d", errMissing, n, events)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return span{}, err
		}
	}
}

func printResults(contenders []contender, results [][]roundResult, events float64) {
	for _, quantity := range []struct {
		name string
		of   func(roundResult) float64
	}{
		{"documents per second", func(p roundResult) float64 { return events / p.took.wall.Seconds() }},
		{"… without the share of other programs", func(p roundResult) float64 { return events / p.took.others.Seconds() }},
		{"… without the share of all but OpenSearch", func(p roundResult) float64 { return events / p.took.all.Seconds() }},
		{"OpenSearch's CPU seconds per 1M documents", func(p roundResult) float64 { return p.server.Seconds() / events * 1e6 }},
		{"client's CPU seconds per 1M documents", func(p roundResult) float64 { return p.client.Seconds() / events * 1e6 }},
	} {
		fmt.Printf("\n%-45s %10s %8s  %s\n", quantity.name, "median", "ratio", "all, in the order of the rounds")
		first := 0.0
		for i, c := range contenders {
			var all []float64
			for _, p := range results[i] {
				all = append(all, quantity.of(p))
			}
			m := median(all)
			if i == 0 {
				first = m
			}
			fmt.Printf("%-45s %10.*f %8.2f  %.*f\n", c.name, digits(m), m, m/first, digits(m), all)
		}
	}
}

// digits returns how many digits after the point show about three digits in total.
func digits(of float64) int {
	if of < 1000 {
		return 2
	}
	return 0
}
