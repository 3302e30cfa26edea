package indexer

import "logsluice/indexer/deadletter"

// Fallback makes simpler versions of a document that OpenSearch refused. AppendPlain and
// AppendMinimal append a source line without its newline. Both include the log group and
// the log stream, which are JSON literals, unless they are empty.
type Fallback interface {
	// AppendPlain appends the line as text only, with the type and the reason of the error
	// for which its other fields are not indexed.
	AppendPlain(dst, source, group, stream []byte, kind, reason string) []byte
	// AppendMinimal appends the time and the beginning of the line, short enough for one term.
	AppendMinimal(dst, source, group, stream []byte) []byte
	// Core returns the time and the message of a source line as JSON literals.
	Core(source []byte) (timestamp, message []byte)
}

// fallback is what is sent for a document that cannot be sent as it is. There can be one
// for each document in flight, so it is small.
type fallback struct {
	kind       fallbackKind
	withOrigin bool    // plain or minimal: with log group and log stream
	stage      string  // of the letter
	status     uint16  // of the response that refused the document, for its letter
	at         int64   // when the letter was made, in nanoseconds since the epoch
	keep       int     // bytes of the payload that the letter keeps
	asBase64   bool    // the letter's payload is base64 even if it is text
	reason     *reason // why the document was refused
	// letter and occurrence are set for letters of records that are not documents. The
	// occurrence distinguishes equal letters of one record.
	letter     *deadletter.Letter
	occurrence int
}

type fallbackKind uint8

const (
	// plainFallback is the second attempt for a document that was refused for its content.
	plainFallback fallbackKind = iota
	// letterFallback is the dead letter of a record or of a document.
	letterFallback
	// minimalFallback is sent in addition to a document's dead letter, so that searches still
	// find the line. It may be refused.
	minimalFallback
)

// size returns about how many bytes the fallback takes in a request.
func (f *fallback) size(document int) int {
	const more, most = 8 << 10, 64 << 10
	switch f.kind {
	case letterFallback:
		return 2*f.keep + more
	case minimalFallback:
		return min(document, most)
	default:
		return document + more
	}
}

// largeFallbackSize is the size in bytes from which fallbacks are sent one at a time, each in
// its own request. Such a request takes memory in addition to the documents in flight.
const largeFallbackSize = 4 << 20

func isLarge(p part) bool { return p.fallback != nil && p.size() > largeFallbackSize }

// encode returns a part's lines for the request.
func (ix *Indexer) encode(p part) []byte {
	if p.fallback == nil {
		return p.bytes()
	}
	if p.fallback.kind == letterFallback {
		return ix.letterLines(p)
	}
	action, source := p.lines()
	var from Origin
	if p.fallback.withOrigin {
		from = p.docs.eventData.originOf(p.from)
	}
	line := append(make([]byte, 0, p.size()), action...)
	line = append(line, '\n')
	if p.fallback.kind == plainFallback {
		line = ix.cfg.Fallback.AppendPlain(line, source, from.LogGroup, from.LogStream, p.fallback.reason.kind, p.fallback.reason.text)
	} else {
		line = ix.cfg.Fallback.AppendMinimal(line, source, from.LogGroup, from.LogStream)
	}
	return append(line, '\n')
}

// withFallback returns a part whose only document is sent as a fallback.
func (p part) withFallback(f fallback) part {
	return part{docs: p.docs, from: p.from, to: p.to, fallback: &f}
}
