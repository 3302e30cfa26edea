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

// Envelope is a subscription record: log events of one log stream, or a window of them if
// there are many. It is valid only during the call to which it is passed.
type Envelope struct {
	// Owner is the AWS account, and LogGroup and LogStream are the origin of the events,
	// or `""` if they are missing.
	Owner, LogGroup, LogStream Text
	Events                     []Event
	// Rejected are the elements of logEvents that are not in Events, or not completely.
	// They are in the first window.
	Rejected []Rejected

	kind         Text
	duplicate    string // a key that occurs more than once, or ""
	events       bool   // logEvents is an array
	elements     int    // elements of logEvents read so far
	restOffset   int    // offset in bytes of the first event that is not in Events, 0 if all are
	restIndex    int    // index of that element
	rejected     int    // number of rejected elements
	rejectedFrom int    // position of the last of Rejected
	occurrences  *occurrences
}

// Event is a log event.
type Event struct {
	// ID is the event's identity: its id from CloudWatch, or a hash of the event. It
	// consists of digits and the letters a to f.
	ID []byte
	// OriginalID is the id in the envelope if it is not used as ID: a string literal in
	// canonical form, or a number. It is nil if ID is CloudWatch's, and if the envelope
	// has no id or one of another type.
	OriginalID []byte
	// Identical is set on an event without a CloudWatch id whose ID is that of an event
	// of another envelope in the same input. They are equal except for OriginalID and
	// Position: either two lines, or one delivered twice. In inputs with more than 10,000
	// events without ids it may not be set.
	Identical bool
	// Position is the event's index in logEvents, including rejected elements.
	Position int
	// Timestamp is in milliseconds since the epoch, within the years 0 to 9999.
	Timestamp int64
	// Message is the logged text.
	Message Text
	// Account and Region are the system fields @aws.account and @aws.region, or nil if
	// the subscription filter does not add them. See
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html.
	Account, Region Text
}

// Rejected is an element of logEvents that is not a log event, or in which a key occurs twice. In
// the latter case Events also has its event, with the last value. The last Rejected of an envelope can represent
// several elements. Raw then extends from the first of them to the last, including what
// is between, and Err contains their number.
type Rejected struct {
	// Raw is the element's original JSON.
	Raw []byte
	Err error
}

// Message types.
const (
	dataMessage    = `"DATA_MESSAGE"`
	controlMessage = `"CONTROL_MESSAGE"`
)

// Limits of an envelope. CloudWatch allows names of at most 512 characters, which in the
// worst case are escapes of six bytes.
const (
	maxWindow   = 10_000 // events per visit
	maxRejected = 100    // rejected elements that are reported individually
	maxField    = 4096   // bytes of owner, logGroup or logStream
)

// errShape is returned for an envelope that is JSON but not what CloudWatch sends. The
// input after it can be read.
var errShape = errors.New("not a subscription envelope")

// envelope reads one envelope. Keys may be in any order, the last of equal keys counts,
// and unknown ones are skipped.
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
			keys.add("messageType")
		case `"owner"`:
			target = &e.Owner
			keys.add("owner")
		case `"logGroup"`:
			target = &e.LogGroup
			keys.add("logGroup")
		case `"logStream"`:
			target = &e.LogStream
			keys.add("logStream")
		case `"logEvents"`:
			keys.add("logEvents")
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
			*target = emptyText
			return nil
		}
		*target = nil // neither a string nor null
		return s.skip()
	})
	if err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return err
	}
	e.duplicate = keys.duplicate
	return nil
}

// keys are the known keys of an object that have been read.
type keys struct {
	seen      [6]string
	n         int
	duplicate string // the first key that occurred again, or ""
}

func (k *keys) add(key string) {
	if slices.Contains(k.seen[:k.n], key) {
		k.duplicate = cmp.Or(k.duplicate, key)
		return
	}
	k.seen[k.n] = key
	k.n++
}

// errDuplicateKey is the reason for reporting an object that is not completely in an
// Envelope.
func errDuplicateKey(key string) error {
	return fmt.Errorf("%s occurs more than once in an object: the last value counts", key)
}

// reset makes the envelope empty. References are cleared, so that it does not keep a
// record's memory.
func (e *Envelope) reset() {
	e.noEvents()
	*e = Envelope{kind: emptyText, Owner: emptyText, LogGroup: emptyText, LogStream: emptyText, Events: e.Events, Rejected: e.Rejected}
}

// noEvents removes the events.
func (e *Envelope) noEvents() {
	clear(e.Events)
	clear(e.Rejected)
	e.Events, e.Rejected = e.Events[:0], e.Rejected[:0]
	e.restOffset, e.rejected = 0, 0
}

