package loggen

import (
	"bytes"
	"encoding/json"

	"github.com/klauspost/compress/gzip"
)

// Record is one record of the stream, as data and as what the data says.
type Record struct {
	// Data is the gzip of the envelope, as GetRecords gives it.
	Data []byte
	// PartitionKey is the same for all records of a log stream.
	PartitionKey string
	// Control marks a record that tries the connection. It has one event, which
	// is no log event: its id is empty, and so are log group and stream.
	Control bool
	// Owner is the account, of 12 digits.
	Owner     string
	LogGroup  string
	LogStream string
	// Filters are the names of the subscription filters.
	Filters []string
	// Events are in order of time.
	Events []Event
}

// Event is a log event of a record.
type Event struct {
	// ID is a number of 56 decimal digits, greater than that of every event
	// before.
	ID string `json:"id"`
	// Timestamp is in Unix milliseconds.
	Timestamp int64 `json:"timestamp"`
	// Message is valid UTF-8, never empty, of at most 20 KiB.
	Message string `json:"message"`
}

// envelope has the keys in the order in which CloudWatch Logs writes them.
type envelope struct {
	MessageType string   `json:"messageType"`
	Owner       string   `json:"owner"`
	LogGroup    string   `json:"logGroup"`
	LogStream   string   `json:"logStream"`
	Filters     []string `json:"subscriptionFilters"`
	Events      []Event  `json:"logEvents"`
}

// encoder makes the data of records; its buffers are used again.
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

// encode gives the record's data. Nothing in it can fail: it encodes strings
// and numbers, and writes to memory.
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
	e.gzip.OS = 0 // as Java writes it
	_, _ = e.gzip.Write(e.plain.Bytes())
	_ = e.gzip.Close()
	return bytes.Clone(e.packed.Bytes())
}
