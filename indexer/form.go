package indexer

import "logsluice/indexer/deadletter"

// Fallback makes what OpenSearch can accept of a document that it refused. Plain
// and Bare append a source line without its newline.
type Fallback interface {
	// Plain is the line as text, its log group and log stream if they are not empty,
	// which are JSON literals, and the reason why nothing else of the document is
	// indexed.
	Plain(dst, source, group, stream []byte, kind, reason string) []byte
	// Bare is the beginning of the line, which fits into a term, its time, and its log
	// group and log stream if they are not empty.
	Bare(dst, source, group, stream []byte) []byte
	// Core returns the time and the text of a source line as JSON literals.
	Core(source []byte) (timestamp, message []byte)
}

// form is how a document goes out that cannot go as it is. As many as there are
// documents in flight may wait in one: it is small.
type form struct {
	kind   kind
	origin bool    // plain or bare, with log group and log stream
	stage  string  // of a letter
	status uint16  // of the answer that refused the document, of its letter
	at     int64   // when the letter was made, in nanoseconds since the epoch
	keep   int     // bytes of the payload kept in a letter
	opaque bool    // the payload of a letter is not to be text
	reason *reason // why the document is refused
	// letter and occurrence, which tells equal ones of a record apart, are of
	// letters that are no document's.
	letter     *deadletter.Letter
	occurrence int
}

type kind uint8

const (
	// plain is the second try of a document that was refused for its content.
	plain kind = iota
	// letter is the dead letter of a record or of a document.
	letter
	// bare goes beside a document's dead letter, so that a search finds the line
	// all the same. It is tried and may be refused.
	bare
)

// size is about how much the form takes in a request.
func (f *form) size(document int) int {
	const more, most = 8 << 10, 64 << 10
	switch f.kind {
	case letter:
		return 2*f.keep + more
	case bare:
		return min(document, most)
	default:
		return document + more
	}
}

// largeForm is the size in bytes from which forms go one at a time, each alone:
// while its request is under way it takes memory beside what is in flight.
const largeForm = 4 << 20

func isLarge(p part) bool { return p.form != nil && p.size() > largeForm }

// written is what goes into the request for a part.
func (ix *Indexer) written(p part) []byte {
	if p.form == nil {
		return p.bytes()
	}
	if p.form.kind == letter {
		return ix.writeLetter(p)
	}
	action, source := p.lines()
	var from Origin
	if p.form.origin {
		from = p.docs.facts.originOf(p.from)
	}
	line := append(make([]byte, 0, p.size()), action...)
	line = append(line, '\n')
	if p.form.kind == plain {
		line = ix.cfg.Fallback.Plain(line, source, from.LogGroup, from.LogStream, p.form.reason.kind, p.form.reason.text)
	} else {
		line = ix.cfg.Fallback.Bare(line, source, from.LogGroup, from.LogStream)
	}
	return append(line, '\n')
}

// formOf is the part of one document in a form.
func (p part) formOf(f form) part {
	return part{docs: p.docs, from: p.from, to: p.to, form: &f}
}
