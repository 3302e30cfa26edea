package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"runtime"
	"syscall"
	"time"

	klauspost "github.com/klauspost/compress/gzip"

	"logsluice/internal/inflate"
	"logsluice/internal/loggen"
	"logsluice/mapping"
	"logsluice/subscription"
)

// floor is a part of the work, done in this process for one record after the other, in reused
// memory.
type floor struct {
	name    string
	inflate func(record []byte) (text []byte, err error)
	// write appends the documents of an envelope in the format of a bulk request.
	write func(request, text []byte) ([]byte, error)
	whole bool // the requests contain every event
}

func newFloors() ([]floor, error) {
	fast, standard := gunzip(new(klauspost.Reader)), gunzip(new(gzip.Reader))
	plain, err := newMapper(plainSchema)
	if err != nil {
		return nil, err
	}
	structured, err := newMapper(defaultSchema)
	if err != nil {
		return nil, err
	}
	return []floor{
		{"gunzip: klauspost/compress", fast, writeNothing, false},
		{"gunzip: compress/gzip", standard, writeNothing, false},
		{"gunzip: ours", ourGunzip(), writeNothing, false},
		{"gunzip + scan: ours", unchanged, ourScan(nil), false},
		{"gunzip + scan + bulk body: ours, plain", unchanged, ourScan(plain), true},
		{"gunzip + scan + bulk body: ours, default", unchanged, ourScan(structured), true},
		{"klauspost, our scan + bulk body, plain", fast, ourScan(plain), true},
		{"klauspost, encoding/json structs + bulk body", fast, writeStructs, true},
		{"klauspost, encoding/json maps + bulk body", fast, writeMaps, true},
	}, nil
}

// pass processes all records and passes the requests to send.
func (f *floor) pass(records []loggen.Record, send func(request []byte) error) error {
	var request []byte
	for _, r := range records {
		text, err := f.inflate(r.Data)
		if err != nil {
			return fmt.Errorf("%s: inflate: %w", f.name, err)
		}
		if request, err = f.write(request[:0], text); err != nil {
			return fmt.Errorf("%s: write: %w", f.name, err)
		}
		if err := send(request); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func discard([]byte) error { return nil }

func gunzip(reader interface {
	io.Reader
	Reset(io.Reader) error
}) func([]byte) ([]byte, error) {
	var text bytes.Buffer
	return func(record []byte) ([]byte, error) {
		if err := reader.Reset(bytes.NewReader(record)); err != nil {
			return nil, err
		}
		text.Reset()
		_, err := text.ReadFrom(reader)
		return text.Bytes(), err
	}
}

func ourGunzip() func([]byte) ([]byte, error) {
	var (
		decoder inflate.Decoder
		text    []byte
	)
	return func(record []byte) (_ []byte, err error) {
		text, _, err = decoder.Member(text[:0], record, math.MaxInt)
		return text, err
	}
}

func unchanged(record []byte) ([]byte, error) { return record, nil }

func writeNothing(request, _ []byte) ([]byte, error) { return request, nil }

// ourScan decodes text, plain or gzipped, and writes documents unless mapper is nil.
func ourScan(mapper *mapping.Mapper) func(request, text []byte) ([]byte, error) {
	const maxInflated = 64 << 20
	decoder := subscription.NewDecoder(maxInflated)
	return func(request, text []byte) ([]byte, error) {
		_, err := decoder.Decode(text, func(envelope *subscription.Envelope) {
			if mapper == nil {
				return
			}
			request = mapper.AppendAll(request, envelope)
		})
		return request, err
	}
}

// measure returns the CPU time that this process spends on work.
func measure(work func() error) (time.Duration, error) {
	runtime.GC() // so that work is not charged for earlier garbage
	before := spent()
	err := work()
	return spent() - before, err
}

func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for RUSAGE_SELF
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
