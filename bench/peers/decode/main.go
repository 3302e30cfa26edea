// Command decode makes bulk requests of a file of subscription records with JSON
// libraries that are none of logsluice's dependencies. For each name of one that
// it reads from stdin it prints what that cost; with -body NAME it prints the
// requests themselves.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A writer appends the documents of an envelope to dst as a bulk request has them.
type writer func(dst, envelope []byte) ([]byte, error)

var writers = map[string]func() writer{
	"simdjson-go":         newSimdjson,
	"sonic, structs":      newSonic[string],
	"sonic, raw messages": newSonic[rawMessage],
}

func main() {
	body := flag.String("body", "", "print the requests that this one makes")
	flag.Parse()
	if err := run(flag.Arg(0), *body); err != nil {
		fmt.Fprintln(os.Stderr, "decode:", err)
		os.Exit(1)
	}
}

func run(file, body string) error {
	records, err := read(file)
	if err != nil {
		return fmt.Errorf("read the records: %w", err)
	}
	if body != "" {
		return pass(records, body, func(request []byte) error {
			_, err := os.Stdout.Write(request)
			return err
		})
	}
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		runtime.GC() // what the pass before has left is not this one's
		before := spent()
		if err := pass(records, names.Text(), func([]byte) error { return nil }); err != nil {
			return err
		}
		cost := spent() - before
		if err := json.NewEncoder(os.Stdout).Encode(map[string]time.Duration{"cpu": cost}); err != nil {
			return err
		}
	}
	return names.Err()
}

// read reads records, each of which has its length before it.
func read(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var records [][]byte
	for len(data) > 0 {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(len(data)-size) {
			return nil, io.ErrUnexpectedEOF
		}
		data = data[size:]
		records = append(records, data[:n])
		data = data[n:]
	}
	return records, nil
}

func pass(records [][]byte, name string, take func(request []byte) error) error {
	build, known := writers[name]
	if !known {
		return fmt.Errorf("no decoder is called %q", name)
	}
	var (
		write   = build()
		reader  gzip.Reader
		text    bytes.Buffer
		request []byte
	)
	for _, record := range records {
		text.Reset()
		err := reader.Reset(bytes.NewReader(record))
		if err == nil {
			_, err = text.ReadFrom(&reader)
		}
		if err != nil {
			return fmt.Errorf("inflate: %w", err)
		}
		if request, err = write(request[:0], text.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := take(request); err != nil {
			return err
		}
	}
	return nil
}

// appendAction appends the line before a document.
func appendAction(dst []byte, id string, at time.Time) []byte {
	dst = append(dst, `{"create":{"_index":"bench-`...)
	dst = at.AppendFormat(dst, time.DateOnly)
	dst = append(dst, `","_id":"`...)
	dst = append(dst, id...)
	return append(dst, "\"}}\n"...)
}

const (
	dataMessage = "DATA_MESSAGE"
	timeLayout  = "2006-01-02T15:04:05.000Z07:00"
)

func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
