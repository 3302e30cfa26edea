package mapping

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// Mapper, which makes the documents of an envelope, in pieces whose size is known before
// they are made.

// Config says what documents look like and where they go.
type Config struct {
	// Naming is how the indices are named; its timezone is that of timestamps too.
	Naming schema.Naming
	// MaxAge and MaxAhead bound how much older and newer than its record's arrival in
	// Kinesis an event may be to have an index by date: others go to PREFIX-outside.
	// 0 means no limit. A data stream, which has one index for all times, ignores both.
	MaxAge, MaxAhead time.Duration
	// Schema lists the fields of a document; the built-in default when nil.
	Schema *schema.Schema
	// NoIDs leaves ids to OpenSearch, for time-series collections of Serverless,
	// which take none: a re-delivered event then becomes a second document.
	// See https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-overview.html.
	NoIDs bool
	// Registry takes the metrics; none are kept when it is nil.
	Registry prometheus.Registerer
}

// Mapper writes log events as the two lines of a bulk request that make their
// documents. It remembers the envelope and the hour it is in, so it is not safe
// for concurrent use: each goroutine has a Clone.
type Mapper struct {
	naming   schema.Naming
	schema   *schema.Schema
	noIDs    bool
	maxAge   time.Duration
	maxAhead time.Duration
	metrics  *metrics
	keys     [][]byte // of the schema's fields: `,"level":`, …
	action   []byte   // the action line up to the date
	extract  *extract

	envelope *subscription.Envelope // that the events are of
	next     int                    // the first of its events that is not prepared
	rules    []int                  // that concern it
	window   window                 // of its record
	hour     hour                   // of the event at hand
	outside  bool                   // that is outside the window
	frame    frame                  // of these
	framed   bool                   // the frame is made
	origins  map[string][]byte      // the fields that come with a log stream
	origin   []byte                 // of the envelope, as a key of them
	known    int                    // bytes of origins

	prepared []prepared
	written  int    // of the prepared
	own      []byte // fields of theirs
	message  []byte // of the event at hand, as rules look at it
}

// prepared is an event that becomes a document.
type prepared struct {
	event *subscription.Event
	own   int // where its fields end in own
}

// New checks the configuration and prepares the mapper.
func New(cfg Config) (*Mapper, error) {
	if cfg.Schema == nil {
		var err error
		if cfg.Schema, err = schema.BuiltIn(schema.Default); err != nil {
			return nil, err
		}
	}
	if err := cfg.Naming.Check(); err != nil {
		return nil, err
	}
	if cfg.Naming.DataStream {
		cfg.MaxAge, cfg.MaxAhead = 0, 0
	}
	m := &Mapper{
		naming:   cfg.Naming,
		schema:   cfg.Schema,
		noIDs:    cfg.NoIDs,
		maxAge:   cfg.MaxAge,
		maxAhead: cfg.MaxAhead,
		extract:  newExtract(cfg.Schema),
		origins:  map[string][]byte{},
	}
	var err error
	if m.metrics, err = newMetrics(cfg.Schema, cfg.Registry); err != nil {
		return nil, err
	}
	operation := "create"
	if cfg.NoIDs && !cfg.Naming.DataStream { // which takes nothing but create
		operation = "index"
	}
	m.action = []byte(`{"` + operation + `":{"_index":"` + m.naming.Base())
	for _, field := range cfg.Schema.Fields {
		m.keys = append(m.keys, append(append([]byte{','}, schema.Literal(field.Name)...), ':'))
	}
	return m, nil
}

// HasIDs reports whether documents have ids.
func (m *Mapper) HasIDs() bool { return !m.noIDs }

// Clone makes a mapper for another goroutine.
func (m *Mapper) Clone() *Mapper {
	clone := *m
	clone.frame, clone.framed = frame{}, false
	clone.extract = m.extract.clone()
	clone.origins, clone.origin, clone.known = map[string][]byte{}, nil, 0
	clone.rules, clone.prepared, clone.own, clone.message = nil, nil, nil, nil
	return &clone
}

// Begin goes on to the events of an envelope, which is not to change while they
// are written. Its record arrived in Kinesis at a time, which is zero if unknown:
// then every event has an index by date.
func (m *Mapper) Begin(envelope *subscription.Envelope, arrived time.Time) {
	m.envelope, m.framed, m.next = envelope, false, 0
	m.window = windowAt(arrived, m.maxAge, m.maxAhead)
	m.rules = m.rules[:0]
	for i := range m.schema.Rules {
		if concerns(&m.schema.Rules[i], envelope) {
			m.rules = append(m.rules, i)
		}
	}
	m.prepared, m.written = m.prepared[:0], 0
}

