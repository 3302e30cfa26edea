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

// node is a place in the JSON of a line that is a field, has fields below it, or shows the
// dialect.
type node struct {
	members   []member
	table     []member // the members at their hashes, or at the next free slots; some are free
	receivers []int    // in extractor.receivers
	marks     []mark
	isMetrics bool // the object states the units of metrics
	wrapper   int  // in wrappers, from 1, if the value can be a line
}

type member struct {
	key  string
	node *node
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

// at calls f for each node of a path.
func (n *node) at(name string, f func(*node)) {
	f(n.child(name))
	for i := range name {
		if name[i] == '.' {
			n.child(name[:i]).at(name[i+1:], f)
		}
	}
}

// child returns the node of a key and creates it if necessary.
func (n *node) child(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.node
		}
	}
	child := &node{}
	n.members = append(n.members, member{key, child})
	return child
}

// index makes the tables of a node and of those below it.
func (n *node) index() {
	if len(n.members) == 0 {
		return
	}
	size := 1
	for size < 4*len(n.members) {
		size *= 2
	}
	n.table = make([]member, size)
	for _, m := range n.members {
		m.node.index()
		at := hash([]byte(m.key), size)
		for n.table[at].node != nil {
			at = (at + 1) & (size - 1)
		}
		n.table[at] = m
	}
}

// hash returns a slot of a table for a key. Most keys of lines that are not in the table
// lead to a free slot, so that no key is compared.
func hash(key []byte, size int) int {
	if len(key) == 0 {
		return 0
	}
	h := uint32(len(key))*0x9e3779b1 + uint32(key[0])*0x85ebca6b + uint32(key[len(key)-1])*0xc2b2ae35 + uint32(key[len(key)/2])*0x27d4eb2f //nolint:gosec // only a hash
	return int(h>>16) & (size - 1)
}

// find returns the node of a key, or nil. It replaces a map, and takes half of the time
// (BenchmarkFind). TestFind proves that both find the same.
func (n *node) find(key []byte) *node {
	for at := hash(key, len(n.table)); ; at = (at + 1) & (len(n.table) - 1) {
		m := &n.table[at]
		if m.node == nil || m.key == string(key) {
			return m.node
		}
	}
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

// value reads a value that can be a field or contain fields.
func (x *extractor) value(n *node) bool {
	l := &x.line
	switch {
	case l.at == len(l.text):
		return false
	case l.text[l.at] == '{' && n.table != nil:
		l.at++
		return x.object(n)
	case len(n.receivers) == 0:
		return l.skip()
	case l.text[l.at] == '[':
		return x.array(n)
	case l.text[l.at] == '{':
		for _, id := range n.receivers {
			if r := &x.receivers[id]; r.dialects == nil {
				x.receive(r, 0, len(x.values), schema.Misfit)
			}
		}
		return l.skipNested()
	}
	start := l.at
	v, how, ok := x.scalar()
	if !ok || v.Absent() {
		return ok
	}
	for _, id := range n.receivers {
		switch r := &x.receivers[id]; {
		case how == schema.Fits && x.depends(r, v):
			x.wait(r, start)
		case x.fields[r.field].Paths[r.path].Multiline && !hasLineBreak(v.Text):
		default:
			x.receiveValue(r, v, how, nil)
		}
	}
	return true
}

// hasLineBreak reports whether a canonical text has several lines.
func hasLineBreak(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '\\' {
			if i++; text[i] == 'n' {
				return true
			}
		}
	}
	return false
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

// maxValues is the maximum number of array elements in a field.
const maxValues = 100

// array reads an array whose elements are the values of fields.
func (x *extractor) array(n *node) bool {
	l := &x.line
	start := l.at
	for _, id := range n.receivers {
		r := &x.receivers[id]
		switch f := &x.fields[r.field]; {
		case f.Kind == schema.DurationKind, f.As != schema.AnyMeaning && f.As != schema.ErrorMeaning:
			x.receive(r, 0, len(x.values), schema.Misfit)
			continue
		case f.Paths[r.path].Multiline:
			x.receive(r, 0, len(x.values), schema.Misfit)
			continue
		case r.dialects != nil:
			x.wait(r, start)
			continue
		}
		l.at = start + 1
		if !x.elements(r, nil) {
			return false
		}
	}
	l.at = start
	return l.skipNested()
}

func (x *extractor) elements(r *receiver, d *schema.Dialect) bool {
	l := &x.line
	from, values, unfit := len(x.values), 0, schema.Fits
	x.values = append(x.values, '[')
	l.skipSpace()
	for more := !l.accept(']'); more; {
		l.skipSpace()
		end := len(x.values)
		if values > 0 {
			x.values = append(x.values, ',')
		}
		how, ok := x.element(r, values < maxValues, d)
		if !ok {
			x.values = x.values[:from]
			return false
		}
		if how == schema.Fits {
			values++
		} else {
			x.values = x.values[:end]
			unfit = max(unfit, how)
		}
		l.skipSpace()
		if more = l.accept(','); !more && !l.accept(']') {
			x.values = x.values[:from]
			return false
		}
	}
	x.values = append(x.values, ']')
	if values > 0 {
		unfit = schema.Fits
	} else if unfit == schema.Fits {
		unfit = schema.Nothing
	}
	x.receive(r, r.path+1, from, unfit)
	return true
}

// element reads an element of an array, and appends it if there is room.
func (x *extractor) element(r *receiver, room bool, d *schema.Dialect) (how schema.Fit, ok bool) {
	l := &x.line
	if l.at < len(l.text) && (l.text[l.at] == '{' || l.text[l.at] == '[') {
		return schema.Misfit, l.skipNested()
	}
	v, how, ok := x.scalar()
	switch {
	case !ok || v.Absent():
		return schema.Nothing, ok
	case !room:
		return schema.TooLong, true
	case how != schema.Fits:
		return how, true
	}
	return x.convert(r, v, d), true
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

// scalar reads a string, a number or a literal.
func (x *extractor) scalar() (v schema.Value, how schema.Fit, ok bool) {
	l := &x.line
	if !l.acceptQuote() {
		v.Text = l.token()
		return v, schema.Fits, len(v.Text) > 0 && l.at < len(l.text) // otherwise it may be cut off
	}
	inner, ok := l.readString()
	v = schema.Value{Text: inner, Quoted: true}
	switch {
	case !ok || bytes.IndexByte(inner, '\\') < 0:
		return v, schema.Fits, ok
	case len(inner) > maxEscaped:
		return v, schema.TooLong, true
	}
	text, ok := x.canonical(inner)
	if !ok {
		return v, schema.Misfit, true
	}
	v.Text = text
	return v, schema.Fits, true
}

// canonical returns the inside of a string of the line in canonical form. It reports
// false if the string is invalid or too long.
func (x *extractor) canonical(inner []byte) ([]byte, bool) {
	if len(inner) > maxEscaped {
		return nil, false
	}
	x.raw = append(subscription.Unescape(append(x.raw[:0], '"'), inner), '"')
	var ok bool
	if x.text, ok = subscription.AppendText(x.text[:0], x.raw); !ok {
		return nil, false
	}
	return schema.TrimQuotes(x.text), true
}

// maxEscaped is the size in bytes above which a string with escapes fits no field.
const maxEscaped = 8 * schema.MaxTerm
