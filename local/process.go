package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a server that runs as a child of ours, in a temporary folder of
// its own.
type process struct {
	name    string
	command *exec.Cmd
	folder  string
	exited  chan struct{}
	err     error // after exited
}

// outputFile has what a server prints.
const outputFile = "output.log"

// startProcess starts a server. It ends at the latest when this process does.
func startProcess(name, folder string, command *exec.Cmd) (*process, error) {
	output, err := os.Create(filepath.Join(folder, outputFile))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command.Dir = folder
	command.Stdout, command.Stderr = output, output
	dieWithParent(command)
	p := &process{name: name, command: command, folder: folder, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread that started it ends, so the
		// thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			p.err = command.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// startupTime is how long a server may take until it answers.
const startupTime = 90 * time.Second

// await waits until the server is ready.
func (p *process) await(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startupTime)
	defer cancel()
	for !ready(ctx) {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended at its start: %w: %s", p.name, p.err, p.lastOutput())
		case <-ctx.Done():
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

// stop ends the server and removes its folder.
func (p *process) stop() error {
	const patience = 10 * time.Second
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", p.name, err)
		}
		<-p.exited
	}
	return os.RemoveAll(p.folder)
}

// freePorts finds ports of the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		// All are held until all are found, so that they differ.
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
