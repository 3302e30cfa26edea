package subscription

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"logsluice/internal/jsonscan"
)

// Envelope is a subscription record: log events of one log stream, or a window
// of them if there are many. It is valid only during the call that it is passed
// to.
type Envelope struct {
	// Owner is the AWS account, LogGroup and LogStream the origin of the
	// events; `""` where the envelope does not say.
	Owner, LogGroup, LogStream Text
	Events                     []Event
	// Rejected are the elements of logEvents that are not in Events, or not in full.
	// They come with the first window.
	Rejected []Rejected

	kind         Text
	twice        string // a key that comes more than once, "" if none does
	events       bool   // logEvents is an array
	elements     int    // of logEvents, read so far
	rest         int    // where the first event that is not in Events begins, 0 if all are
	restPosition int    // which element that is
	rejected     int    // how many there are
	rejectedFrom int    // where the last of Rejected begins
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
	// Identical is set on an event without an id of CloudWatch's that has its ID in
	// common with one of another envelope of the same input. They are equal in all but
	// Given and Position: two lines, or one that came twice. In inputs with more than
	// 10,000 events without ids it may be unset.
	Identical bool
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

// Rejected is an element of logEvents that is not a log event, or one with a key
// twice: its event has the last value only. The last one of an envelope can stand for
// several: then it goes from the first of these to the last, with what is between, and
// Err says how many they are.
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
	var keys keys
	err := s.object(func(key Text) (err error) {
		var target *Text
		switch string(key) {
		case `"messageType"`:
			target = &e.kind
			keys.note("messageType")
		case `"owner"`:
			target = &e.Owner
			keys.note("owner")
		case `"logGroup"`:
			target = &e.LogGroup
			keys.note("logGroup")
		case `"logStream"`:
			target = &e.LogStream
			keys.note("logStream")
		case `"logEvents"`:
			keys.note("logEvents")
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
	if err := e.check(); err != nil {
		return err
	}
	e.twice = keys.twice
	return nil
}

// keys are those of an object that have been read and that matter.
type keys struct {
	seen  [6]string
	n     int
	twice string // the first that came again, "" if none did
}

func (k *keys) note(key string) {
	if slices.Contains(k.seen[:k.n], key) {
		k.twice = cmp.Or(k.twice, key)
		return
	}
	k.seen[k.n] = key
	k.n++
}

// errTwice is the reason to report an object of which not all is in an Envelope.
func errTwice(key string) error {
	return fmt.Errorf("%s comes more than once in an object: the last one counts", key)
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
		last.Err = fmt.Errorf("%d elements of logEvents were not indexed in full, the first of them: %w", n, last.Err)
	}
	rest, end := e.rest, s.pos
	d.visitWindow()
	if rest == 0 {
		return nil
	}
	s.pos, s.rewritten, e.elements = rest, 0, e.restPosition
	err := s.elements(func() error {
		ev, _, err := d.event()
		ev.Position = e.elements
		e.elements++
		if err == nil && ev.Message != nil {
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
	d.current.identify(&d.identities)
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
	if err != nil {
		return err
	}
	if reason != nil {
		e.reject(s.data, start, s.pos, reason)
	}
	switch {
	case ev.Message == nil:
	case !full:
		e.Events = append(e.Events, ev)
	case e.rest == 0:
		e.rest, e.restPosition = start, ev.Position
	}
	return nil
}

// reject notes that an element, which is data from start to end, is not in Events in
// full.
func (e *Envelope) reject(data []byte, start, end int, reason error) {
	if e.rejected++; e.rejected <= maxRejected+1 {
		e.Rejected = append(e.Rejected, Rejected{Raw: data[start:end], Err: reason})
		e.rejectedFrom = start
		return
	}
	e.Rejected[maxRejected].Raw = data[e.rejectedFrom:end]
}

// event reads one element of logEvents. It returns the reason why that is not a log
// event, without a Message then, or why not all of it is in the event. Its id is
// settled with the envelope.
func (d *Decoder) event() (ev Event, reason, err error) {
	s := &d.scanner
	if s.usualEvent(&ev) {
		return ev, nil, nil
	}
	if s.peek() != '{' {
		return ev, errNoObject, s.skip()
	}
	timed := false
	var keys keys
	err = s.object(func(key Text) (err error) {
		c := s.peek()
		switch string(key) {
		case `"id"`:
			keys.note("id")
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
			keys.note("message")
			ev.Message = nil
			if c == '"' {
				ev.Message, err = s.text()
				return err
			}
		case `"extractedFields"`:
			keys.note("extractedFields")
			ev.Account, ev.Region = nil, nil
			if c == '{' {
				return s.systemFields(&ev, &keys)
			}
		case `"timestamp"`:
			keys.note("timestamp")
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
		ev.Message, reason = nil, errNoTimestamp
	case keys.twice != "":
		reason = errTwice(keys.twice)
	}
	return ev, reason, err
}

func startsNumber(c byte) bool { return c == '-' || jsonscan.IsDigit(c) }

// systemFields reads what CloudWatch adds to an event on request.
func (s *scanner) systemFields(ev *Event, keys *keys) error {
	return s.object(func(key Text) (err error) {
		var target *Text
		switch string(key) {
		case `"@aws.account"`:
			target = &ev.Account
			keys.note("@aws.account")
		case `"@aws.region"`:
			target = &ev.Region
			keys.note("@aws.region")
		default:
			return s.skip()
		}
		if *target = nil; s.peek() != '"' {
			return s.skip()
		}
		*target, err = s.text()
		return err
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
	i += jsonscan.Digits(data[i:])
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
	for i < len(data) && i < begin+most && jsonscan.IsDigit(data[i]) {
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
