package subscription

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Envelope is a subscription record: log events of one log stream. It is valid
// only during the call that it is passed to.
type Envelope struct {
	// Owner is the AWS account, LogGroup and LogStream the origin of the
	// events; `""` where the envelope does not say.
	Owner, LogGroup, LogStream Text
	Events                     []Event
	// Rejected are elements of logEvents that are no log events.
	Rejected []Rejected

	kind   Text
	events bool // logEvents is an array
}

// Event is a log event.
type Event struct {
	// ID is the event's identity: the id that CloudWatch gave it, or else a
	// hash of what it is. It has digits and the letters a to f only.
	ID []byte
	// Timestamp is in milliseconds since the epoch, within the years 0 to 9999.
	Timestamp int64
	// Message is the text as it was logged.
	Message Text
}

// Rejected is an element of logEvents that is no log event.
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

// errShape is an envelope that is JSON but not what CloudWatch sends; what
// follows it can be read.
var errShape = errors.New("not a subscription envelope")

// envelope reads one envelope. Keys may come in any order, the last one of a
// name counts, unknown ones are passed over.
func (d *Decoder) envelope() error {
	s, e := &d.scanner, &d.current
	s.arena = s.arena[:0]
	*e = Envelope{kind: empty, Owner: empty, LogGroup: empty, LogStream: empty, Events: e.Events[:0], Rejected: e.Rejected[:0]}
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
			e.Events, e.Rejected = e.Events[:0], e.Rejected[:0]
			if e.events = s.peek() == '['; e.events {
				return s.array(d.event)
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

// check tells whether the envelope is what CloudWatch sends.
func (e *Envelope) check() error {
	for _, field := range []struct {
		name  string
		value Text
	}{{"messageType", e.kind}, {"owner", e.Owner}, {"logGroup", e.LogGroup}, {"logStream", e.LogStream}} {
		if field.value == nil {
			return fmt.Errorf("%w: %s is not a string", errShape, field.name)
		}
	}
	switch string(e.kind) {
	case controlMessage:
		return nil
	case dataMessage:
		if !e.events {
			return fmt.Errorf("%w: it has no array logEvents", errShape)
		}
		e.identify()
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

// event reads one element of logEvents. Its id is settled with the envelope.
func (d *Decoder) event() error {
	s, e := &d.scanner, &d.current
	start := s.pos
	reject := func(reason error) {
		e.Rejected = append(e.Rejected, Rejected{Raw: s.data[start:s.pos], Err: reason})
	}
	if s.peek() != '{' {
		if err := s.skip(); err != nil {
			return err
		}
		reject(errNoObject)
		return nil
	}
	var ev Event
	timed := false
	err := s.object(func(key Text) (err error) {
		c := s.peek()
		switch string(key) {
		case `"id"`:
			ev.ID = nil
			if c == '"' {
				ev.ID, err = s.text()
				return err
			}
		case `"message"`:
			ev.Message = nil
			if c == '"' {
				ev.Message, err = s.text()
				return err
			}
		case `"timestamp"`:
			timed = false
			if c == '-' || ('0' <= c && c <= '9') {
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
	case err != nil:
		return err
	case ev.Message == nil:
		reject(errNoMessage)
	case !timed:
		reject(errNoTimestamp)
	default:
		e.Events = append(e.Events, ev)
	}
	return nil
}

// The years 0 to 9999, which RFC 3339 can write.
const (
	minTimestamp = -62_167_219_200_000
	maxTimestamp = 253_402_300_799_999
)

// milliseconds reads a JSON number in any of its spellings.
func milliseconds(number []byte) (n int64, ok bool) {
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
