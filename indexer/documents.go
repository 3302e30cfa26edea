package indexer

import (
	"bytes"
	"context"
	"sort"
	"sync"
	"sync/atomic"
)

// Source says where documents come from, for their dead letters.
type Source struct {
	Stream         string
	Shard          string
	SequenceNumber string
}

// Documents are documents of one record on their way to their verdicts. They
// are filled by appending the two lines of each to Body, calling Next after
// each, and handed over with Indexer.Put.
type Documents struct {
	// Body holds the action and source lines, newlines included.
	Body []byte

	source Source
	ends   []int // where each document ends in Body
	form   *form // of a dead letter, whose payload is the Body

	ours    context.Context // ends when the documents need not be sent again
	done    func(settled bool)
	pending int  // verdicts to come; the dispatcher's
	givenUp bool // one of them will not come

	// lent is set when a request was answered or given up while the transport
	// might still read its body: then the memory is not used again.
	lent atomic.Bool
}

// Buffers are pooled by size, in steps, so that what is in memory is little
// more than what is in use.
const (
	bufferStep = 32 << 10
	maxPooled  = 2 << 20
)

var pools [maxPooled/bufferStep + 1]sync.Pool

// NewDocuments returns an empty set with room for size bytes, as a hint. It
// goes back to its pool with the last verdict.
func NewDocuments(source Source, size int) *Documents {
	steps := max((size+bufferStep-1)/bufferStep, 1)
	if steps < len(pools) {
		if d, ok := pools[steps].Get().(*Documents); ok {
			d.source = source
			return d
		}
	}
	return &Documents{Body: make([]byte, 0, steps*bufferStep), source: source}
}

// Next ends a document.
func (d *Documents) Next() { d.ends = append(d.ends, len(d.Body)) }

// Len counts the documents.
func (d *Documents) Len() int { return len(d.ends) }

// Size is the memory in bytes that the set takes until its last verdict.
func (d *Documents) Size() int64 { return int64(cap(d.Body)) }

// Recycle gives the buffers back. Only a set that was not handed over is its
// caller's to recycle.
func (d *Documents) Recycle() {
	steps := cap(d.Body) / bufferStep
	if steps > 0 && steps < len(pools) && !d.lent.Load() {
		pools[steps].Put(&Documents{Body: d.Body[:0], ends: d.ends[:0]})
	}
}

// part is a run of documents of one record that share their fate so far.
type part struct {
	docs     *Documents
	from, to int  // documents [from, to)
	attempts int  // requests that failed on them
	woken    bool // sent again before its pause was over
	// form is how the one document goes out that cannot go as it is.
	form *form
}

func (p part) start() int {
	if p.from == 0 {
		return 0
	}
	return p.docs.ends[p.from-1]
}

// bytes are the documents as they are.
func (p part) bytes() []byte { return p.docs.Body[p.start():p.docs.ends[p.to-1]] }

// size is about how much the part takes in a request.
func (p part) size() int {
	if p.form != nil {
		return p.form.size(len(p.bytes()))
	}
	return len(p.bytes())
}

// split cuts off at most max bytes and count documents, but at least one.
func (p part) split(maxBytes, maxCount int) (head, rest part) {
	fit := sort.Search(min(p.to-p.from, maxCount), func(i int) bool { return p.docs.ends[p.from+i]-p.start() > maxBytes })
	n := max(fit, 1)
	head, rest = p, p
	head.to, rest.from = p.from+n, p.from+n
	return head, rest
}

// lines are the action and the source line of the one document.
func (p part) lines() (action, source []byte) {
	action, source, _ = bytes.Cut(p.bytes(), []byte{'\n'})
	return action, bytes.TrimSuffix(source, []byte{'\n'})
}
