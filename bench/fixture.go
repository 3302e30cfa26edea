package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/maphash"
	"io"

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

func (c *checksum) add(id, message string) {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(id)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(message)
	c.events++
	c.sum += h.Sum64()
}

func newFixture(events int) *fixture {
	f := &fixture{}
	g := loggen.New(loggen.Options{Seed: 1, Events: events})
	for r, more := g.Next(); more; r, more = g.Next() {
		f.records = append(f.records, r)
		f.packed += len(r.Data)
		if n, err := inflatedSize(r.Data); err == nil { // the generator's own
			f.inflated += n
		}
		if r.Control {
			continue
		}
		f.events += len(r.Events)
		for _, e := range r.Events {
			f.sum.add(e.ID, e.Message)
		}
	}
	return f
}

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
