package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// readTelegraf finds an event in a document of bench/peers/telegraf.conf.
func readTelegraf(_ string, source []byte) (id, message string, err error) {
	var document struct {
		Tag   struct{ ID string }
		Event struct{ Message string }
	}
	err = json.Unmarshal(source, &document)
	return document.Tag.ID, document.Event.Message, err
}

// silence is how long nothing comes when nothing more is to be expected.
const silence = 20 * time.Second

// runTelegraf has it read the whole stream, and tells what it took from its start
// to its end, and what arrived. It may be that not every event did.
func runTelegraf(ctx context.Context, program string, s settings, f *fixture) (took usage, arrived string, err error) {
	services, err := startServices(ctx, s.shards, f)
	if err != nil {
		return usage{}, "", err
	}
	defer services.stop()
	services.sink.read = readTelegraf
	log, err := os.Create(filepath.Join(s.cache, "telegraf.log"))
	if err != nil {
		return usage{}, "", err
	}
	defer log.Close()
	worker := exec.Command(program, "--config", "bench/peers/telegraf.conf") // stopped by SIGTERM
	worker.Stdout, worker.Stderr = log, log
	worker.Env = append(os.Environ(), "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench",
		"STREAM_NAME="+streamName, "KINESIS_URL="+services.kinesis, "OPENSEARCH_URL="+services.search)
	if err := worker.Start(); err != nil {
		return usage{}, "", err
	}
	exited := make(chan error, 1)
	go func() { exited <- worker.Wait() }()
	for before, waiting := -1, true; waiting; {
		select {
		case err := <-exited:
			return usage{}, "", fmt.Errorf("telegraf ended early: %w: see %s", err, log.Name())
		case <-services.sink.full:
			waiting = false
		case <-time.After(silence):
			now := services.sink.result().events
			before, waiting = now, now > before
		}
	}
	took.resident, err = resident(worker.Process.Pid)
	err = errors.Join(err, worker.Process.Signal(syscall.SIGTERM), <-exited)
	if err != nil {
		return usage{}, "", fmt.Errorf("%w: see %s", err, log.Name())
	}
	took.cpu = worker.ProcessState.UserTime() + worker.ProcessState.SystemTime()
	got := services.sink.result()
	arrived = fmt.Sprintf("%d documents of %d different events, of %d", got.events, services.sink.distinct(), f.events)
	if got == f.sum {
		arrived = "each event once"
	}
	return took, arrived, nil
}
