package indexer

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"logsluice/indexer/deadletter"
)

// Each document has the origin and the extra members of its own event, in its set and in
// a set to which it was copied.
func TestFacts(t *testing.T) {
	type of struct{ owner, group, stream, extras string }
	all := []of{
		{"", "", "", ""}, {`"1"`, `"g"`, `"s"`, ""}, {`"1"`, `"g"`, `"s"`, `,"a":1,"b":2`}, {`"2"`, `"g"`, `"s"`, `,"c":3`},
		{`"2"`, `"h"`, `"s"`, ""}, {`"2"`, `"h"`, `"t"`, `,"d":4`}, {`"2"`, `"h"`, `"t"`, ""},
	}
	docs := NewDocuments(Source{}, 0)
	for i, o := range all {
		if o.owner != "" {
			docs.From(Origin{[]byte(o.owner), []byte(o.group), []byte(o.stream)})
		}
		switch o.extras {
		case "":
		case `,"a":1,"b":2`:
			docs.Extra("a", []byte("1"))
			docs.Extra("b", []byte("2"))
		default:
			docs.Extra(o.extras[2:3], []byte(o.extras[5:]))
		}
		docs.Body = append(docs.Body, "{}\n{}\n"...)
		docs.Next(i)
	}
	copied := NewDocuments(Source{}, 0)
	for i := range all {
		copied.copyDocument(docs, i)
	}
	for name, docs := range map[string]*Documents{"set": docs, "copy": copied} {
		for i, o := range all {
			origin := docs.eventData.originOf(i)
			if got := (of{string(origin.Owner), string(origin.LogGroup), string(origin.LogStream), string(docs.eventData.extraOf(i))}); got != o || (origin.LogGroup == nil) != (o.owner == "") {
				t.Errorf("%s: document %d: %+v, want %+v", name, i, got, o)
			}
		}
		if n, m := len(docs.eventData.origins), len(docs.eventData.extras); n != 4 || m != 3 {
			t.Errorf("%s: %d origins and %d extras are kept", name, n, m)
		}
	}
	if at := milliseconds([]byte(`"yesterday"`)); at != nil {
		t.Errorf("an invalid time is written as %s", at)
	}
}

// Dead letters from different places of a stream have different ids, even if the
// concatenated names of these places are equal.
func TestIDsOfDeadLetters(t *testing.T) {
	ix := &Indexer{cfg: Config{Fallback: testFallback{}}}
	ids := make(map[string]string)
	for _, s := range []Source{{Stream: "s", Shard: "12", SequenceNumber: "3"}, {Stream: "s1", Shard: "2", SequenceNumber: "3"}, {Stream: "s", Shard: "1", SequenceNumber: "23"}} {
		docs := NewDeadLetter(Record{Source: s}, deadletter.StageParse, errors.New("bad"), []byte("x"))
		id, _, _ := ix.letterOf(part{docs: docs, to: 1, fallback: docs.fallback})
		if other, known := ids[id]; known {
			t.Errorf("%+v has the id of %s", s, other)
		}
		ids[id] = fmt.Sprint(s)
	}
}

// A dead letter without a known reason has an empty error and its event as text. If
// OpenSearch does not accept the text, the event is encoded as base64.
func TestLetterOfADocument(t *testing.T) {
	ix := &Indexer{cfg: Config{Fallback: testFallback{}}}
	p := part{docs: record(nil, 0, 1), to: 1}.letter(deadletter.StageBlocked, 0, nil)
	if dead, _ := ix.unsentLetter(p); dead.PayloadEncoding != deadletter.EncodingText || dead.Cause != (deadletter.Cause{}) {
		t.Errorf("%+v", dead)
	}
	p.fallback.asBase64 = true
	if dead, _ := ix.unsentLetter(p); dead.PayloadEncoding != deadletter.EncodingBase64 {
		t.Errorf("%+v", dead)
	}
	p.fallback.keep = 6
	if line := ix.letterLines(p); !bytes.Contains(line, []byte(`"payload_truncated":true,"payload":"eyJfaWQi"}`)) {
		t.Errorf("cut: %s", line)
	}
	large := NewDocuments(Source{}, 0)
	large.Body = make([]byte, deadletter.MaxPayload+1)
	large.Next(0)
	if keep := (part{docs: large, to: 1}).letter(deadletter.StageIndex, 400, nil).fallback.keep; keep != deadletter.MaxPayload {
		t.Errorf("%d bytes are kept", keep)
	}
}

// Of an event that is larger than is kept, the beginning is returned, without a part of a rune.
func TestBeginningOfAnEvent(t *testing.T) {
	ix := &Indexer{cfg: Config{Fallback: testFallback{}}}
	p := part{docs: record(nil, 0, 1), to: 1}
	whole, size := ix.event(p, 1<<10)
	if size != len(whole) {
		t.Errorf("%d bytes for %d", size, len(whole))
	}
	for keep := range whole {
		if got, of := ix.event(p, keep); of != size || !bytes.Equal(got, whole[:keep]) {
			t.Errorf("%d bytes kept: %q of %d", keep, got, of)
		}
	}
	for text, want := range map[string]string{"": "", "ab": "ab", "aé": "aé", "a\xc3": "a", "a\xe6\x97": "a", "日": "日", "\xf0\x9f\x98": ""} {
		if got := string(withoutCutRune([]byte(text))); got != want {
			t.Errorf("%q is cut to %q", text, got)
		}
	}
}

// An event has its id once: the event's own, and its document's if it has one.
func TestIDsOfEvents(t *testing.T) {
	ix := &Indexer{cfg: Config{Fallback: testFallback{}}}
	f := func(action, own, want string) {
		t.Helper()
		docs := NewDocuments(Source{}, 0)
		if own != "" {
			docs.Extra("id", []byte(own))
		}
		docs.Body = append(docs.Body, action+"\n{\"message\":\"m\"}\n"...)
		docs.Next(0)
		if got, _ := ix.event(part{docs: docs, to: 1}, 1<<10); string(got) != want+`"timestamp":1544400000000,"message":"m","position":0}` {
			t.Errorf("%s, %s: %s", action, own, got)
		}
	}
	f(`{"create":{"_index":"i","_id":"7"}}`, "", `{"_id":"7","id":"7",`)
	f(`{"create":{"_index":"i","_id":"7"}}`, `"8"`, `{"_id":"7","id":"8",`)
	f(`{"index":{"_index":"i"}}`, "", `{`)
}
