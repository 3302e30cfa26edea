package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

// One run of the whole consumer as a process, from start to exit.

// usage has the resources that a process used.
type usage struct {
	cpu      time.Duration // user and system
	resident int64         // maximum, in bytes
	wall     time.Duration
}

// runTimeout is far longer than a run takes.
const runTimeout = 5 * time.Minute

// consume runs a worker until it has read the whole stream and stopped in order. env overrides
// the default settings.
func consume(ctx context.Context, program string, s settings, f *fixture, env ...string) (usage, error) {
	services, err := startServices(ctx, s.shards, f)
	if err != nil {
		return usage{}, err
	}
	defer services.stop()
	worker, err := startWorker(program, s, services, services.search, env...)
	if err != nil {
		return usage{}, err
	}
	err = worker.await(ctx, services.sink.full)
	took, stopped := worker.stop()
	if err = errors.Join(err, stopped); err != nil {
		return usage{}, fmt.Errorf("%w: %d of %d events", err, services.sink.result().events, f.events)
	}
	if got := services.sink.result(); got != f.sum {
		return usage{}, fmt.Errorf("%w: %d of %d events", errMissing, got.events, f.events)
	}
	return took, nil
}

// resident returns the maximum resident memory of a process in bytes. The maximum in its exit
// status would include this process, from which it was forked.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0, errors.New("no VmHWM in the status of a process")
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kib << 10, err
}
