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

	"logsluice/local"
)

// process is a program that reads the stream.
type process struct {
	command *exec.Cmd
	started time.Time
	log     string        // file
	exited  chan struct{} // closed when err is set
	err     error
}

// startWorker starts logsluice with default settings, except those in env.
func startWorker(program string, s settings, from *services, search string, env ...string) (*process, error) {
	return startProcess(s, append(env, "APPLICATION_NAME=bench", "OPENSEARCH_URL="+search, "INDEX_PREFIX="+indexPrefix,
		"EVENT_MAX_AGE=0", "EVENT_MAX_AHEAD=0", // the fixture's events have fixed times
		"AWS_ENDPOINT_URL_KINESIS="+from.kinesis, "AWS_ENDPOINT_URL_DYNAMODB="+from.dynamodb), program, "run")
}

func startProcess(s settings, env []string, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(s.cache, "bench-"+filepath.Base(program)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{command: exec.Command(program, args...), started: time.Now(), log: log.Name(), exited: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = log, log
	p.command.Env = append(append(os.Environ(),
		"AWS_CA_BUNDLE=", // all servers use plain HTTP, and reading certificates takes time
		"STREAM_NAME="+streamName, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench"), env...)
	local.Detach(p.command)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		p.err = p.command.Wait()
	}()
	return p, nil
}

// await waits until done is closed. It fails if the process ends, or after runTimeout.
func (p *process) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-p.exited:
		return fmt.Errorf("the process ended early: see %s", p.log)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(runTimeout):
		return fmt.Errorf("not done after %s: see %s", runTimeout, p.log)
	}
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop stops the process and returns the resources that it used.
func (p *process) stop() (usage, error) {
	took := usage{wall: time.Since(p.started)}
	var err error
	took.resident, err = resident(p.command.Process.Pid)
	if e := p.command.Process.Signal(syscall.SIGTERM); !errors.Is(e, os.ErrProcessDone) {
		err = errors.Join(err, e)
	}
	select {
	case <-p.exited:
	case <-time.After(runTimeout):
		err = errors.Join(err, errors.New("the process does not end after SIGTERM"), p.command.Process.Kill())
		<-p.exited
	}
	if err = errors.Join(err, p.err); err != nil {
		return took, fmt.Errorf("%w: see %s", err, p.log)
	}
	took.cpu = p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
	return took, nil
}
