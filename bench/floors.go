package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"syscall"
	"time"

	klauspost "github.com/klauspost/compress/gzip"

	"logsluice/internal/loggen"
)

// floor is what gunzip alone does with the records, into memory, with buffers
// that are used again.
type floor struct {
	name    string
	inflate func([]loggen.Record) error
}

var floors = []floor{
	{"gunzip alone: klauspost/compress", func(records []loggen.Record) error {
		return inflateAll(records, new(klauspost.Reader))
	}},
	{"gunzip alone: compress/gzip", func(records []loggen.Record) error {
		return inflateAll(records, new(gzip.Reader))
	}},
}

func inflateAll(records []loggen.Record, reader interface {
	io.Reader
	Reset(io.Reader) error
}) error {
	buf := make([]byte, 4<<20)
	for _, r := range records {
		if err := reader.Reset(bytes.NewReader(r.Data)); err != nil {
			return err
		}
		for {
			_, err := reader.Read(buf)
			if err == io.EOF { //nolint:errorlint // io.Reader gives it as it is
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// measure tells the CPU time that this process spends on a piece of work.
func measure(work func() error) (time.Duration, error) {
	before := spent()
	err := work()
	return spent() - before, err
}

func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
