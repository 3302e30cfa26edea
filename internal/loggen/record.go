package loggen

import (
	"bytes"
	"encoding/json"

	"github.com/klauspost/compress/gzip"
)

// Record is one record of the stream, encoded and decoded.
type Record struct {
	// Data is the gzip of the envelope, as GetRecords returns it.
	Data []byte
	// PartitionKey is the same for all records of a log stream.
	PartitionKey string
	// Control is set for a record that tests the connection. Its one event is not a log
	// event: the id, log group and log stream are empty.
	Control bool
	// Owner is the account, 12 digits.
	Owner     string
	LogGroup  string
	LogStream string
	// Filters are the names of the subscription filters.
	Filters []string
	// Events are ordered by time.
	Events []Event
}

// Event is a log event of a record.
type Event struct {
	// ID is a number of 56 decimal digits, greater than those of all earlier events.
	ID string `json:"id"`
	// Timestamp is in Unix milliseconds.
	Timestamp int64 `json:"timestamp"`
	// Message is valid UTF-8 of 1 byte to 20 KiB.
	Message string `json:"message"`
}

// envelope has the keys in the order of CloudWatch Logs.
type envelope struct {
	MessageType string   `json:"messageType"`
	Owner       string   `json:"owner"`
	LogGroup    string   `json:"logGroup"`
	LogStream   string   `json:"logStream"`
	Filters     []string `json:"subscriptionFilters"`
	Events      []Event  `json:"logEvents"`
}

// encoder encodes records and reuses its buffers.
type encoder struct {
	plain, packed bytes.Buffer
	json          *json.Encoder
	gzip          *gzip.Writer
}

func newEncoder() *encoder {
	e := new(encoder)
	e.json = json.NewEncoder(&e.plain)
	e.json.SetEscapeHTML(false)
	e.gzip = gzip.NewWriter(&e.packed)
	return e
}

// encode returns the record's data. It cannot fail: it encodes strings and numbers, and
// writes to memory.
func (e *encoder) encode(r *Record) []byte {
	messageType := "DATA_MESSAGE"
	if r.Control {
		messageType = "CONTROL_MESSAGE"
	}
	e.plain.Reset()
	_ = e.json.Encode(envelope{messageType, r.Owner, r.LogGroup, r.LogStream, r.Filters, r.Events})
	e.plain.Truncate(e.plain.Len() - 1) // the encoder's newline

	e.packed.Reset()
	e.gzip.Reset(&e.packed)
	e.gzip.OS = 0 // as in gzip written by Java
	_, _ = e.gzip.Write(e.plain.Bytes())
	_ = e.gzip.Close()
	return bytes.Clone(e.packed.Bytes())
}
