package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// peerFloors are the names of the writers of bench/peers/decode.
var peerFloors = []string{"simdjson-go", "sonic, structs", "sonic, raw messages"}

// decode is the process bench/peers/decode, which has floors with JSON libraries that logsluice
// does not depend on.
type decode struct {
	process *exec.Cmd
	names   io.WriteCloser // requests: names of writers
	costs   *json.Decoder  // responses
}

func startDecode(ctx context.Context, program, cache string, f *fixture) (*decode, error) {
	file, err := writeRecords(cache, f)
	if err != nil {
		return nil, fmt.Errorf("write the records for %s: %w", program, err)
	}
	for _, name := range peerFloors {
		if err := f.check(name, func(visit func(event)) error {
			return bodies(ctx, program, file, name, visit)
		}); err != nil {
			return nil, err
		}
	}
	d := &decode{process: exec.CommandContext(ctx, program, file)}
	d.process.Stderr = os.Stderr
	names, err := d.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	costs, err := d.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.names, d.costs = names, json.NewDecoder(costs)
	return d, d.process.Start()
}

// writeRecords writes the records to a file, each preceded by its length.
func writeRecords(cache string, f *fixture) (file string, err error) {
	data := make([]byte, 0, f.packed+len(f.records)*binary.MaxVarintLen64)
	for _, r := range f.records {
		data = binary.AppendUvarint(data, uint64(len(r.Data)))
		data = append(data, r.Data...)
	}
	file = filepath.Join(cache, "peers-records")
	return file, os.WriteFile(file, data, 0o644)
}

// bodies calls visit for the events in the bulk requests of a writer.
func bodies(ctx context.Context, program, file, name string, visit func(event)) error {
	process := exec.CommandContext(ctx, program, "-body", name, file)
	process.Stderr = os.Stderr
	requests, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	err = events(requests, readOurs, visit)
	requests.Close() // so that Wait does not block if output is left
	return errors.Join(err, process.Wait())
}

// measure processes the records once with a writer and returns the CPU time.
func (d *decode) measure(name string) (time.Duration, error) {
	if _, err := fmt.Fprintln(d.names, name); err != nil {
		return 0, err
	}
	var cost struct{ CPU time.Duration }
	err := d.costs.Decode(&cost)
	return cost.CPU, err
}

func (d *decode) stop() {
	d.names.Close()
	_ = d.process.Wait() // all responses were read
}
