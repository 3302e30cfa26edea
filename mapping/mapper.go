package mapping

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// Config is what documents contain and where they go.
type Config struct {
	// Naming names the indices. Its timezone also applies to timestamps.
	Naming schema.Naming
	// MaxAge and MaxAhead bound how far an event's time may be before and after its arrival
	// in Kinesis. Others go to PREFIX-outside. 0 means no limit. A data stream, which has
	// one index for all times, ignores both.
	MaxAge, MaxAhead time.Duration
	// Schema is the schema of documents, or nil for the built-in default.
	Schema *schema.Schema
	// NoIDs lets OpenSearch choose ids, for time-series collections of Serverless, which
	// do not accept any. A re-delivered event then becomes a second document.
	// See https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-overview.html.
	NoIDs bool
	// Registry is where metrics are registered, or nil.
	Registry prometheus.Registerer
}

// Mapper writes log events as the two lines of a bulk request that create their
// documents. It keeps the current envelope and hour, so it is not safe for concurrent
// use: each goroutine needs a Clone.
type Mapper struct {
	naming   schema.Naming
	schema   *schema.Schema
	noIDs    bool
	maxAge   time.Duration
	maxAhead time.Duration
	metrics  *metrics
	keys     [][]byte // keys of the schema's fields: `,"level":`, …
	action   []byte   // the action line up to the date
	extract  *extractor

	envelope    *subscription.Envelope // the current envelope
	next        int                    // index of its first event that is not prepared
	rules       []int                  // rules that apply to it
	window      window                 // window of its record
	hour        hour                   // of the current event
	outside     bool                   // whether the current event is outside the window
	layout      layout                 // layout for the envelope, hour and side of the window
	hasLayout   bool                   // whether layout is valid
	origins     map[string][]byte      // cached fields by owner, log group and log stream
	origin      []byte                 // the envelope's key in origins
	originBytes int                    // bytes in origins

	prepared []prepared
	written  int    // number of prepared events already written
	fields   []byte // fields of the prepared events
	message  []byte // message of the current event, decoded for rules
}

// prepared is an event that becomes a document.
type prepared struct {
	event     *subscription.Event
	fieldsEnd int // end of its fields in Mapper.fields
}

// New returns a mapper, or an error if the configuration is invalid.
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
		origins:  map[string][]byte{},
	}
	dialects, err := schema.Dialects()
	if err != nil {
		return nil, fmt.Errorf("read the dialects: %w", err)
	}
	m.extract = newExtractor(cfg.Schema, dialects)
	if m.metrics, err = newMetrics(cfg.Schema, cfg.Registry); err != nil {
		return nil, err
	}
	operation := "create"
	if cfg.NoIDs && !cfg.Naming.DataStream { // data streams accept only create
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

// Clone returns a mapper for another goroutine.
func (m *Mapper) Clone() *Mapper {
	clone := *m
	clone.layout, clone.hasLayout = layout{}, false
	clone.extract = m.extract.clone()
	clone.origins, clone.origin, clone.originBytes = map[string][]byte{}, nil, 0
	clone.rules, clone.prepared, clone.fields, clone.message = nil, nil, nil, nil
	return &clone
}

// Begin starts with the events of an envelope, which must not change while they are
// written. arrived is when its record arrived in Kinesis. If it is zero, every event goes
// to an index by date.
func (m *Mapper) Begin(envelope *subscription.Envelope, arrived time.Time) {
	m.envelope, m.hasLayout, m.next = envelope, false, 0
	m.window = windowAt(arrived, m.maxAge, m.maxAhead)
	m.rules = m.rules[:0]
	for i := range m.schema.Rules {
		if appliesTo(&m.schema.Rules[i], envelope) {
			m.rules = append(m.rules, i)
		}
	}
	m.prepared, m.written = m.prepared[:0], 0
}

// Prepare prepares the next documents of the envelope: as many as fit into room bytes,
// but at least one if any are left. It returns their number and size. more reports
// whether it stopped because of room. Events dropped by a rule are skipped and counted.
func (m *Mapper) Prepare(room int) (documents, bytes int, more bool) {
	m.prepared, m.written, m.fields = m.prepared[:0], 0, m.fields[:0]
	for ; m.next < len(m.envelope.Events); m.next++ {
		event := &m.envelope.Events[m.next]
		m.extract.read(event.Message)
		if i, drops := m.dropped(event); drops {
			m.metrics.dropped[i].Inc()
			continue
		}
		m.place(event)
		from := len(m.fields)
		lost := m.appendFields(event)
		size := m.layout.size(event) + len(m.fields) - from
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
		m.prepared = append(m.prepared, prepared{event, len(m.fields)})
		bytes += size
	}
	m.extract.releaseBuffers()
	return len(m.prepared), bytes, false
}

// maxMatched is how many bytes of a line are matched against the pattern of a rule.
const maxMatched = 1 << 20

// dropped returns the rule that drops the event, if any.
func (m *Mapper) dropped(event *subscription.Event) (rule int, drops bool) {
	m.message = m.message[:0]
	message := func() []byte {
		if len(m.message) == 0 {
			m.message = subscription.Text(cutLiteral(event.Message, maxMatched)).Append(m.message)
		}
		return m.message
	}
	for _, i := range m.rules {
		if r := &m.schema.Rules[i]; matches(r, m.extract, message) {
			return i, !r.Keep
		}
	}
	return 0, false
}

// Append appends the action and the source line of the next prepared document, including
// newlines. It also returns the event, which is valid as long as its envelope. Documents
// are created under the event's id, in the index of the event's date or in PREFIX-outside.
// Both depend only on the event and its record's arrival, so an event that is read again
// gets the same id and index. Without ids, duplicates are not detected.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func (m *Mapper) Append(dst []byte) ([]byte, *subscription.Event) {
	from := 0
	if m.written > 0 {
		from = m.prepared[m.written-1].fieldsEnd
	}
	p := m.prepared[m.written]
	m.written++
	m.place(p.event)
	return m.layout.append(dst, &m.hour, p.event, m.fields[from:p.fieldsEnd]), p.event
}

// AppendAll begins an envelope of unknown arrival and appends all of its documents.
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

// preparedBytes is how many bytes AppendAll prepares at a time.
const preparedBytes = 1 << 20

// place sets the hour and the side of the window of an event.
func (m *Mapper) place(event *subscription.Event) {
	outside := !m.window.contains(event)
	if m.hasLayout && m.outside == outside && m.hour.contains(event.Timestamp) {
		return
	}
	m.outside = outside
	if !m.hour.contains(event.Timestamp) {
		m.hour = hourOf(event.Timestamp, m.naming)
	}
	m.build(m.envelope)
	m.hasLayout = true
}

// appendFields appends the fields that depend on the event. lost reports whether the rest
// of its JSON had to be left out.
func (m *Mapper) appendFields(event *subscription.Event) (lost bool) {
	x := m.extract
	for i := range x.fields {
		switch f := &x.found[i]; {
		case f.rank > 0:
			m.fields = append(append(m.fields, m.keys[i]...), x.values[f.from:f.to]...)
		case x.fields[i].Origin == schema.FromAccount && event.Account != nil:
			m.fields = append(append(m.fields, m.keys[i]...), event.Account...)
		case x.fields[i].Origin == schema.FromRegion && event.Region != nil:
			m.fields = append(append(m.fields, m.keys[i]...), event.Region...)
		}
	}
	if m.schema.Rest != schema.RestNone {
		m.fields, lost = m.appendRest(m.fields, event.Message)
	}
	return lost
}
