package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The part search: documents per second with a real OpenSearch, next to a loader that only
// posts.

const (
	searchEvents = 500_000
	// searchShards give far more than OpenSearch takes: a shard gives 2 MB a second.
	searchShards = 16
	// warmUps are rounds that do not count: Java compiles what runs often.
	warmUps = 2
	// pollEvery is how exact times are; a round takes a hundred times as long.
	pollEvery = 100 * time.Millisecond
)

// contender brings the documents into OpenSearch.
type contender struct {
	name  string
	start func(context.Context) (*attempt, error)
}

// attempt is a contender at work.
type attempt struct {
	pid   int             // of a process beside this one, 0 if there is none
	ended <-chan struct{} // closed when it does no more, whether by an error or not
	// finish waits for its end, asking for it if need be, and tells its CPU time.
	finish func() (time.Duration, error)
}

// performance is how a contender fared in a round.
type performance struct {
	took        span          // from the first document to the last
	server, own time.Duration // CPU
}

// search measures the whole consumer against a loader that has nothing to do but
// to post the same documents, into the same real OpenSearch.
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
		{fmt.Sprintf("loader of %d ready-made requests", len(bodies)), func(ctx context.Context) (*attempt, error) {
			return startLoader(ctx, server, bodies), nil
		}},
		{fmt.Sprintf("logsluice, the whole process, %d shards", searchShards), func(ctx context.Context) (*attempt, error) {
			return startConsumer(ctx, program, s, server, f)
		}},
	}
	results := make([][]performance, len(contenders))
	for round := range warmUps + s.rounds {
		for i := range contenders {
			i = (i + round) % len(contenders) // nobody is always the first
			p, err := server.measure(ctx, contenders[i], f.events)
			if err != nil {
				return fmt.Errorf("%s: %w", contenders[i].name, err)
			}
			if round >= warmUps {
				results[i] = append(results[i], p)
			}
		}
	}
	printPerformances(contenders, results, float64(f.events))
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

// startConsumer counts the CPU time of the worker alone.
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

// measure has a contender fill OpenSearch, which is empty.
func (v *server) measure(ctx context.Context, c contender, events int) (p performance, err error) {
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
	own, finished := try.finish()
	if err = errors.Join(err, finished, v.settle(ctx)); err != nil {
		return p, err
	}
	after, err := v.cpu(ctx)
	p.server, p.own = after-before, own
	return p, errors.Join(err, v.check(ctx, events))
}

// watch tells the time from the first document to the last.
func (v *server) watch(ctx context.Context, events int, try *attempt) (span, error) {
	began, err := now(v.node.Pid(), try.pid)
	if err != nil {
		return span{}, err
	}
	for patient := time.Now().Add(patience); ; {
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
		case !more || asked.at.After(patient):
			return span{}, fmt.Errorf("%w: %d of %d", errMissing, n, events)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return span{}, err
		}
	}
}

func printPerformances(contenders []contender, results [][]performance, events float64) {
	for _, quantity := range []struct {
		name string
		of   func(performance) float64
	}{
		{"documents per second", func(p performance) float64 { return events / p.took.wall.Seconds() }},
		{"… of the time that others leave", func(p performance) float64 { return events / p.took.others.Seconds() }},
		{"… that all but OpenSearch leave", func(p performance) float64 { return events / p.took.all.Seconds() }},
		{"OpenSearch's CPU seconds per 1M documents", func(p performance) float64 { return p.server.Seconds() / events * 1e6 }},
		{"own CPU seconds per 1M documents", func(p performance) float64 { return p.own.Seconds() / events * 1e6 }},
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

// digits after the point that tell about three digits in all.
func digits(of float64) int {
	if of < 1000 {
		return 2
	}
	return 0
}
