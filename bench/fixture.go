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

// fixture is the input: generated records like CloudWatch's, the same in each run.
type fixture struct {
	records  []loggen.Record
	events   int
	packed   int // bytes
	inflated int // bytes
	sum      checksum
}

// checksum identifies a set of events independently of their order.
type checksum struct {
	events int
	sum    uint64
}

var seed = maphash.MakeSeed()

func (c *checksum) add(e event) {
	c.events++
	c.sum += e.sum()
}

// event is the content and the place of a log event's document.
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
		if n, err := inflatedSize(r.Data); err == nil { // the generator's records are valid
			f.inflated += n
		}
		if !r.Control {
			f.events += len(r.Events)
			for _, e := range r.Events {
				day := time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly)
				f.sum.add(event{indexPrefix + "-" + day, e.ID, e.Message, r.LogGroup, r.LogStream, r.Owner, e.Timestamp})
			}
		}
		r.Events = nil // so that the garbage collector does not scan them
		f.records = append(f.records, r)
	}
	return f
}

// check returns an error unless made visits each event exactly once.
func (f *fixture) check(what string, made func(visit func(event)) error) error {
	var got checksum
	if err := made(got.add); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got != f.sum {
		return fmt.Errorf("%s: %w: %d of %d events", what, errMissing, got.events, f.events)
	}
	return nil
}

var errMissing = errors.New("not every event arrived exactly once")

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
