package mapping

import (
	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// layout is the text that an envelope's documents share while their times are in the same
// hour and on the same side of the window. It has gaps for the parts that differ by
// event. It replaces formatting each document from its fields. TestMapperContinues proves
// that both give the same documents; BenchmarkAppend measures it.
type layout struct {
	text []byte
	gaps []gap
}

// gap is a position in the text where a part of the event is inserted.
type gap struct {
	at   int
	part eventPart
}

// eventPart is a part of a document that depends on the event.
type eventPart int

const (
	partID eventPart = iota
	partClock
	partMessage
	partFields
)

func (f *layout) write(text ...[]byte) {
	for _, t := range text {
		f.text = append(f.text, t...)
	}
}

func (f *layout) addGap(part eventPart) { f.gaps = append(f.gaps, gap{len(f.text), part}) }

// build makes the layout for an envelope and the current hour.
func (m *Mapper) build(envelope *subscription.Envelope) {
	f := &m.layout
	f.text, f.gaps = f.text[:0], f.gaps[:0]
	f.write(m.action)
	if m.outside {
		f.text = append(f.text, schema.Outside...)
	} else {
		f.write(m.hour.date)
	}
	if !m.noIDs {
		f.write([]byte(`","_id":"`))
		f.addGap(partID)
	}
	f.write([]byte("\"}}\n"+`{"`+schema.TimeField+`":`), m.hour.head)
	f.addGap(partClock)
	f.write(m.hour.tail, []byte(`,"`+schema.MessageField+`":`))
	f.addGap(partMessage)
	f.write(m.common(envelope))
	f.addGap(partFields)
	f.write([]byte("}\n"))
}

// maxOrigins limits the bytes of log streams' fields that a mapper caches: about a
// thousand log streams.
const maxOrigins = 512 << 10

// common returns the fields that all events of an envelope share.
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
	if m.originBytes += len(m.origin) + len(fields); m.originBytes > maxOrigins {
		clear(m.origins)
		m.originBytes = len(m.origin) + len(fields)
	}
	m.origins[string(m.origin)] = fields
	return fields
}

// common returns the value of a field that all events of an envelope share, or nil.
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
	literal, how := f.Append(nil, schema.Value{Text: schema.TrimQuotes(schema.Literal(found[1])), Quoted: true}, schema.Auto)
	if how != schema.Fits {
		return nil
	}
	return literal
}

// append appends the layout with its gaps filled.
func (f *layout) append(dst []byte, h *hour, event *subscription.Event, fields []byte) []byte {
	from := 0
	for _, g := range f.gaps {
		dst = append(dst, f.text[from:g.at]...)
		from = g.at
		switch g.part {
		case partID:
			dst = append(dst, event.ID...)
		case partClock:
			dst = h.appendClock(dst, event.Timestamp)
		case partMessage:
			dst = append(dst, event.Message...)
		case partFields:
			dst = append(dst, fields...)
		}
	}
	return append(dst, f.text[from:]...)
}

// size returns how many bytes append appends, without the fields.
func (f *layout) size(event *subscription.Event) int {
	n := len(f.text)
	for _, g := range f.gaps {
		switch g.part {
		case partID:
			n += len(event.ID)
		case partClock:
			n += clockSize
		case partMessage:
			n += len(event.Message)
		case partFields:
		}
	}
	return n
}
