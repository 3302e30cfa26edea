package indexer

import (
	"bytes"
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

// Documents are the documents of one record on their way to their verdicts.
// They are filled by appending the two lines of each to Body, calling Next
// after each, and handed over with Indexer.Put.
type Documents struct {
	// Body holds the action and source lines, newlines included.
	Body []byte

	source Source
	ends   []int  // where each document ends in Body
	done   func() // called when the last verdict is there

	pending int // documents without a verdict; the dispatcher's

	// lent is set when a request was answered or given up while the transport
	// might still read its body: then the memory is not used again.
	lent atomic.Bool

	// letter is set when the one document is a dead letter: it has no dead
	// letter of its own and is sent until OpenSearch takes it.
	letter *deadLetter
}

var documentsPool = sync.Pool{New: func() any { return new(Documents) }}

// maxPooled keeps the buffer of an unusually large record from staying in memory.
const maxPooled = 4 << 20

// NewDocuments returns an empty set. It goes back to its pool with the last verdict.
func NewDocuments(source Source) *Documents {
	d := documentsPool.Get().(*Documents)
	d.source = source
	return d
}

// Next ends a document.
func (d *Documents) Next() { d.ends = append(d.ends, len(d.Body)) }

// Len counts the documents.
func (d *Documents) Len() int { return len(d.ends) }

// recycle gives the buffers back.
func (d *Documents) recycle() {
	if cap(d.Body) <= maxPooled && !d.lent.Load() {
		documentsPool.Put(&Documents{Body: d.Body[:0], ends: d.ends[:0]})
	}
}

// part is a run of documents of one record that share their fate so far.
type part struct {
	docs     *Documents
	from, to int // documents [from, to)
	attempts int // requests that failed on them
}

func (p part) start() int {
	if p.from == 0 {
		return 0
	}
	return p.docs.ends[p.from-1]
}

func (p part) bytes() []byte { return p.docs.Body[p.start():p.docs.ends[p.to-1]] }

// split cuts off at most max bytes and count documents, but at least one.
func (p part) split(maxBytes, maxCount int) (head, rest part) {
	fit := sort.Search(min(p.to-p.from, maxCount), func(i int) bool { return p.docs.ends[p.from+i]-p.start() > maxBytes })
	n := max(fit, 1)
	head, rest = p, p
	head.to, rest.from = p.from+n, p.from+n
	return head, rest
}

// lines are the action and the source line of one document.
func (p part) lines(i int) (action, source []byte) {
	one := part{docs: p.docs, from: p.from + i, to: p.from + i + 1}
	action, source, _ = bytes.Cut(one.bytes(), []byte{'\n'})
	return action, bytes.TrimSuffix(source, []byte{'\n'})
}