// visitAll visits an envelope that was read and is valid: first the events read so far,
// then the rest, which are read again, one window at a time.
func (d *Decoder) visitAll() error {
	s, e := &d.scanner, &d.current
	if n := e.rejected - maxRejected; n > 1 {
		last := &e.Rejected[maxRejected]
		last.Err = fmt.Errorf("%d elements of logEvents were not indexed in full, the first of them: %w", n, last.Err)
	}
	rest, end := e.restOffset, s.pos
	d.visitWindow()
	if rest == 0 {
		return nil
	}
	s.pos, s.rewritten, e.elements = rest, 0, e.restIndex
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

// visitWindow visits the events read so far and removes them.
func (d *Decoder) visitWindow() {
	d.current.identify(&d.identities)
	d.visit(&d.current)
	d.current.noEvents()
}

// check returns an error unless the envelope is what CloudWatch sends.
func (e *Envelope) check() error {
	for _, field := range []struct {
		name  string
		value Text
	}{{"messageType", e.kind}, {"owner", e.Owner}, {"logGroup", e.LogGroup}, {"logStream", e.LogStream}} {
		if field.value == nil {
			return fmt.Errorf("%w: %s is not a string", errShape, field.name)
		}
		if len(field.value) > maxField {
			return fmt.Errorf("%w: %s has more than %d bytes", errShape, field.name, maxField)
		}
	}
	switch string(e.kind) {
	case controlMessage:
		return nil
	case dataMessage:
		if !e.events {
			return fmt.Errorf("%w: it has no logEvents array", errShape)
		}
		return nil
	case `""`:
		return fmt.Errorf("%w: it has no messageType", errShape)
	}
	return fmt.Errorf("%w: messageType is %.60q", errShape, e.kind.String())
}

// Reasons to reject an event.
var (
	errNotObject   = errors.New("a log event is not an object")
	errNoMessage   = errors.New("a log event has no message, or one that is not a string")
	errNoTimestamp = errors.New("a log event has no timestamp, or one that is not a whole number of milliseconds within the years 0 to 9999")
)

// element reads one element of logEvents before the envelope is known to be valid.
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
	case e.restOffset == 0:
		e.restOffset, e.restIndex = start, ev.Position
	}
	return nil
}

// reject records that an element, data[start:end], is not completely in Events.
func (e *Envelope) reject(data []byte, start, end int, reason error) {
	if e.rejected++; e.rejected <= maxRejected+1 {
		e.Rejected = append(e.Rejected, Rejected{Raw: data[start:end], Err: reason})
		e.rejectedFrom = start
		return
	}
	e.Rejected[maxRejected].Raw = data[e.rejectedFrom:end]
}

// event reads one element of logEvents. reason is why it is not a log event, in which
// case it has no Message, or why it is not completely in the event. The id is determined
// when the whole envelope is read.
func (d *Decoder) event() (ev Event, reason, err error) {
	s := &d.scanner
	if s.cloudWatchEvent(&ev) {
		return ev, nil, nil
	}
	if s.peek() != '{' {
		return ev, errNotObject, s.skip()
	}
	timed := false
	var keys keys
	err = s.object(func(key Text) (err error) {
		c := s.peek()
		switch string(key) {
		case `"id"`:
			keys.add("id")
			ev.ID, ev.OriginalID = nil, nil
			switch {
			case c == '"':
				ev.ID, err = s.text()
				return err
			case startsNumber(c):
				ev.OriginalID, err = s.number()
				return err
			}
		case `"message"`:
			keys.add("message")
			ev.Message = nil
			if c == '"' {
				ev.Message, err = s.text()
				return err
			}
		case `"extractedFields"`:
			keys.add("extractedFields")
			ev.Account, ev.Region = nil, nil
			if c == '{' {
				return s.systemFields(&ev, &keys)
			}
		case `"timestamp"`:
			keys.add("timestamp")
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
	case keys.duplicate != "":
		reason = errDuplicateKey(keys.duplicate)
	}
	return ev, reason, err
}

func startsNumber(c byte) bool { return c == '-' || jsonscan.IsDigit(c) }

// systemFields reads the fields that CloudWatch can add to an event.
func (s *scanner) systemFields(ev *Event, keys *keys) error {
	return s.object(func(key Text) (err error) {
		var target *Text
		switch string(key) {
		case `"@aws.account"`:
			target = &ev.Account
			keys.add("@aws.account")
		case `"@aws.region"`:
			target = &ev.Region
			keys.add("@aws.region")
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

// cloudWatchEvent reads an event in the form that CloudWatch writes: an id of digits, a
// time after 1970, a message in canonical form, and no space. If the event has another
// form, it reads nothing and returns false. It replaces the general object reader in event
// for nearly all events: decoding takes four fifths of the time (BenchmarkDecode, plain and
// general). TestCloudWatchEvent proves that both give the same event.
func (s *scanner) cloudWatchEvent(ev *Event) bool {
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

// The years 0 to 9999, the range of RFC 3339.
const (
	minTimestamp = -62_167_219_200_000
	maxTimestamp = 253_402_300_799_999
)

// milliseconds reads a JSON number in any notation. It refuses numbers with more
// characters than any computer writes.
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
