package indexer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// Equal rejected events of a record are a dead letter each.
func TestEqualDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	src := Source{Stream: "s", Shard: "shard", SequenceNumber: "1"}
	mk := func(occurrence int) []byte {
		d := NewDeadLetter(Record{Source: src, Occurrence: occurrence}, StageParse, errors.New("x"), []byte(`{"id":1}`))
		l := ix.writeLetter(part{docs: d, to: 1, form: d.form})
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if bytes.Equal(mk(1), mk(2)) || !bytes.Equal(mk(1), mk(1)) {
		t.Errorf("two rejected events of one record get the ids %s and %s", mk(1), mk(2))
	}
}

func TestDeadLetterOfRedelivery(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop(), Fallback: fallback{}}}
	mk := func(seq string) []byte {
		d := NewDocuments(Source{Stream: "s", Shard: "shard", SequenceNumber: seq}, 100)
		d.Body = append(d.Body, "{\"create\":{\"_index\":\"p-2018-12-10\",\"_id\":\"34622316099697884706540976068822859012661220141643892546\"}}\n{\"message\":\"x\"}\n"...)
		d.Next(0)
		l := ix.writeLetter(part{docs: d, to: 1}.letter(StageIndex, 400, &reason{"t", "r"}))
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if !bytes.Equal(mk("1"), mk("2")) {
		t.Errorf("one event, re-delivered in another record, gets two dead letters: %s %s", mk("1"), mk("2"))
	}
}

// Large dead letters go one at a time, and hold up nothing else.
func TestLargeDeadLetters(t *testing.T) {
	var running, most atomic.Int64
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	fake := &fakeBulk{answer: func(_ http.ResponseWriter, body string) bool {
		if strings.Contains(body, "app-dead-letter") {
			most.Store(max(most.Load(), running.Add(1)))
			<-held
			running.Add(-1)
		}
		return false
	}}
	ix := start(t, fake, func(c *Config) { c.Connections = 8 })
	put(t, ix, record(ix, 0, 10), record(ix, 100, 10)) // more than one connection is allowed after it
	const letters = 8
	var done sync.WaitGroup
	done.Add(letters)
	for i := range letters {
		letter := NewDeadLetter(Record{Occurrence: i}, StageParse, io.EOF, []byte(strings.Repeat("x", largeForm)))
		if err := ix.Put(t.Context(), letter, 0, func(bool) { done.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	put(t, ix, record(ix, 200, 10)) // while the first letter is under way
	release()
	wait(t, &done)
	if n := len(fake.documents()); n != 30+letters || most.Load() != 1 {
		t.Errorf("%d documents, %d requests with letters at once", n, most.Load())
	}
}

// Text whose escapes would take many times its bytes is kept in base64: what is
// written is no more than what it is taken for.
func TestSizeOfDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	f := func(name, unit, encoding string) {
		t.Helper()
		docs := NewDeadLetter(Record{}, StageParse, io.EOF, []byte(strings.Repeat(unit, 1<<20)))
		p := part{docs: docs, to: 1, form: docs.form}
		written := ix.writeLetter(p)
		var letter letterKept
		_, source, _ := bytes.Cut(written, []byte{'\n'})
		if err := json.Unmarshal(source, &letter); err != nil || letter.Encoding != encoding || len(written) > p.size() {
			t.Errorf("%s: %q, %d bytes written for a size of %d, %v", name, letter.Encoding, len(written), p.size(), err)
		}
	}
	f("text", "text", "text")
	f("quotes", `"`, "text")
	f("line ends", "\n", "text")
	f("line separators", "\u2028", "text")
	f("some control characters", "color \x1b[0m", "text")
	f("separators and control characters", "\u2028\u2028\x01", "base64")
	f("control characters", "\x01", "base64")
	f("no text", "\xff", "base64")
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
