package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a server that runs as a child process in its own temporary folder. Its methods
// must not be called concurrently.
type process struct {
	name   string
	folder string
	// command returns the command to run. It is called for each start.
	command func() *exec.Cmd
	// ready reports whether the server is ready.
	ready func(context.Context) bool
	// stopTimeout is how long to wait for the server to end before it is killed.
	stopTimeout time.Duration

	running *exec.Cmd
	exited  chan struct{}
	err     error // after exited
	ended   bool  // stopped by us, or its end was reported
}

const (
	// outputFile has the output of a server.
	outputFile = "output.log"
	// startTimeout is how long to wait for a server to be ready.
	startTimeout = 5 * time.Minute
	// defaultStopTimeout is the default of stopTimeout.
	defaultStopTimeout = 10 * time.Second
)

// start starts the server and waits until it is ready. If that fails, the server is stopped.
// The server ends at the latest when this process ends.
func (p *process) start(ctx context.Context) error {
	if err := p.spawn(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := p.await(ctx); err != nil {
		return errors.Join(err, p.end())
	}
	return nil
}

func (p *process) spawn() error {
	output, err := os.OpenFile(filepath.Join(p.folder, outputFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }() // the child has its own descriptor
	command, exited := p.command(), make(chan struct{})
	command.Dir = p.folder
	command.Stdout, command.Stderr = output, output
	ended, err := Start(command)
	if err != nil {
		return err
	}
	p.running, p.exited, p.ended = command, exited, false
	go func() {
		p.err = <-ended
		close(exited)
	}()
	return nil
}

// Start starts a child that the kernel kills when this process ends for any reason (only on
// Linux). The channel receives the result of Wait when the child has ended.
func Start(command *exec.Cmd) (ended <-chan error, err error) {
	Detach(command)
	started, outcome := make(chan error), make(chan error, 1)
	go func() {
		// Linux kills the child when the thread that started it ends, so the thread must live as
		// long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			outcome <- command.Wait()
		}
	}()
	return outcome, <-started
}

// await waits until the server is ready.
func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !p.ready(ctx) {
		select {
		case <-p.exited:
			p.ended = true
			return fmt.Errorf("%s ended at its start (%w): %s", p.name, p.err, p.lastOutput())
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("start %s: %w", p.name, ctx.Err())
			}
			return fmt.Errorf("%s does not answer: %w: %s", p.name, ctx.Err(), p.lastOutput())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func (p *process) lastOutput() string {
	output, err := os.ReadFile(filepath.Join(p.folder, outputFile))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(output), 10)
}

// end stops the server by SIGTERM, and by SIGKILL after stopTimeout. It fails if the server had
// already ended by itself, and reports that only once.
func (p *process) end() error {
	select {
	case <-p.exited:
		if p.ended {
			return nil
		}
		p.ended = true
		return fmt.Errorf("%s had ended by itself (%w): %s", p.name, p.err, p.lastOutput())
	default:
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(p.stopTimeout):
		return p.kill()
	}
}

// kill ends the server by SIGKILL and waits until it has ended.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

func (p *process) signal(signal os.Signal) error {
	if err := p.running.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	p.ended = true
	return nil
}

// stop ends the server and removes its folder.
func (p *process) stop() error { return errors.Join(p.end(), os.RemoveAll(p.folder)) }

// answers reports whether the response to a GET has a status.
func answers(ctx context.Context, client *http.Client, url string, status int) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == status
}
