package indexer

import (
	"bytes"
	"context"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Documents of one record, which are acknowledged together, and the parts of them that are
// sent together.

// Source says where documents come from, for their dead letters.
type Source struct {
	Stream         string
	Shard          string
	SequenceNumber string
	// Arrived is when the record arrived in Kinesis.
	Arrived time.Time
}

// Documents are documents of one record on their way to OpenSearch. They are
// filled by appending the two lines of each to Body, calling Next after each,
// and passed to Indexer.Put.
type Documents struct {
	// Body holds the action and source lines, newlines included.
	Body []byte

	source Source
	ends   []document
	facts  facts // of the events that the documents were made of
	form   *form // of a dead letter, whose payload is the Body

	// What follows is the dispatcher's.
	group     *ackGroup
	reserved  int64   // bytes of the budget, released with the last outcome
	undecided int     // documents in it without an outcome
	bytes     int     // that these take in Body
	waiting   int     // of these bytes: those that wait for their index
	counted   int64   // bytes of the budget that are counted as waiting because of them
	resting   []*held // those of them that wait to be sent again

	// lent is set when a request was answered or given up while the transport
	// might still read its body: then the memory is not used again.
	lent atomic.Bool
}

// document is where a document ends in Body, and where its event stood in the
// envelope's logEvents.
type document struct{ end, position int }

// ackGroup is what Put was called for: the documents of one record, in one set
// or, when few are left, moved to smaller ones.
type ackGroup struct {
	ctx     context.Context // ends when the documents need not be sent again
	put     time.Time
	done    func(settled bool)
	pending int  // outcomes to come; the dispatcher's
	givenUp bool // one of them will not come
}

// Buffers are pooled by size, in steps, so that what is in memory is little
// more than what is in use.
const (
	bufferStep = 32 << 10
	maxPooled  = 2 << 20
)

var pools [maxPooled/bufferStep + 1]sync.Pool

// NewDocuments returns an empty set with room for size bytes, as a hint. It
// goes back to its pool when each document has its outcome.
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

// Next ends a document, which was made of the event at a position of logEvents.
func (d *Documents) Next(position int) { d.ends = append(d.ends, document{len(d.Body), position}) }

// Len counts the documents.
func (d *Documents) Len() int { return len(d.ends) }

// Size is the memory in bytes that the set takes until its last outcome.
func (d *Documents) Size() int64 { return int64(cap(d.Body)) + setCost }

// start is where a document begins in Body.
func (d *Documents) start(i int) int {
	if i == 0 {
		return 0
	}
	return d.ends[i-1].end
}

// Recycle gives the buffers back. Only a set that was not handed over is its
// caller's to recycle.
func (d *Documents) Recycle() {
	steps := cap(d.Body) / bufferStep
	if steps > 0 && steps < len(pools) && !d.lent.Load() {
		pools[steps].Put(&Documents{Body: d.Body[:0], ends: d.ends[:0], facts: d.facts.emptied()})
	}
}

// part is a run of documents of one record that have had the same outcomes so far.
type part struct {
	docs     *Documents
	from, to int      // documents [from, to)
	attempts int      // requests that did not settle them
	known    bool     // OpenSearch has given an outcome for them
	woken    bool     // sent again before its pause was over
	alone    bool     // sent apart, as one of them may make requests fail
	probe    bool     // sent to find out whether their index accepts documents
	waitsFor *target  // the index that they are counted as waiting for
	failing  *failing // since when they fail while others do not
	// form is how the one document goes out that cannot go as it is.
	form *form
}

func (p part) count() int { return p.to - p.from }

func (p part) start() int { return p.docs.start(p.from) }

// bytes are the documents as they are.
func (p part) bytes() []byte { return p.docs.Body[p.start():p.docs.ends[p.to-1].end] }

// size is about how much the part takes in a request.
func (p part) size() int {
	if p.form != nil {
		return p.form.size(len(p.bytes()))
	}
	return len(p.bytes())
}

// slice is the part of documents [from, to) of the part.
func (p part) slice(from, to int) part {
	p.to = p.from + to
	p.from += from
	return p
}

// split cuts off at most max bytes and count documents, but at least one.
func (p part) split(maxBytes, maxCount int) (head, rest part) {
	fit := sort.Search(min(p.count(), maxCount), func(i int) bool { return p.docs.ends[p.from+i].end-p.start() > maxBytes })
	n := max(fit, 1)
	return p.slice(0, n), p.slice(n, p.count())
}

// lines are the action and the source line of the one document.
func (p part) lines() (action, source []byte) {
	action, source, _ = bytes.Cut(p.bytes(), []byte{'\n'})
	return action, bytes.TrimSuffix(source, []byte{'\n'})
}

// target is the index that a document of the part is for, and its id, which is
// empty if OpenSearch is to choose one. Action lines have one spelling.
func (p part) target(i int) (index, id []byte) {
	docs, at := p.docs, p.from+i
	action, _, _ := bytes.Cut(docs.Body[docs.start(at):docs.ends[at].end], []byte{'\n'})
	return member(action, `"_index":"`), member(action, `"_id":"`)
}

// member is what follows a key up to the next quote.
func member(action []byte, key string) []byte {
	_, rest, _ := bytes.Cut(action, []byte(key))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return value
}

// indexRun is the end of the run of documents from i on that are for one index,
// and the index.
func (p part) indexRun(i int) (to int, index []byte) {
	index, _ = p.target(i)
	for to = i + 1; to < p.count(); to++ {
		if next, _ := p.target(to); !bytes.Equal(next, index) {
			break
		}
	}
	return to, index
}
