// Command decode writes bulk requests from a file of subscription records with JSON libraries
// that logsluice does not depend on. For each name of a writer on standard input it prints the
// CPU time. With -body NAME it prints the requests.
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

// A writer appends the documents of an envelope to dst in the format of a bulk request.
type writer func(dst, envelope []byte) ([]byte, error)

var writers = map[string]func() writer{
	"simdjson-go":         newSimdjson,
	"sonic, structs":      newSonic[string],
	"sonic, raw messages": newSonic[rawMessage],
}

func main() {
	body := flag.String("body", "", "print the requests of this writer")
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
		runtime.GC() // so that a pass is not charged for the garbage of the last one
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

// read reads records, each preceded by its length.
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

func pass(records [][]byte, name string, send func(request []byte) error) error {
	build, known := writers[name]
	if !known {
		return fmt.Errorf("unknown writer %q", name)
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
		if err := send(request); err != nil {
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
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for RUSAGE_SELF
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
