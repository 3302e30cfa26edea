package indexer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// Equal rejected events of a record are a dead letter each.
func TestEqualDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	src := Source{Stream: "s", Shard: "shard", SequenceNumber: "1"}
	mk := func(occurrence int) []byte {
		d := ix.NewDeadLetter(Record{Source: src, Occurrence: occurrence}, StageParse, errors.New("x"), []byte(`{"id":1}`))
		l := ix.writeLetter(part{docs: d, to: 1, form: d.form})
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if bytes.Equal(mk(1), mk(2)) || !bytes.Equal(mk(1), mk(1)) {
		t.Errorf("two rejected events of one record get the ids %s and %s", mk(1), mk(2))
	}
}

func TestDeadLetterOfRedelivery(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	mk := func(seq string) []byte {
		d := NewDocuments(Source{Stream: "s", Shard: "shard", SequenceNumber: seq}, 100)
		d.Body = append(d.Body, "{\"create\":{\"_index\":\"p-2018-12-10\",\"_id\":\"34622316099697884706540976068822859012661220141643892546\"}}\n{\"message\":\"x\"}\n"...)
		d.Next()
		p := part{docs: d, to: 1}
		l := ix.writeLetter(p.formOf(letterOf(p, 400, itemError{Type: "t", Reason: "r"})))
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if !bytes.Equal(mk("1"), mk("2")) {
		t.Errorf("one event, re-delivered in another record, gets two dead letters: %s %s", mk("1"), mk("2"))
	}
}

// Large dead letters are written and sent one at a time.
func TestLargeDeadLetters(t *testing.T) {
	var running, most atomic.Int64
	fake := &fakeBulk{answer: func(http.ResponseWriter, string) bool {
		most.Store(max(most.Load(), running.Add(1)))
		time.Sleep(50 * time.Millisecond)
		running.Add(-1)
		return false
	}}
	ix := start(t, fake, func(c *Config) { c.Connections = 8 })
	var letters []*Documents
	for i := range 8 {
		letters = append(letters, ix.NewDeadLetter(Record{Occurrence: i}, StageParse, io.EOF, []byte(strings.Repeat("x", largeForm))))
	}
	put(t, ix, letters...)
	if n := len(fake.documents()); n != 8 || most.Load() != 1 {
		t.Errorf("%d dead letters, %d requests at once", n, most.Load())
	}
}

// A payload is escaped by pieces, none of which ends within a rune; that the
// payload does is no matter.
func TestAppendEscaped(t *testing.T) {
	whole := strings.Repeat("\U0001F600\"\\\n\x01<\u2028é", 20_000)
	for pad := range 4 {
		want := strings.Repeat("x", pad) + whole
		for _, cut := range []string{"", "\xf0\x9f\x98", "\xc3"} {
			var got string
			escaped := appendEscaped([]byte{'"'}, []byte(want+cut))
			if err := json.Unmarshal(append(escaped, '"'), &got); err != nil || got != want {
				t.Errorf("behind %d bytes, with %q at its end: %d bytes of %d, %v", pad, cut, len(got), len(want), err)
			}
		}
	}
}
