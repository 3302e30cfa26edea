package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// worker is a process of the program itself.
type worker struct {
	command *exec.Cmd
	started time.Time
	log     string        // file
	exited  chan struct{} // closed when err is set
	err     error
}

// startWorker has the settings as they come, but for those given.
func startWorker(program string, s settings, from *services, search string, env ...string) (*worker, error) {
	log, err := os.Create(filepath.Join(s.cache, "bench.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	w := &worker{command: exec.Command(program, "run"), started: time.Now(), log: log.Name(), exited: make(chan struct{})}
	w.command.Stderr = log
	w.command.Env = append(append(os.Environ(),
		"STREAM_NAME="+streamName, "APPLICATION_NAME=bench", "OPENSEARCH_URL="+search, "INDEX_PREFIX="+indexPrefix,
		"AWS_CA_BUNDLE=", // all is plain HTTP, and reading certificates takes its time
		"AWS_REGION="+region, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench",
		"AWS_ENDPOINT_URL_KINESIS="+from.kinesis, "AWS_ENDPOINT_URL_DYNAMODB="+from.dynamodb), env...)
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.exited)
		w.err = w.command.Wait()
	}()
	return w, nil
}

// await waits until something is done.
func (w *worker) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-w.exited:
		return fmt.Errorf("logsluice ended early: see %s", w.log)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("not done after %s: see %s", patience, w.log)
	}
}

// stop ends the process in order and tells what it took.
func (w *worker) stop() (usage, error) {
	took := usage{wall: time.Since(w.started)}
	var err error
	took.resident, err = resident(w.command.Process.Pid)
	if e := w.command.Process.Signal(syscall.SIGTERM); !errors.Is(e, os.ErrProcessDone) {
		err = errors.Join(err, e)
	}
	select {
	case <-w.exited:
	case <-time.After(patience):
		err = errors.Join(err, errors.New("logsluice does not end when asked"), w.command.Process.Kill())
		<-w.exited
	}
	if err = errors.Join(err, w.err); err != nil {
		return took, fmt.Errorf("%w: see %s", err, w.log)
	}
	took.cpu = w.command.ProcessState.UserTime() + w.command.ProcessState.SystemTime()
	return took, nil
}
