package mapping

import (
	"bytes"
	"slices"
	"strings"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// extractor finds the fields of a schema in the JSON of log lines. It reuses its memory
// for the next line.
type extractor struct {
	fields    []schema.Field // of the schema; those not from JSON are never found
	root      *node
	receivers []receiver // all of the tree
	dialects  []dialect
	facts     int // that identify them
	level     int // the field of the level, -1 if the schema has none

	line     line
	marks    marks              // what is known about the line's dialect
	deferred []int32            // by receiver: where its value begins, 0 if it does not wait for the dialect
	waiting  []int              // receivers with such values
	isInner  bool               // it is inside another line
	complete bool               // the line's object was read to its end
	inner    [len(wrappers)]int // where a value that can be an inner line begins, by wrapper, 0 if the line has none
	texts    [maxWraps][]byte   // inner lines
	saved    []found            // what was found before an inner line
	metrics  int                // where the object with the units of metrics begins, 0 if the line has none
	found    []found            // by field
	values   []byte             // the values found, as documents have them
	raw      []byte             // a string as the line has it
	text     []byte             // the string in canonical form
}

// receiver is a field that can get a value from a place.
type receiver struct {
	id       int
	field    int
	path     int // index in the field's paths
	unit     schema.Unit
	key      string   // last part of the path
	dialects []string // in which it receives values, nil for all
	request  bool     // one of these is that of all requests
}

// found is the value of a field in the line.
type found struct {
	from, to int        // in values
	rank     int        // rank of its source, 0 if no value was found
	path     int        // index of its path, -1 if it has none
	inner    bool       // it is from an inner line
	unfit    schema.Fit // why another value does not fit
}

// Ranks of sources: that of a path in its list, from 1. Names of levels have precedence over
// numbers, and those over the level in a prefix. An inner line has precedence over the outer
// one, whose values have outerRank in addition.
const (
	numberRank = 1 << 10
	prefixRank = 1 << 20
	outerRank  = 1 << 24
)

// newExtractor returns an extractor for a schema. A path a.b leads to b in the object a,
// and also to the key "a.b".
func newExtractor(s *schema.Schema, dialects []schema.Dialect) *extractor {
	x := &extractor{fields: s.Fields, root: &node{}, found: make([]found, len(s.Fields))}
	for i, f := range s.Fields {
		for j, p := range f.Paths {
			name := string(schema.TrimQuotes(schema.Literal(p.Name)))
			r := receiver{id: len(x.receivers), field: i, path: j, unit: p.Unit, key: name[strings.LastIndexByte(name, '.')+1:], dialects: p.Dialects, request: slices.Contains(p.Dialects, schema.RequestDialect)}
			x.receivers = append(x.receivers, r)
			x.root.at(name, func(n *node) { n.receivers = append(n.receivers, r.id) })
		}
	}
	x.level = slices.IndexFunc(s.Fields, func(f schema.Field) bool { return f.As == schema.LevelMeaning && f.Paths != nil })
	x.deferred = make([]int32, len(x.receivers))
	if x.root.members != nil { // otherwise lines are not read
		x.addDialects(dialects)
		for i, w := range wrappers {
			x.root.child(w.key).wrapper = i + 1
		}
		x.root.index()
	}
	return x
}

// clone returns an extractor for another goroutine.
func (x *extractor) clone() *extractor {
	return &extractor{fields: x.fields, root: x.root, receivers: x.receivers, dialects: x.dialects, level: x.level, deferred: make([]int32, len(x.receivers)), found: make([]found, len(x.fields))}
}

// read finds the fields of a message. If a line is cut off, fields before the cut count.
// After a prefix, only an object that extends to the end of the line counts, and only if the
// prefix is a lead. Values that depend on the dialect are read last.
func (x *extractor) read(message subscription.Text) {
	clear(x.found)
	x.values, x.marks, x.metrics, x.inner = x.values[:0], marks{}, 0, [len(wrappers)]int{}
	if x.root.members == nil || len(message) < 2 {
		return
	}
	x.line = line{text: schema.TrimQuotes(message)}
	if x.readText() {
		x.unwrap(0)
	}
	x.isInner = false
	x.line = line{} // otherwise it keeps the record's memory
}

// readText reads a line of text. It reports whether the line has its own JSON.
func (x *extractor) readText() bool {
	lead, ok := x.line.open()
	if !ok {
		return false
	}
	if len(lead) == 0 {
		x.complete = x.object(x.root)
		x.readDeferred()
		return x.complete
	}
	p := readPrefix(lead)
	x.saved = append(x.saved[:0], x.found...)
	x.complete = p.isLead && x.object(x.root) && x.line.atEnd()
	if !x.complete {
		x.forget()
		copy(x.found, x.saved)
		x.inner, x.marks, x.metrics = [len(wrappers)]int{}, marks{}, 0
	}
	if x.complete || x.level >= 0 && x.found[x.level].rank == 0 { // otherwise the outer line has a level
		x.receiveLevel(p.level)
	}
	x.readDeferred()
	return x.complete
}

// receiveLevel gives a level to the field of the level, if it has none from this line.
func (x *extractor) receiveLevel(level string) {
	if level == "" || x.level < 0 {
		return
	}
	if f := &x.found[x.level]; f.rank == 0 || f.rank > outerRank {
		f.from = len(x.values)
		x.values = append(append(append(x.values, '"'), level...), '"')
		f.to, f.rank, f.path = len(x.values), prefixRank, -1
	}
}

// maxFound limits the bytes of the values found in a line, including those of a field
// that a later value replaced.
const maxFound = 1 << 20

// maxKept limits the size in bytes of a buffer that is reused for the next line.
const maxKept = 1 << 20

// releaseBuffers drops unusually large buffers.
func (x *extractor) releaseBuffers() {
	for _, buffer := range []*[]byte{&x.values, &x.raw, &x.text, &x.texts[0], &x.texts[1]} {
		if cap(*buffer) > maxKept {
			*buffer = nil
		}
	}
}

// object reads an object, starting at its first member.
func (x *extractor) object(n *node) bool {
	l := &x.line
	l.skipSpace()
	if l.accept('}') {
		return true
	}
	for {
		l.skipSpace()
		if !l.acceptQuote() {
			return false
		}
		key, ok := l.readString()
		l.skipSpace()
		if !ok || !l.accept(':') {
			return false
		}
		l.skipSpace()
		if bytes.IndexByte(key, '\\') >= 0 {
			key, _ = x.canonical(key)
		}
		if at := n.find(key); at != nil {
			x.note(at)
			if at.wrapper > 0 && n == x.root {
				x.noteWrapper(at)
			}
			ok = x.value(at)
		} else {
			ok = l.skip()
		}
		if !ok {
			return false
		}
		l.skipSpace()
		if !l.accept(',') {
			return l.accept('}')
		}
	}
}

// receiveValue converts a value for a field if it is wanted.
func (x *extractor) receiveValue(r *receiver, v schema.Value, how schema.Fit, d *schema.Dialect) {
	rank, from := x.rank(r, v), len(x.values)
	if how == schema.Fits && !x.wants(r, rank) {
		return
	}
	if how == schema.Fits {
		how = x.convert(r, v, d)
	}
	x.receive(r, rank, from, how)
}

// rank returns the rank of a value for a field.
func (x *extractor) rank(r *receiver, v schema.Value) int {
	if x.fields[r.field].As == schema.LevelMeaning && v.IsNumber() {
		return r.path + 1 + numberRank
	}
	return r.path + 1
}

// wants reports whether a value of a rank would be used.
func (x *extractor) wants(r *receiver, rank int) bool {
	f := &x.found[r.field]
	return f.rank == 0 || rank <= f.rank
}

// convert appends a value in the format of the receiver's field.
func (x *extractor) convert(r *receiver, v schema.Value, d *schema.Dialect) (how schema.Fit) {
	if len(x.values) > maxFound {
		return schema.TooLong
	}
	f, unit := &x.fields[r.field], r.unit
	if f.Kind == schema.DurationKind && unit == schema.Auto && d != nil && d.Metrics != "" {
		unit = x.metricUnit(r.key)
	}
	x.values, how = f.Append(x.values, v, unit, d)
	return how
}

// receive records what was appended for a field.
func (x *extractor) receive(r *receiver, rank, from int, how schema.Fit) {
	f := &x.found[r.field]
	switch {
	case how == schema.Fits && x.wants(r, rank):
		f.from, f.to, f.rank, f.path, f.inner = from, len(x.values), rank, r.path, x.isInner
		return
	case how != schema.Fits:
		f.unfit = max(f.unfit, how)
	}
	x.values = x.values[:from]
}
