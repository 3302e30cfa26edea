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

// One run of the whole consumer as a process, from its start to its exit.

// usage is what a process took.
type usage struct {
	cpu      time.Duration // user and system
	resident int64         // bytes, at the most
	wall     time.Duration
}

// patience is far more than a run takes.
const patience = 5 * time.Minute

// consume has a worker read the whole stream, from its start to its orderly end,
// with the settings as they come but for those given.
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

// resident is the most memory that a process has had, in bytes. The maximum that
// its exit tells counts this process, from which it was forked.
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