// Prepare goes on in the envelope for as many documents as take room bytes, one
// at the least if any are left, and tells how many they are and what they take.
// There are more if it had to stop for want of room. Events that a rule drops are
// passed over and counted.
func (m *Mapper) Prepare(room int) (documents, bytes int, more bool) {
	m.prepared, m.written, m.own = m.prepared[:0], 0, m.own[:0]
	for ; m.next < len(m.envelope.Events); m.next++ {
		event := &m.envelope.Events[m.next]
		m.extract.read(event.Message)
		if i, drops := m.dropped(event); drops {
			m.metrics.dropped[i].Inc()
			continue
		}
		m.place(event)
		from := len(m.own)
		lost := m.appendOwn(event)
		size := m.frame.size(event) + len(m.own) - from
		if len(m.prepared) > 0 && bytes+size > room {
			return len(m.prepared), bytes, true
		}
		m.metrics.countLeftOut(m.extract, lost)
		if event.Identical && !m.noIDs {
			m.metrics.identical.Inc()
		}
		if m.outside {
			m.metrics.countOutside(event, &m.window)
		}
		m.prepared = append(m.prepared, prepared{event, len(m.own)})
		bytes += size
	}
	m.extract.letGo()
	return len(m.prepared), bytes, false
}

// maxMatched is how much of a line, in bytes, the pattern of a rule is looked for in.
const maxMatched = 1 << 20

// dropped tells the rule that drops the event at hand.
func (m *Mapper) dropped(event *subscription.Event) (rule int, drops bool) {
	m.message = m.message[:0]
	message := func() []byte {
		if len(m.message) == 0 {
			m.message = subscription.Text(cutLiteral(event.Message, maxMatched)).Append(m.message)
		}
		return m.message
	}
	for _, i := range m.rules {
		if r := &m.schema.Rules[i]; holds(r, m.extract, message) {
			return i, !r.Keep
		}
	}
	return 0, false
}

// Append appends the action and the source line of the next prepared document,
// newlines included. The operation is create under the event's identity, and the
// index is that of the event's own time, or PREFIX-outside, by the arrival of its
// record: an event that is read again meets its own document. Without ids the
// operation is a plain index, and nothing meets. Append returns the
// event as well, which is valid as long as its envelope.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func (m *Mapper) Append(dst []byte) ([]byte, *subscription.Event) {
	from := 0
	if m.written > 0 {
		from = m.prepared[m.written-1].own
	}
	p := m.prepared[m.written]
	m.written++
	m.place(p.event)
	return m.frame.append(dst, &m.hour, p.event, m.own[from:p.own]), p.event
}

// AppendAll begins an envelope of unknown arrival and appends all its documents.
func (m *Mapper) AppendAll(dst []byte, envelope *subscription.Envelope) []byte {
	m.Begin(envelope, time.Time{})
	for more := true; more; {
		var documents int
		for documents, _, more = m.Prepare(preparedBytes); documents > 0; documents-- {
			dst, _ = m.Append(dst)
		}
	}
	return dst
}

// preparedBytes is how much is prepared at a time.
const preparedBytes = 1 << 20

// place goes to the hour of an event, and to its side of the window.
func (m *Mapper) place(event *subscription.Event) {
	outside := !m.window.holds(event)
	if m.framed && m.outside == outside && m.hour.holds(event.Timestamp) {
		return
	}
	m.outside = outside
	if !m.hour.holds(event.Timestamp) {
		m.hour = hourOf(event.Timestamp, m.naming)
	}
	m.build(m.envelope)
	m.framed = true
}

// appendOwn appends the fields that are the event's own, and tells whether the rest
// of its JSON had to be left out.
func (m *Mapper) appendOwn(event *subscription.Event) (lost bool) {
	x := m.extract
	for i := range x.fields {
		switch f := &x.found[i]; {
		case f.rank > 0:
			m.own = append(append(m.own, m.keys[i]...), x.values[f.from:f.to]...)
		case x.fields[i].Origin == schema.FromAccount && event.Account != nil:
			m.own = append(append(m.own, m.keys[i]...), event.Account...)
		case x.fields[i].Origin == schema.FromRegion && event.Region != nil:
			m.own = append(append(m.own, m.keys[i]...), event.Region...)
		}
	}
	if m.schema.Rest != schema.RestNone {
		m.own, lost = m.appendRest(m.own, event.Message)
	}
	return lost
}
