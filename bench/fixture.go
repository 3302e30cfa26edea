package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"time"

	"logsluice/internal/loggen"
)

// fixture is the input: records like CloudWatch's, the same in each run.
type fixture struct {
	records  []loggen.Record
	events   int
	packed   int // bytes
	inflated int // bytes
	sum      checksum
}

// checksum is of a set of events, whatever their order.
type checksum struct {
	events int
	sum    uint64
}

var seed = maphash.MakeSeed()

func (c *checksum) add(e event) {
	c.events++
	c.sum += e.sum()
}

// event is what becomes of a log event: what its document says, and where it is.
type event struct {
	index, id, message, logGroup, logStream, owner string
	milliseconds                                   int64
}

func (e event) sum() uint64 { return maphash.Comparable(seed, e) }

func newFixture(events int) *fixture {
	f := &fixture{}
	g := loggen.New(loggen.Options{Seed: 1, Events: events})
	for r, more := g.Next(); more; r, more = g.Next() {
		f.packed += len(r.Data)
		if n, err := inflatedSize(r.Data); err == nil { // the generator's own
			f.inflated += n
		}
		if !r.Control {
			f.events += len(r.Events)
			for _, e := range r.Events {
				day := time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly)
				f.sum.add(event{indexPrefix + "-" + day, e.ID, e.Message, r.LogGroup, r.LogStream, r.Owner, e.Timestamp})
			}
		}
		r.Events = nil // they would be memory for the garbage collector to look at
		f.records = append(f.records, r)
	}
	return f
}

// check tells whether what is made of the records holds each event once.
func (f *fixture) check(what string, made func(tell func(event)) error) error {
	var got checksum
	if err := made(got.add); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got != f.sum {
		return fmt.Errorf("%s: %w: %d of %d events", what, errMissing, got.events, f.events)
	}
	return nil
}

var errMissing = errors.New("not every event is there exactly once")

func inflatedSize(data []byte) (int, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, r)
	return int(n), err
}

func (f *fixture) String() string {
	const mb = 1e6
	return fmt.Sprintf("%d events in %d records, %.1f MB inflated, %.1f MB gzip", f.events, len(f.records), float64(f.inflated)/mb, float64(f.packed)/mb)
}
