package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// usage is what a process took.
type usage struct {
	cpu      time.Duration // user and system
	resident int64         // bytes, at the most
}

// patience is far more than a run takes.
const patience = 5 * time.Minute

// consume has a worker with the settings as they come read the whole stream, from
// its start to its orderly end.
func consume(ctx context.Context, program string, s settings, f *fixture) (usage, error) {
	services, err := startServices(ctx, s.shards, f)
	if err != nil {
		return usage{}, err
	}
	defer services.stop()
	log, err := os.Create(filepath.Join(s.cache, "bench.log"))
	if err != nil {
		return usage{}, err
	}
	defer log.Close()
	worker := exec.Command(program, "run") // stopped by SIGTERM
	worker.Stderr = log
	worker.Env = append(os.Environ(),
		"STREAM_NAME="+streamName, "APPLICATION_NAME=bench", "OPENSEARCH_URL="+services.search, "INDEX_PREFIX=bench",
		"AWS_CA_BUNDLE=", // all is plain HTTP, and reading certificates takes its time
		"AWS_REGION="+region, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench",
		"AWS_ENDPOINT_URL_KINESIS="+services.kinesis, "AWS_ENDPOINT_URL_DYNAMODB="+services.dynamodb)
	if err := worker.Start(); err != nil {
		return usage{}, err
	}
	var took usage
	exited := make(chan error, 1)
	go func() { exited <- worker.Wait() }()
	select {
	case <-services.sink.full:
		took.resident, err = resident(worker.Process.Pid)
		err = errors.Join(err, worker.Process.Signal(syscall.SIGTERM))
	case <-time.After(patience):
		err = errors.Join(fmt.Errorf("%d of %d events after %s", services.sink.result().events, f.events, patience), worker.Process.Kill())
	case err := <-exited:
		return usage{}, fmt.Errorf("logsluice ended early: %w: see %s", err, log.Name())
	}
	if err = errors.Join(err, <-exited); err != nil {
		return usage{}, fmt.Errorf("%w: see %s", err, log.Name())
	}
	if got := services.sink.result(); got != f.sum {
		return usage{}, fmt.Errorf("%w: %d of %d events", errMissing, got.events, f.events)
	}
	took.cpu = worker.ProcessState.UserTime() + worker.ProcessState.SystemTime()
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
