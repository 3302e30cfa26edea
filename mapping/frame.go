package mapping

import "logsluice/subscription"

// frame is what the documents of an envelope have in common as long as their
// times share an hour: their text, with gaps for what is each event's own.
type frame struct {
	text []byte
	gaps []gap
}

// gap is where in the text of a frame something of the event belongs.
type gap struct {
	at int
	of own
}

// own is what of a document is its event's own.
type own int

const (
	ownID own = iota
	ownClock
	ownMessage
)

func (f *frame) write(text []byte) { f.text = append(f.text, text...) }

func (f *frame) leave(of own) { f.gaps = append(f.gaps, gap{len(f.text), of}) }

// build makes the frame of an envelope and an hour.
func (m *Mapper) build(envelope *subscription.Envelope) {
	f := &m.frame
	f.text, f.gaps = f.text[:0], f.gaps[:0]
	f.write(m.action)
	f.write(m.hour.day)
	if !m.noIDs {
		f.write([]byte(`","_id":"`))
		f.leave(ownID)
	}
	f.write([]byte("\"}}\n"))
	for i, field := range m.schema {
		f.write(m.keys[i])
		field.frame(f, envelope, &m.hour)
	}
	f.write([]byte("}\n"))
}

// append appends the frame with its gaps filled.
func (f *frame) append(dst []byte, h *hour, event *subscription.Event) []byte {
	from := 0
	for _, g := range f.gaps {
		dst = append(dst, f.text[from:g.at]...)
		from = g.at
		switch g.of {
		case ownID:
			dst = append(dst, event.ID...)
		case ownClock:
			dst = h.appendClock(dst, event.Timestamp)
		case ownMessage:
			dst = append(dst, event.Message...)
		}
	}
	return append(dst, f.text[from:]...)
}

// size is how many bytes append appends.
func (f *frame) size(event *subscription.Event) int {
	n := len(f.text)
	for _, g := range f.gaps {
		switch g.of {
		case ownID:
			n += len(event.ID)
		case ownClock:
			n += clockSize
		case ownMessage:
			n += len(event.Message)
		}
	}
	return n
}
