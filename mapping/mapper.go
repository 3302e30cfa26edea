package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"logsluice/subscription"
)

// maxPrefix leaves room for the date within the 255 bytes of an index name.
const maxPrefix = 200

// Config says where the documents go and in which timezone their day is.
type Config struct {
	// Prefix begins every index name: PREFIX-2018-12-10.
	Prefix string
	// Zone decides the day an event belongs to and the offset its timestamp is
	// written with.
	Zone *time.Location
	// Schema lists the fields of a document.
	Schema Schema
	// NoIDs leaves ids to OpenSearch, for time-series collections of Serverless,
	// which take none: a re-delivered event then becomes a second document.
	// See https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-overview.html.
	NoIDs bool
}

// Mapper writes log events as the two lines of a bulk request that make their
// documents. It remembers the envelope and the hour it is in, so it is not safe
// for concurrent use: each goroutine has a Clone.
type Mapper struct {
	prefix string
	zone   *time.Location
	fields Schema   // all of them
	schema Schema   // the fields that every document has
	keys   [][]byte // `{"@timestamp":`, `,"message":`, …
	action []byte   // the action line up to the day
	noIDs  bool

	envelope *subscription.Envelope // that the events are of
	hour     hour                   // of the event at hand
	frame    frame                  // of both
	framed   bool                   // the frame is made
}

// New checks the configuration and prepares the mapper.
func New(cfg Config) (*Mapper, error) {
	if err := checkPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	if cfg.Zone == nil || len(cfg.Schema) == 0 {
		return nil, errors.New("a mapper needs a timezone and a schema")
	}
	m := &Mapper{
		prefix: cfg.Prefix,
		zone:   cfg.Zone,
		fields: cfg.Schema,
		noIDs:  cfg.NoIDs,
	}
	operation := "create"
	if cfg.NoIDs {
		operation = "index"
	}
	m.action = []byte(`{"` + operation + `":{"_index":"` + cfg.Prefix + `-`)
	separator := "{"
	for _, field := range cfg.Schema {
		if field.frame == nil {
			continue
		}
		m.schema = append(m.schema, field)
		m.keys = append(m.keys, []byte(separator+`"`+field.Name+`":`))
		separator = ","
	}
	return m, nil
}

// Clone makes a mapper for another goroutine.
func (m *Mapper) Clone() *Mapper {
	clone := *m
	clone.frame, clone.framed = frame{}, false
	return &clone
}

// Begin goes on to the events of an envelope, which is not to change while they
// are written. It comes before Size and Append.
func (m *Mapper) Begin(envelope *subscription.Envelope) { m.envelope, m.framed = envelope, false }

// Size is how many bytes Append appends for an event.
func (m *Mapper) Size(event *subscription.Event) int {
	m.place(event)
	return m.frame.size(event)
}

// Append appends the action and the source line of one log event, newlines
// included. The operation is create under the event's identity, and the index
// is that of the event's own day, so that a re-delivered event meets its own
// document. Without ids it is a plain index, and nothing meets.
// See https://docs.opensearch.org/latest/api-reference/document-apis/bulk/.
func (m *Mapper) Append(dst []byte, event *subscription.Event) []byte {
	m.place(event)
	return m.frame.append(dst, &m.hour, event)
}

// place goes to the hour of an event.
func (m *Mapper) place(event *subscription.Event) {
	if m.framed && m.hour.holds(event.Timestamp) {
		return
	}
	if !m.hour.holds(event.Timestamp) {
		m.hour = hourOf(event.Timestamp, m.zone)
	}
	m.build(m.envelope)
	m.framed = true
}

// checkPrefix holds a prefix against the rules for index names, so that a
// wrong one is told at start and not by each bulk request.
// See https://docs.opensearch.org/latest/api-reference/index-apis/create-index/.
func checkPrefix(prefix string) error {
	switch {
	case prefix == "":
		return errors.New("the index prefix is empty")
	case len(prefix) > maxPrefix:
		return fmt.Errorf("the index prefix is %d bytes long; at most %d are possible", len(prefix), maxPrefix)
	case !utf8.ValidString(prefix):
		return fmt.Errorf("the index prefix %q is not valid UTF-8", prefix)
	case strings.ToLower(prefix) != prefix:
		return fmt.Errorf("the index prefix %q has uppercase letters; OpenSearch takes lowercase only", prefix)
	case strings.HasPrefix(prefix, "-") || strings.HasPrefix(prefix, "_") || strings.HasPrefix(prefix, "+") || strings.HasPrefix(prefix, "."):
		return fmt.Errorf("the index prefix %q begins with one of - _ + . ; begin it with a letter or a digit", prefix)
	}
	for _, r := range prefix {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`\/*?"<>|,#:`, r) {
			return fmt.Errorf("the index prefix %q contains %q, which an index name cannot have", prefix, r)
		}
	}
	return nil
}
