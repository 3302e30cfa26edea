package subscription

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Envelope is a subscription record: log events of one log stream, or a window
// of them if there are many. It is valid only during the call that it is passed
// to.
type Envelope struct {
	// Owner is the AWS account, LogGroup and LogStream the origin of the
	// events; `""` where the envelope does not say.
	Owner, LogGroup, LogStream Text
	Events                     []Event
	// Rejected are elements of logEvents that are no log events. They come with
	// the first window.
	Rejected []Rejected

	kind         Text
	events       bool // logEvents is an array
	elements     int  // of logEvents, read so far
	rest         int  // where the first event that is not in Events begins, 0 if all are
	restPosition int  // which element that is
	rejected     int  // how many there are
	rejectedFrom int  // where the last of Rejected begins
	occurrences  *occurrences
}

// Event is a log event.
type Event struct {
	// ID is the event's identity: the id that CloudWatch gave it, or else a
	// hash of what it is. It has digits and the letters a to f only.
	ID []byte
	// Given is the id in the envelope, as a JSON literal, where it is not the ID: a
	// string in canonical form, or a number. It is nil where the ID is CloudWatch's,
	// and where the envelope has no id or one of another type.
	Given []byte
	// Position is the event's index in logEvents, where rejected elements count too.
	Position int
	// Timestamp is in milliseconds since the epoch, within the years 0 to 9999.
	Timestamp int64
	// Message is the text as it was logged.
	Message Text
	// Account and Region are the system fields @aws.account and @aws.region, nil
	// where the subscription filter does not add them. See
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html.
	Account, Region Text
}

// Rejected is an element of logEvents that is no log event. The last one of an
// envelope can stand for several: then it goes from the first of these to the
// last, with what is between, and Err says how many they are.
type Rejected struct {
	// Raw is its JSON as it was.
	Raw []byte
	Err error
}

// Message types.
const (
	dataMessage    = `"DATA_MESSAGE"`
	controlMessage = `"CONTROL_MESSAGE"`
)

// Bounds on an envelope. The names that CloudWatch allows have at most 512
// characters, escapes of six bytes if it comes to the worst.
const (
	maxWindow   = 10_000 // events in one visit
	maxRejected = 100    // rejected elements that are told one by one
	maxField    = 4096   // bytes of owner, logGroup or logStream
)

// errShape is an envelope that is JSON but not what CloudWatch sends; what
// follows it can be read.
var errShape = errors.New("not a subscription envelope")

// envelope reads one envelope. Keys may come in any order, the last one of a
// name counts, unknown ones are passed over.
func (d *Decoder) envelope() error {
	s, e := &d.scanner, &d.current
	s.arena, s.rewritten = s.arena[:0], 0
	e.reset()
	err := s.object(func(key Text) (err error) {
		var target *Text
		switch string(key) {
		case `"messageType"`:
			target = &e.kind
		case `"owner"`:
			target = &e.Owner
		case `"logGroup"`:
			target = &e.LogGroup
		case `"logStream"`:
			target = &e.LogStream
		case `"logEvents"`:
			e.noEvents()
			e.elements = 0
			if e.events = s.peek() == '['; e.events {
				return s.array(d.element)
			}
			return s.skip()
		default:
			return s.skip()
		}
		switch {
		case s.peek() == '"':
			*target, err = s.text()
			return err
		case s.null():
			*target = empty
			return nil
		}
		*target = nil // neither a string nor absent
		return s.skip()
	})
	if err != nil {
		return err
	}
	return e.check()
}

// reset makes it an envelope that says nothing. What it referred to is cleared,
// so that it keeps no record's memory.
func (e *Envelope) reset() {
	e.noEvents()
	*e = Envelope{kind: empty, Owner: empty, LogGroup: empty, LogStream: empty, Events: e.Events, Rejected: e.Rejected}
}

// noEvents forgets the events.
func (e *Envelope) noEvents() {
	clear(e.Events)
	clear(e.Rejected)
	e.Events, e.Rejected = e.Events[:0], e.Rejected[:0]
	e.rest, e.rejected = 0, 0
}

// visitAll visits the envelope that has been read and found good: the events at
// hand, then the rest, which are read once more, a window at a time.
func (d *Decoder) visitAll() error {
	s, e := &d.scanner, &d.current
	if n := e.rejected - maxRejected; n > 1 {
		last := &e.Rejected[maxRejected]
		last.Err = fmt.Errorf("%d elements of logEvents are no log events, the first of them: %w", n, last.Err)
	}
	rest, end := e.rest, s.pos
	d.visitWindow()
	if rest == 0 {
		return nil
	}
	s.pos, s.rewritten, e.elements = rest, 0, e.restPosition
	err := s.elements(func() error {
		ev, reason, err := d.event()
		ev.Position = e.elements
		e.elements++
		if err == nil && reason == nil {
			e.Events = append(e.Events, ev)
		}
		if len(e.Events) == d.window {
			d.visitWindow()
		}
		return err
	})
	if len(e.Events) > 0 {
		d.visitWindow()
	}
	s.pos = end
	return err
}

// visitWindow visits the events at hand and forgets them.
func (d *Decoder) visitWindow() {
	d.current.identify()
	d.visit(&d.current)
	d.current.noEvents()
}

