package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"logsluice/internal/safetext"
	"logsluice/mapping"
	"logsluice/opensearch/assets"
	"logsluice/subscription"
)

// The command decode.

// maxDecoded bounds the inflated size in bytes. It is large because an object of the archive
// holds many records.
const maxDecoded = 4 << 30

// decodeCommand prints the bulk request of subscription records.
type decodeCommand struct {
	File string `arg:"" optional:"" help:"File with subscription records as Kinesis or the archive holds them: gzip members back to back, gzip of that, or JSON; - for standard input."`
	documentSettings
}

func (*decodeCommand) required() []string { return []string{"index-prefix"} }

// Run is called by kong.
func (d *decodeCommand) Run(ctx context.Context, std streams) error {
	if d.File == "" {
		return settingf("decode needs a file: pass its name, or - for standard input")
	}
	documents, err := d.documents(assets.IndexSettings{})
	if err != nil {
		return err
	}
	mapper, err := d.mapper(documents, mapping.Config{})
	if err != nil {
		return err
	}
	data, err := d.read(ctx, std.in)
	if err != nil {
		return err
	}

	out, onTerminal := bufio.NewWriter(std.out), isTerminal(std.out)
	var lines []byte
	var failures []error
	_, err = subscription.NewDecoder(maxDecoded).Decode(data, func(envelope *subscription.Envelope) {
		lines = mapper.AppendAll(lines[:0], envelope)
		if onTerminal {
			lines = []byte(safetext.Escape(string(lines)))
		}
		_, _ = out.Write(lines) // Flush returns its error
		for _, rejected := range envelope.Rejected {
			failures = append(failures, rejected.Err)
		}
	})
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the documents: %w", err)
	}
	if err := errors.Join(append(failures, err)...); err != nil {
		return fmt.Errorf("decode %s: %w", d.File, err)
	}
	return nil
}

// read reads the whole file, or fails when ctx ends. A read that then still waits for a pipe or
// a terminal ends with the process.
func (d *decodeCommand) read(ctx context.Context, in io.Reader) (data []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if d.File != "-" {
			var f *os.File
			if f, err = os.Open(d.File); err != nil {
				return
			}
			defer f.Close()
			in = f
		}
		data, err = io.ReadAll(in)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%q was not read to its end: %w", d.File, ctx.Err())
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, fmt.Errorf("%q cannot be read: %w: pass a file with subscription records, or - for standard input", d.File, path.Err)
	}
	return data, err
}
