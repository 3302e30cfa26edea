package indexer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"logsluice/indexer/deadletter"
)

// Each of several equal rejected events of a record gets a dead letter.
func TestEqualDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	src := Source{Stream: "s", Shard: "shard", SequenceNumber: "1"}
	mk := func(occurrence int) []byte {
		d := NewDeadLetter(Record{Source: src, Occurrence: occurrence}, deadletter.StageParse, errors.New("x"), []byte(`{"id":1}`))
		l := ix.letterLines(part{docs: d, to: 1, fallback: d.fallback})
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if bytes.Equal(mk(1), mk(2)) || !bytes.Equal(mk(1), mk(1)) {
		t.Errorf("two rejected events of one record get the ids %s and %s", mk(1), mk(2))
	}
}

func TestDeadLetterOfRedelivery(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop(), Fallback: testFallback{}}}
	mk := func(seq string) []byte {
		d := NewDocuments(Source{Stream: "s", Shard: "shard", SequenceNumber: seq}, 100)
		d.Body = append(d.Body, "{\"create\":{\"_index\":\"p-2018-12-10\",\"_id\":\"34622316099697884706540976068822859012661220141643892546\"}}\n{\"message\":\"x\"}\n"...)
		d.Next(0)
		l := ix.letterLines(part{docs: d, to: 1}.letter(deadletter.StageIndex, 400, &reason{"t", "r"}))
		a, _, _ := bytes.Cut(l, []byte("\n"))
		return a
	}
	if !bytes.Equal(mk("1"), mk("2")) {
		t.Errorf("one event, re-delivered in another record, gets two dead letters: %s %s", mk("1"), mk("2"))
	}
}

// Large dead letters are sent one at a time and do not delay other documents.
func TestLargeDeadLetters(t *testing.T) {
	var running, most atomic.Int64
	blocked := make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	fake := &fakeBulk{answer: func(_ http.ResponseWriter, body string) bool {
		if strings.Contains(body, "app-dead-letter") {
			most.Store(max(most.Load(), running.Add(1)))
			<-blocked
			running.Add(-1)
		}
		return false
	}}
	ix := start(t, fake, func(c *Config) { c.Connections = 8 })
	put(t, ix, record(ix, 0, 10), record(ix, 100, 10)) // then more than one connection is allowed
	const letters = 8
	var done sync.WaitGroup
	done.Add(letters)
	for i := range letters {
		letter := NewDeadLetter(Record{Occurrence: i}, deadletter.StageParse, io.EOF, []byte(strings.Repeat("x", largeFallbackSize)))
		if err := ix.Put(t.Context(), letter, 0, func(bool) { done.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	put(t, ix, record(ix, 200, 10)) // while the first letter is being sent
	release()
	wait(t, &done)
	if n := len(fake.documents()); n != 30+letters || most.Load() != 1 {
		t.Errorf("%d documents, %d concurrent requests with letters", n, most.Load())
	}
}

// Text whose escapes would take many times its size is encoded as base64, so that no more
// is written than the size estimated for it.
func TestSizeOfDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Prefix: "p", Log: zerolog.Nop()}}
	f := func(name, unit, encoding string) {
		t.Helper()
		docs := NewDeadLetter(Record{}, deadletter.StageParse, io.EOF, []byte(strings.Repeat(unit, 1<<20)))
		p := part{docs: docs, to: 1, fallback: docs.fallback}
		encode := ix.letterLines(p)
		var letter deadletter.Letter
		_, source, _ := bytes.Cut(encode, []byte{'\n'})
		if err := json.Unmarshal(source, &letter); err != nil || letter.PayloadEncoding != encoding || len(encode) > p.size() {
			t.Errorf("%s: %q, %d bytes written for a size of %d, %v", name, letter.PayloadEncoding, len(encode), p.size(), err)
		}
	}
	f("text", "text", "text")
	f("quotes", `"`, "text")
	f("line ends", "\n", "text")
	f("line separators", "\u2028", "text")
	f("some control characters", "color \x1b[0m", "text")
	f("separators and control characters", "\u2028\u2028\x01", "base64")
	f("control characters", "\x01", "base64")
	f("not text", "\xff", "base64")
}

// writerStore writes letters to a writer.
type writerStore struct{ to io.Writer }

func (w writerStore) Put(_ context.Context, at time.Time, name string, lines []byte) error {
	_, err := fmt.Fprintf(w.to, "%s %s\n%s", at.Format(time.RFC3339), name, lines)
	return err
}

// The format of dead letters is stable: their ids, their members in order, and the lines
// of the store. Readers of letters from earlier versions depend on it, and a letter with
// another id would be duplicated by a re-delivery.
func TestDeadLetterLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 15, 1, 2, 3, 456789000, time.UTC)
	source := Source{Stream: "stream", Shard: "shardId-000000000001", SequenceNumber: "7", Arrived: at}
	ofRecord := func(stage, text string, payload []byte) part {
		d := NewDeadLetter(Record{Source: source, LogGroup: "/g<a>", LogStream: "s", Occurrence: 2}, stage, errors.New(text), payload)
		d.fallback.letter.Time = at
		return part{docs: d, to: 1, fallback: d.fallback}
	}
	ofDocument := func(stage string, status int, why *reason) part {
		d := NewDocuments(source, 100)
		d.From(Origin{Owner: []byte(`"1"`), LogGroup: []byte(`"/g\""`), LogStream: []byte(`"s"`)})
		d.Extra("id", []byte("7"))
		d.Body = append(d.Body, `{"create":{"_index":"p-2026-01-15","_id":"38"}}`+"\n"+`{"@timestamp":"2026-01-15T01:02:03.456Z","message":"a\nb <é> \u0001"}`+"\n"...)
		d.Next(3)
		p := part{docs: d, to: 1}.letter(stage, status, why)
		p.fallback.at = at.UnixNano()
		return p
	}
	cut := ofRecord(deadletter.StageParse, "x", []byte("a\"b\u00e9"))
	cut.fallback.keep = 4
	parts := []part{
		ofRecord(deadletter.StageInflate, "gzip: <invalid> header", []byte("\xff\xfe\x00")),
		ofRecord(deadletter.StageParse, "an event without a time", []byte("{\"a\":\"\\u00e9\u2028\x01</b>\"}")),
		cut,
		ofDocument(deadletter.StageIndex, 400, &reason{"mapper_parsing_exception", "failed to parse field [took]"}),
		ofDocument(deadletter.StageBlocked, 0, nil),
	}
	var got bytes.Buffer
	for _, noIDs := range []bool{false, true} {
		ix := start(t, &fakeBulk{}, func(c *Config) { c.Prefix, c.NoIDs, c.Store = "p", noIDs, writerStore{&got} })
		for _, p := range parts {
			got.Write(ix.letterLines(p))
		}
		ix.putIntoStore(parts)
	}
	want, err := os.ReadFile("testdata/deadletters.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("written:\n%s\nwant\n%s", &got, want)
	}
}
