package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"logsluice/indexer/deadletter"
	"logsluice/internal/loggen"
	"logsluice/local/inspect"
	"logsluice/local/localtest"
)

// letters returns the dead letters.
func (c *cluster) letters() (all []deadletter.Letter) {
	c.t.Helper()
	index := deadletter.Index(c.prefix)
	c.count(index) // refreshes
	err := inspect.Each(c.t.Context(), c.search, index, func(d inspect.Document) {
		var l deadletter.Letter
		if err := json.Unmarshal(d.Source, &l); err != nil {
			c.t.Error(err)
		}
		all = append(all, l)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// event puts a record with a single event.
func (s *sink) event(logStream, message string) loggen.Event {
	s.t.Helper()
	e := loggen.Event{ID: fmt.Sprintf("9%055d", s.produced), Timestamp: noon, Message: message}
	envelope, _ := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "owner": "o", "logGroup": "g", "logStream": logStream, "logEvents": []loggen.Event{e}})
	if err := s.putEvents("k", localtest.Gzip(envelope), []loggen.Event{e}); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// document returns the document of an event.
func (s *sink) document(e loggen.Event) (source map[string]json.RawMessage) {
	s.t.Helper()
	var answer struct {
		Source map[string]json.RawMessage `json:"_source"`
	}
	if err := inspect.Ask(s.t.Context(), s.search, http.MethodGet, "/"+s.index(e)+"/_doc/"+e.ID, "", &answer); err != nil {
		s.t.Errorf("event %s: %v", e.ID, err)
	}
	return answer.Source
}

// fields checks which fields a document has.
func (s *sink) fields(source map[string]json.RawMessage, want ...string) {
	s.t.Helper()
	if got := slices.Sorted(maps.Keys(source)); !slices.Equal(got, want) {
		s.t.Errorf("a document has the fields %v, want %v", got, want)
	}
}

// minimal checks that an event has a dead letter, and a document with the given fields and the
// beginning of its text.
func (s *sink) minimal(e loggen.Event, truncated bool, fields ...string) {
	s.t.Helper()
	source := s.document(e)
	s.fields(source, fields...)
	const limit = 32766 // maximum bytes of a term
	var text string
	if err := json.Unmarshal(source["message"], &text); err != nil {
		s.t.Errorf("minimal document: %v", err)
	}
	want := e.Message[:min(len(e.Message), limit)]
	for !utf8.ValidString(want) {
		want = want[:len(want)-1]
	}
	if text != want {
		s.t.Errorf("the minimal document has %d bytes of the text, want %d", len(text), len(want))
	}
	e.Message = want
	s.expected[e.ID] = e // for found

	for _, l := range s.letters() {
		if l.TargetID != e.ID {
			continue
		}
		if l.Stage != deadletter.StageIndex || l.TargetIndex != s.index(e) || l.LogGroup != "g" || l.LogStream == "" || l.Cause.Type == "" || l.Cause.Reason == "" ||
			l.Stream != "s" || l.Shard == "" || l.SequenceNumber == "" || l.PayloadTruncated != truncated || l.PayloadBytes < len(e.Message) {
			l.Payload = ""
			s.t.Errorf("the dead letter: %+v", l)
		}
		var payload struct{ Message string }
		whole := json.Unmarshal([]byte(l.Payload), &payload) == nil && strings.HasPrefix(payload.Message, want)
		if !truncated && !whole || truncated && (l.Payload == "" || len(l.Payload) >= l.PayloadBytes) {
			s.t.Errorf("the dead letter has %d bytes of %d", len(l.Payload), l.PayloadBytes)
		}
		return
	}
	s.t.Errorf("event %s has no dead letter", e.ID)
}

// finishWith waits until all events are found and the dead letters exist, stops the worker, and
// checks leases and checkpoints.
func (s *sink) finishWith(letters int) {
	s.t.Helper()
	s.indexed()
	s.eventually("the dead letters exist", func() bool { return s.count(deadletter.Index(s.prefix)) >= letters })
	s.w.stop()
	s.check()
	s.passed()
	if n := len(s.letters()); n != letters {
		s.t.Errorf("%d dead letters, want %d", n, letters)
	}
	if n := s.w.total("dead_letters"); n != float64(letters) {
		s.t.Errorf("%.0f dead letters were counted, want %d", n, letters)
	}
}

// all checks that every event is found with the expected text.
func (s *sink) all() {
	s.t.Helper()
	if n := s.found(); n != len(s.expected) {
		s.t.Errorf("%d events found of %d", n, len(s.expected))
	}
}

// If the mapping of an index refuses documents, each event is still found, in a form that the
// mapping accepts.
func TestRunRefusedContent(t *testing.T) {
	t.Parallel()
	n := startNode(t, "256m", nil)
	create := func(s *sink, body string) { s.ask(http.MethodPut, "/"+s.prefix+"-2026-01-15", body) }

	t.Run("a field of another type", func(t *testing.T) {
		s := newSink(t, n, 1)
		s.work()
		s.eventually("the templates are installed", func() bool { return strings.Count(s.w.lines(), "index template installed") == 2 })
		// Like an index of an older template, which refuses malformed values.
		create(s, `{"settings":{"index.mapping.ignore_malformed":false},"mappings":{"properties":{"log_stream":{"type":"long"}}}}`)
		var refused []loggen.Event
		for i := range 100 {
			if i%10 == 3 {
				refused = append(refused, s.event("no-number", fmt.Sprint("refused at first ", i)))
			} else {
				s.event("12345", fmt.Sprint("accepted ", i))
			}
		}
		s.finishWith(0)
		s.all()
		for _, e := range refused {
			source := s.document(e)
			s.fields(source, "@timestamp", "message", "refused")
			var reason struct{ Type, Reason string }
			if err := json.Unmarshal(source["refused"], &reason); err != nil || reason.Type == "" || !strings.Contains(reason.Reason, "log_stream") {
				t.Errorf("the error of the document: %s, %v", source["refused"], err)
			}
		}
		for _, query := range []string{`{"match":{"message":"refused"}}`, `{"term":{"refused.type":"mapper_parsing_exception"}}`} {
			var answer struct {
				Hits struct{ Total struct{ Value int } }
			}
			if err := inspect.Ask(t.Context(), s.search, http.MethodPost, "/"+s.prefix+"-2026-01-15/_search", `{"query":`+query+`}`, &answer); err != nil || answer.Hits.Total.Value != len(refused) {
				t.Errorf("%s finds %d documents of %d, %v", query, answer.Hits.Total.Value, len(refused), err)
			}
		}
	})

	f := func(name, index, message string, fields ...string) {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, n, 1)
			create(s, index)
			e := s.event("a", message)
			s.event("b", "short") // if all are refused, all become dead letters
			s.work()
			letters := 2
			if strings.Contains(index, "keyword") {
				letters = 1
			}
			s.finishWith(letters)
			s.minimal(e, false, fields...)
			s.all()
		})
	}
	f("maximum number of fields",
		`{"settings":{"index.mapping.total_fields.limit":2},"mappings":{"properties":{"@timestamp":{"type":"date"},"message":{"type":"text"}}}}`, "an event", "@timestamp", "message")
	f("text too long for a term",
		`{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"},"message":{"type":"keyword"}}}}`, "x"+strings.Repeat("日本語", 40_000/9),
		"@timestamp", "log_group", "log_stream", "message")
}

// Events that are larger than the maximum size of a bulk request.
func TestRunLargeEvents(t *testing.T) {
	t.Parallel()
	f := func(name, setting string) {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, startNode(t, "256m", map[string]string{setting: "1mb"}), 1)
			s.event("a", "before")
			large := s.event("a", strings.Repeat("a large event ", 3<<20/14))
			s.event("a", "after")
			s.work()
			s.finishWith(1)
			s.minimal(large, true, "@timestamp", "log_group", "log_stream", "message")
			s.all()
		})
	}
	f("larger than the node accepts", "http.max_content_length")
	f("more than the node holds in memory", "indexing_pressure.memory.limit")
	t.Run("20 MB", func(t *testing.T) {
		s := newSink(t, startNode(t, "1g", nil), 1)
		s.event("a", strings.Repeat("a large event ", 20<<20/14))
		s.event("a", "after")
		s.work()
		s.finish()
	})
}
