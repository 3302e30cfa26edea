package indexer

import (
	"bytes"
	"context"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Documents of one record, which are acknowledged together, and the runs of them that are
// sent together.

// Source is the origin of documents, for their dead letters.
type Source struct {
	Stream         string
	Shard          string
	SequenceNumber string
	// Arrived is when the record arrived in Kinesis.
	Arrived time.Time
}

// Documents are the documents of one record on their way to OpenSearch. To fill a set,
// append the two lines of each document to Body and call Next after each. Then pass the
// set to Indexer.Put.
type Documents struct {
	// Body holds the action and source lines, newlines included.
	Body []byte

	source    Source
	ends      []document
	eventData eventData // of the events that the documents were made of
	fallback  *fallback // of a dead letter, whose payload is the Body

	// The dispatcher owns the following fields.
	group    *putGroup
	reserved int64          // bytes of the budget, released with the last outcome
	pending  int            // documents without an outcome
	bytes    int            // bytes of these documents in Body
	waiting  int            // bytes of these documents that wait for their index
	counted  int64          // bytes of the budget counted as waiting because of this set
	delayed  []*delayedPart // parts that wait to be sent again

	// retained is set when a request was answered or abandoned while the transport may still
	// be reading its body. The memory is not reused then.
	retained atomic.Bool
}

// document holds where a document ends in Body, and the position of its event in the
// envelope's logEvents.
type document struct{ end, position int }

// putGroup holds what the documents of one call of Put share. They are in one set or, when
// few are left, in smaller sets to which they were moved.
type putGroup struct {
	ctx     context.Context // canceled when the documents need not be sent again
	put     time.Time
	done    func(settled bool)
	pending int  // outcomes still missing; owned by the dispatcher
	givenUp bool // a document was dropped without an outcome
}

// Buffers are pooled in size classes, so that the pool keeps little more memory than is
// in use.
const (
	bufferStep = 32 << 10
	maxPooled  = 2 << 20
)

var pools [maxPooled/bufferStep + 1]sync.Pool

// NewDocuments returns an empty set with room for about size bytes. It returns to its
// pool when each document has its outcome.
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

// Next completes a document. Its event has the given position in logEvents.
func (d *Documents) Next(position int) { d.ends = append(d.ends, document{len(d.Body), position}) }

// Len returns the number of documents.
func (d *Documents) Len() int { return len(d.ends) }

// Size returns the memory in bytes that the set takes until its last outcome.
func (d *Documents) Size() int64 { return int64(cap(d.Body)) + setCost }

// start returns the offset in Body where a document starts.
func (d *Documents) start(i int) int {
	if i == 0 {
		return 0
	}
	return d.ends[i-1].end
}

// Recycle returns the buffers to their pool. The caller must not use the set afterwards,
// and must not recycle a set that was passed to Put.
func (d *Documents) Recycle() {
	steps := cap(d.Body) / bufferStep
	if steps > 0 && steps < len(pools) && !d.retained.Load() {
		pools[steps].Put(&Documents{Body: d.Body[:0], ends: d.ends[:0], eventData: d.eventData.emptied()})
	}
}

// part is a run of documents of one record that have had the same outcomes so far.
type part struct {
	docs     *Documents
	from, to int       // documents [from, to)
	attempts int       // failed requests so far
	known    bool      // OpenSearch has returned an outcome for them
	woken    bool      // sent again before its backoff was over
	isolated bool      // sent in separate requests, as one of them may make requests fail
	probe    bool      // sent to find out whether the index accepts documents
	waitsFor *target   // the index for which they are counted as waiting
	failures *failures // set while they fail and others do not
	// fallback is set for a single document that cannot be sent as it is.
	fallback *fallback
}

func (p part) count() int { return p.to - p.from }

func (p part) start() int { return p.docs.start(p.from) }

// bytes returns the documents' lines as they are.
func (p part) bytes() []byte { return p.docs.Body[p.start():p.docs.ends[p.to-1].end] }

// size returns about how many bytes the part takes in a request.
func (p part) size() int {
	if p.fallback != nil {
		return p.fallback.size(len(p.bytes()))
	}
	return len(p.bytes())
}

// slice returns documents [from, to) of the part.
func (p part) slice(from, to int) part {
	p.to = p.from + to
	p.from += from
	return p
}

// split returns a head of at most maxBytes bytes and maxCount documents, but of at least
// one document, and the rest.
func (p part) split(maxBytes, maxCount int) (head, rest part) {
	fit := sort.Search(min(p.count(), maxCount), func(i int) bool { return p.docs.ends[p.from+i].end-p.start() > maxBytes })
	n := max(fit, 1)
	return p.slice(0, n), p.slice(n, p.count())
}

// lines returns the action line and the source line of the part's only document.
func (p part) lines() (action, source []byte) {
	action, source, _ = bytes.Cut(p.bytes(), []byte{'\n'})
	return action, bytes.TrimSuffix(source, []byte{'\n'})
}

// target returns the index and the id of a document of the part. The id is empty if
// OpenSearch chooses it. Action lines have one spelling, so no JSON parser is needed.
func (p part) target(i int) (index, id []byte) {
	docs, at := p.docs, p.from+i
	action, _, _ := bytes.Cut(docs.Body[docs.start(at):docs.ends[at].end], []byte{'\n'})
	return member(action, `"_index":"`), member(action, `"_id":"`)
}

// member returns the value that follows a key, up to the next quote.
func member(action []byte, key string) []byte {
	_, rest, _ := bytes.Cut(action, []byte(key))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return value
}

// indexRun returns the end of the run of documents from i on that go to the same index,
// and that index.
func (p part) indexRun(i int) (to int, index []byte) {
	index, _ = p.target(i)
	for to = i + 1; to < p.count(); to++ {
		if next, _ := p.target(to); !bytes.Equal(next, index) {
			break
		}
	}
	return to, index
}
