package indexer

import (
	"bytes"
	"encoding/json"
	"sort"
	"time"
	"unicode/utf8"
)

// Data of events that their documents lack, so that a dead letter can contain the whole
// event.

// Origin is where the events of an envelope come from, as JSON literals.
type Origin struct{ Owner, LogGroup, LogStream []byte }

// eventData has the data of a set's events that their documents lack. With them, a dead letter
// contains the complete event whatever the schema keeps of it. Data shared by adjacent
// documents is stored once.
type eventData struct {
	text    []byte // the memory of the literals
	origins []originRun
	extras  []extra
}

// originRun is the origin of the documents from first up to the next run.
type originRun struct {
	first, from                         int // the first document, and the start of the literals in text
	ownerEnd, logGroupEnd, logStreamEnd int // the ends of the literals in text
}

// extra holds members of an event that are not in its document.
type extra struct{ document, from, to int }

func (f *eventData) emptied() eventData {
	return eventData{text: f.text[:0], origins: f.origins[:0], extras: f.extras[:0]}
}

// From sets the origin of the documents that follow.
func (d *Documents) From(o Origin) {
	f := &d.eventData
	if n := len(f.origins); n > 0 {
		if last := f.origin(n - 1); string(last.Owner) == string(o.Owner) &&
			string(last.LogGroup) == string(o.LogGroup) && string(last.LogStream) == string(o.LogStream) {
			return
		}
	}
	run := originRun{first: len(d.ends), from: len(f.text)}
	f.text = append(f.text, o.Owner...)
	run.ownerEnd = len(f.text)
	f.text = append(f.text, o.LogGroup...)
	run.logGroupEnd = len(f.text)
	f.text = append(f.text, o.LogStream...)
	run.logStreamEnd = len(f.text)
	f.origins = append(f.origins, run)
}

// Extra adds a member of the next document's event that is not in the document: a key and
// a JSON value.
func (d *Documents) Extra(key string, value []byte) {
	f := &d.eventData
	from := len(f.text)
	f.text = append(append(append(append(f.text, `,"`...), key...), `":`...), value...)
	if n := len(f.extras); n > 0 && f.extras[n-1].document == len(d.ends) {
		f.extras[n-1].to = len(f.text)
		return
	}
	f.extras = append(f.extras, extra{len(d.ends), from, len(f.text)})
}

func (f *eventData) origin(i int) Origin {
	r := f.origins[i]
	return Origin{f.text[r.from:r.ownerEnd], f.text[r.ownerEnd:r.logGroupEnd], f.text[r.logGroupEnd:r.logStreamEnd]}
}

// originOf returns the origin of a document, which is empty if it was not set.
func (f *eventData) originOf(document int) Origin {
	i := sort.Search(len(f.origins), func(i int) bool { return f.origins[i].first > document })
	if i == 0 {
		return Origin{}
	}
	return f.origin(i - 1)
}

// extraOf returns the members of a document's event that are not in the document.
func (f *eventData) extraOf(document int) []byte {
	i := sort.Search(len(f.extras), func(i int) bool { return f.extras[i].document >= document })
	if i == len(f.extras) || f.extras[i].document != document {
		return nil
	}
	return f.text[f.extras[i].from:f.extras[i].to]
}

// copyDocument appends a document of another set, with its event data.
func (d *Documents) copyDocument(from *Documents, i int) {
	if o := from.eventData.originOf(i); o.Owner != nil {
		d.From(o)
	}
	if more := from.eventData.extraOf(i); len(more) > 0 {
		at := len(d.eventData.text)
		d.eventData.text = append(d.eventData.text, more...)
		d.eventData.extras = append(d.eventData.extras, extra{len(d.ends), at, len(d.eventData.text)})
	}
	d.Body = append(d.Body, from.Body[from.start(i):from.ends[i].end]...)
	d.Next(from.ends[i].position)
}

// event returns the log event of the part's only document as one JSON object with the names
// of a subscription record, and its size. The document can be rebuilt from it. If the
// object exceeds keep bytes, only its beginning is returned, which saves memory.
func (ix *Indexer) event(p part, keep int) (beginning []byte, size int) {
	_, source := p.lines()
	_, id := p.target(0)
	timestamp, message := ix.cfg.Fallback.Core(source)
	origin, extras := p.docs.eventData.originOf(p.from), p.docs.eventData.extraOf(p.from)
	line := make([]byte, 0, keep)
	write := func(texts ...[]byte) {
		for _, text := range texts {
			size += len(text)
			line = append(line, text[:min(len(text), keep-len(line))]...)
		}
	}
	add := func(key string, value []byte) {
		if len(value) > 0 {
			write([]byte(`,"`+key+`":`), value)
		}
	}
	if len(id) > 0 {
		add("_id", quoted(id))
		if !bytes.HasPrefix(extras, []byte(`,"id":`)) {
			add("id", quoted(id))
		}
	}
	write(extras)
	add("timestamp", milliseconds(timestamp))
	add("message", message)
	add("owner", origin.Owner)
	add("logGroup", origin.LogGroup)
	add("logStream", origin.LogStream)
	add("position", jsonOf(p.docs.ends[p.from].position))
	if at := p.docs.source.Arrived; !at.IsZero() {
		add("arrived", jsonOf(at.UTC()))
	}
	write([]byte("}"))
	if len(line) > 0 {
		line[0] = '{' // replaces the first comma
	}
	if size > keep {
		line = withoutCutRune(line)
	}
	return line, size
}

// withoutCutRune returns a text without the incomplete rune that cutting left at its end.
func withoutCutRune(text []byte) []byte {
	for last := len(text) - 1; last >= 0 && last >= len(text)-utf8.UTFMax; last-- {
		if utf8.RuneStart(text[last]) {
			if !utf8.FullRune(text[last:]) {
				return text[:last]
			}
			break
		}
	}
	return text
}

func quoted(text []byte) []byte { return append(append([]byte{'"'}, text...), '"') }

// jsonOf returns a number or a time as JSON.
func jsonOf(v any) []byte {
	text, _ := json.Marshal(v) // these always marshal
	return text
}

// milliseconds returns the time of a document, a string literal, in milliseconds since
// the epoch. It returns nil if the literal is not from our mapper.
func milliseconds(literal []byte) []byte {
	var at time.Time
	if json.Unmarshal(literal, &at) != nil {
		return nil
	}
	return jsonOf(at.UnixMilli())
}
