package mapping

import (
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// frame is what the documents of an envelope have in common as long as their
// times share an hour and are on the same side of the window: their text, with gaps for what is each event's own.
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
	ownFields
)

func (f *frame) write(text ...[]byte) {
	for _, t := range text {
		f.text = append(f.text, t...)
	}
}

func (f *frame) leave(of own) { f.gaps = append(f.gaps, gap{len(f.text), of}) }

// build makes the frame of an envelope and an hour.
func (m *Mapper) build(envelope *subscription.Envelope) {
	f := &m.frame
	f.text, f.gaps = f.text[:0], f.gaps[:0]
	f.write(m.action)
	if m.outside {
		f.text = append(f.text, schema.Outside...)
	} else {
		f.write(m.hour.date)
	}
	if !m.noIDs {
		f.write([]byte(`","_id":"`))
		f.leave(ownID)
	}
	f.write([]byte("\"}}\n"+`{"`+schema.TimeField+`":`), m.hour.head)
	f.leave(ownClock)
	f.write(m.hour.tail, []byte(`,"`+schema.MessageField+`":`))
	f.leave(ownMessage)
	f.write(m.common(envelope))
	f.leave(ownFields)
	f.write([]byte("}\n"))
}

// maxOrigins is for how many bytes a mapper remembers the fields of log streams:
// those of a thousand.
const maxOrigins = 512 << 10

// common is the fields that all events of an envelope share.
func (m *Mapper) common(e *subscription.Envelope) []byte {
	m.origin = append(append(append(m.origin[:0], e.Owner...), e.LogGroup...), e.LogStream...)
	if known, ok := m.origins[string(m.origin)]; ok {
		return known
	}
	fields := []byte{}
	for i := range m.schema.Fields {
		if literal := common(&m.schema.Fields[i], e); literal != nil {
			fields = append(append(fields, m.keys[i]...), literal...)
		}
	}
	if m.known += len(m.origin) + len(fields); m.known > maxOrigins {
		clear(m.origins)
		m.known = len(m.origin) + len(fields)
	}
	m.origins[string(m.origin)] = fields
	return fields
}

// common is the value of a field that all events of an envelope share, nil if
// there is none.
func common(f *schema.Field, e *subscription.Envelope) subscription.Text {
	var name subscription.Text
	switch f.Origin {
	case schema.FromValue:
		return f.Constant
	case schema.FromOwner:
		return e.Owner
	case schema.FromGroup:
		name = e.LogGroup
	case schema.FromStream:
		name = e.LogStream
	default:
		return nil
	}
	if f.Pattern == nil {
		return name
	}
	found := f.Pattern.FindStringSubmatch(name.String())
	if found == nil || found[1] == "" {
		return nil
	}
	literal, how := f.Append(nil, schema.Value{Text: schema.Bare(schema.Literal(found[1])), Quoted: true}, schema.Auto)
	if how != schema.Fits {
		return nil
	}
	return literal
}

// append appends the frame with its gaps filled.
func (f *frame) append(dst []byte, h *hour, event *subscription.Event, fields []byte) []byte {
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
		case ownFields:
			dst = append(dst, fields...)
		}
	}
	return append(dst, f.text[from:]...)
}

// size is how many bytes append appends, beside the fields.
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
		case ownFields:
		}
	}
	return n
}