// check tells whether the envelope is what CloudWatch sends.
func (e *Envelope) check() error {
	for _, field := range []struct {
		name  string
		value Text
	}{{"messageType", e.kind}, {"owner", e.Owner}, {"logGroup", e.LogGroup}, {"logStream", e.LogStream}} {
		if field.value == nil {
			return fmt.Errorf("%w: %s is not a string", errShape, field.name)
		}
		if len(field.value) > maxField {
			return fmt.Errorf("%w: %s takes more than %d bytes", errShape, field.name, maxField)
		}
	}
	switch string(e.kind) {
	case controlMessage:
		return nil
	case dataMessage:
		if !e.events {
			return fmt.Errorf("%w: it has no array logEvents", errShape)
		}
		return nil
	case `""`:
		return fmt.Errorf("%w: it has no messageType", errShape)
	}
	return fmt.Errorf("%w: messageType is %.60q", errShape, e.kind.String())
}

// Reasons to reject an event.
var (
	errNoObject    = errors.New("a log event is not an object")
	errNoMessage   = errors.New("a log event has no message, or one that is not a string")
	errNoTimestamp = errors.New("a log event has no timestamp, or one that is not a whole number of milliseconds within the years 0 to 9999")
)

// element reads one element of logEvents while the envelope is not known to be
// good.
func (d *Decoder) element() error {
	s, e := &d.scanner, &d.current
	start, full := s.pos, len(e.Events) == d.window
	ev, reason, err := d.event()
	ev.Position = e.elements
	e.elements++
	switch {
	case err != nil:
		return err
	case reason != nil:
		e.reject(s.data, start, s.pos, reason)
	case !full:
		e.Events = append(e.Events, ev)
	case e.rest == 0:
		e.rest, e.restPosition = start, ev.Position
	}
	return nil
}

// reject notes that an element, which is data from start to end, is no log event.
func (e *Envelope) reject(data []byte, start, end int, reason error) {
	if e.rejected++; e.rejected <= maxRejected+1 {
		e.Rejected = append(e.Rejected, Rejected{Raw: data[start:end], Err: reason})
		e.rejectedFrom = start
		return
	}
	e.Rejected[maxRejected].Raw = data[e.rejectedFrom:end]
}

// event reads one element of logEvents, or tells the reason why it is no log
// event. Its id is settled with the envelope.
func (d *Decoder) event() (ev Event, reason, err error) {
	s := &d.scanner
	if s.usualEvent(&ev) {
		return ev, nil, nil
	}
	if s.peek() != '{' {
		return ev, errNoObject, s.skip()
	}
	timed := false
	err = s.object(func(key Text) (err error) {
		c := s.peek()
		switch string(key) {
		case `"id"`:
			ev.ID, ev.Given = nil, nil
			switch {
			case c == '"':
				ev.ID, err = s.text()
				return err
			case startsNumber(c):
				ev.Given, err = s.number()
				return err
			}
		case `"message"`:
			ev.Message = nil
			if c == '"' {
				ev.Message, err = s.text()
				return err
			}
		case `"extractedFields"`:
			if c == '{' {
				return s.systemFields(&ev)
			}
		case `"timestamp"`:
			timed = false
			if startsNumber(c) {
				var number []byte
				if number, err = s.number(); err == nil {
					ev.Timestamp, timed = milliseconds(number)
				}
				return err
			}
		}
		return s.skip()
	})
	switch {
	case ev.Message == nil:
		reason = errNoMessage
	case !timed:
		reason = errNoTimestamp
	}
	return ev, reason, err
}

func startsNumber(c byte) bool { return c == '-' || ('0' <= c && c <= '9') }

// systemFields reads what CloudWatch adds to an event on request.
func (s *scanner) systemFields(ev *Event) error {
	return s.object(func(key Text) (err error) {
		switch {
		case s.peek() != '"':
		case string(key) == `"@aws.account"`:
			ev.Account, err = s.text()
			return err
		case string(key) == `"@aws.region"`:
			ev.Region, err = s.text()
			return err
		}
		return s.skip()
	})
}

// usualEvent reads an event that is spelled as CloudWatch does it, or else reads
// nothing: an id of digits, a time after 1970, a message in canonical form, and
// no space.
func (s *scanner) usualEvent(ev *Event) bool {
	const id, timestamp, message = `{"id":`, `,"timestamp":`, `,"message":`
	data := s.data[s.pos:]
	if len(data) <= len(id) || string(data[:len(id)]) != id || data[len(id)] != '"' {
		return false
	}
	i := len(id) + 1
	i += digits(data[i:])
	if i++; i > len(data) || data[i-1] != '"' {
		return false
	}
	literal := data[len(id):i:i]
	if len(data) <= i+len(timestamp) || string(data[i:i+len(timestamp)]) != timestamp {
		return false
	}
	i += len(timestamp)
	number, begin := int64(0), i
	const most = 14 // digits: up to the year 5138
	for i < len(data) && i < begin+most && '0' <= data[i] && data[i] <= '9' {
		number = number*10 + int64(data[i]-'0')
		i++
	}
	if i == begin || data[begin] == '0' || len(data) <= i+len(message) || string(data[i:i+len(message)]) != message {
		return false
	}
	from := s.pos
	s.pos += i + len(message)
	text, size, err := s.literal()
	if err != nil || size > 0 || s.peek() != '}' {
		s.pos = from
		return false
	}
	ev.ID, ev.Timestamp, ev.Message = literal, number, text
	s.pos++
	return true
}

// The years 0 to 9999, which RFC 3339 can write.
const (
	minTimestamp = -62_167_219_200_000
	maxTimestamp = 253_402_300_799_999
)

// milliseconds reads a JSON number in any of its spellings. One of more
// characters than any computer writes is none.
func milliseconds(number []byte) (n int64, ok bool) {
	const longest = 1000
	if len(number) > longest {
		return 0, false
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(number), 64)
		if err != nil || f != math.Trunc(f) || f < minTimestamp || f > maxTimestamp {
			return 0, false
		}
		n = int64(f)
	}
	return n, minTimestamp <= n && n <= maxTimestamp
}
