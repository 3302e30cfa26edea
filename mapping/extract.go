package mapping

import (
	"bytes"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// extractor finds the fields of a schema in the JSON of log lines. It reuses its memory
// for the next line.
type extractor struct {
	fields []schema.Field // of the schema; those not from JSON are never found
	root   *node

	line       line
	hasMessage bool    // the line has its message under the key "message"
	ambiguous  bool    // a duration came before that key, and its unit depends on hasMessage
	found      []found // by field
	values     []byte  // the values found, as documents have them
	raw        []byte  // a string as the line has it
	text       []byte  // the string in canonical form
}

// node is a place in the JSON of a line that is a field, or has fields below it.
type node struct {
	members    [][]member // by the length of the key
	hasMembers bool
	receivers  []receiver
}

type member struct {
	key  string
	node *node
}

// receiver is a field that can get a value from a place.
type receiver struct {
	field int
	rank  int // rank of the path in the field's list, from 1
	unit  schema.Unit
}

// found is the value of a field in the line.
type found struct {
	from, to int        // in values
	rank     int        // rank of its path, 0 if no value was found
	unfit    schema.Fit // why another value does not fit
}

// newExtractor returns an extractor for a schema. A path a.b leads to b in the object a,
// and also to the key "a.b".
func newExtractor(s *schema.Schema) *extractor {
	x := &extractor{fields: s.Fields, root: &node{}, found: make([]found, len(s.Fields))}
	for i, f := range s.Fields {
		for rank, p := range f.Paths {
			x.root.add(string(schema.TrimQuotes(schema.Literal(p.Name))), receiver{field: i, rank: rank + 1, unit: p.Unit})
		}
	}
	return x
}

func (n *node) add(name string, r receiver) {
	end := n.child(name)
	end.receivers = append(end.receivers, r)
	for i := range name {
		if name[i] == '.' {
			n.child(name[:i]).add(name[i+1:], r)
		}
	}
}

// child returns the node of a key and creates it if necessary.
func (n *node) child(key string) *node {
	if found := n.find([]byte(key)); found != nil {
		return found
	}
	for len(n.members) <= len(key) {
		n.members = append(n.members, nil)
	}
	n.members[len(key)] = append(n.members[len(key)], member{key, &node{}})
	n.hasMembers = true
	return n.find([]byte(key))
}

func (n *node) find(key []byte) *node {
	if len(key) >= len(n.members) {
		return nil
	}
	for _, m := range n.members[len(key)] {
		if m.key == string(key) {
			return m.node
		}
	}
	return nil
}

// clone returns an extractor for another goroutine.
func (x *extractor) clone() *extractor {
	return &extractor{fields: x.fields, root: x.root, found: make([]found, len(x.fields))}
}

// read finds the fields of a message. If a line is cut off, fields before the cut count.
// After a prefix, only an object that extends to the end of the line counts.
func (x *extractor) read(message subscription.Text) {
	x.hasMessage = false
	if x.readOnce(message); x.hasMessage && x.ambiguous {
		x.readOnce(message)
	}
	x.line = line{} // otherwise it keeps the record's memory
}

// maxFound limits the bytes of the values found in a line, including those of a field
// that a later value replaced.
const maxFound = 1 << 20

// maxKept limits the size in bytes of a buffer that is reused for the next line.
const maxKept = 1 << 20

// releaseBuffers drops unusually large buffers.
func (x *extractor) releaseBuffers() {
	for _, buffer := range []*[]byte{&x.values, &x.raw, &x.text} {
		if cap(*buffer) > maxKept {
			*buffer = nil
		}
	}
}

func (x *extractor) readOnce(message subscription.Text) {
	clear(x.found)
	x.values, x.ambiguous = x.values[:0], false
	if x.root.members == nil || len(message) < 2 {
		return
	}
	x.line = line{text: schema.TrimQuotes(message)}
	prefixed, ok := x.line.open()
	if !ok {
		return
	}
	if whole := x.object(x.root) && x.line.atEnd(); prefixed && !whole {
		clear(x.found)
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
		x.hasMessage = x.hasMessage || n == x.root && string(key) == "message"
		if bytes.IndexByte(key, '\\') >= 0 {
			key, _ = x.canonical(key)
		}
		if at := n.find(key); at != nil {
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
	case l.text[l.at] == '[':
		return x.array(n)
	case l.text[l.at] == '{' && n.hasMembers:
		l.at++
		return x.object(n)
	case l.text[l.at] == '{':
		for _, r := range n.receivers {
			x.receive(r, len(x.values), schema.Misfit)
		}
		return l.skipNested()
	}
	v, how, ok := x.scalar()
	if !ok || v.Absent() {
		return ok
	}
	for _, r := range n.receivers {
		if how != schema.Fits {
			x.receive(r, len(x.values), how)
		} else if x.wants(r) {
			from := len(x.values)
			x.receive(r, from, x.convert(r, v))
		}
	}
	return true
}

// maxValues is the maximum number of array elements in a field.
const maxValues = 100

// array reads an array whose elements are the values of fields.
func (x *extractor) array(n *node) bool {
	l := &x.line
	start := l.at
	for _, r := range n.receivers {
		l.at = start + 1
		if !x.elements(r) {
			return false
		}
	}
	l.at = start
	return l.skipNested()
}

func (x *extractor) elements(r receiver) bool {
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
		how, ok := x.element(r, values < maxValues)
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
	x.receive(r, from, unfit)
	return true
}

// element reads an element of an array, and appends it if there is room.
func (x *extractor) element(r receiver, room bool) (how schema.Fit, ok bool) {
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
	return x.convert(r, v), true
}

// wants reports whether a value at a receiver's path would be used.
func (x *extractor) wants(r receiver) bool {
	f := &x.found[r.field]
	return f.rank == 0 || r.rank <= f.rank
}

// convert appends a value in the format of the receiver's field.
func (x *extractor) convert(r receiver, v schema.Value) (how schema.Fit) {
	if len(x.values) > maxFound {
		return schema.TooLong
	}
	f := &x.fields[r.field]
	if f.Kind == schema.DurationKind && schema.HasAmbiguousUnit(v, r.unit) {
		r.unit, x.ambiguous = schema.Milliseconds, x.ambiguous || !x.hasMessage
		if !x.hasMessage {
			r.unit = schema.Seconds
		}
	}
	x.values, how = f.Append(x.values, v, r.unit)
	return how
}

// receive records what was appended for a field.
func (x *extractor) receive(r receiver, from int, how schema.Fit) {
	f := &x.found[r.field]
	switch {
	case how == schema.Fits && x.wants(r):
		f.from, f.to, f.rank = from, len(x.values), r.rank
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
