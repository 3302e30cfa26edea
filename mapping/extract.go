package mapping

import (
	"bytes"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// extract finds the fields of a schema in the JSON of log lines. It keeps its
// memory between lines.
type extract struct {
	fields []schema.Field // of the schema; those from elsewhere are never found
	root   *node

	line   line
	says   bool    // it has its message under the key "message"
	early  bool    // a duration came before that, whose unit hangs on it
	found  []found // of each field
	values []byte  // what was found, as the document has it
	raw    []byte  // a string of the line as the line spells it
	text   []byte  // the same in canonical spelling
}

// node is a place in the JSON of a line below which there are fields, or that is
// one's own.
type node struct {
	members  [][]member // by the length of their keys
	deeper   bool       // there are any
	receives []receiver
}

type member struct {
	key  string
	node *node
}

// receiver is a field that a value may be for.
type receiver struct {
	field int
	rank  int // of the path among the field's, from 1
	unit  schema.Unit
}

// found is what the line has for a field.
type found struct {
	from, to int        // in values
	rank     int        // of the path that it was found at, 0 if none was
	unfit    schema.Fit // why another value was left out
}

// newExtract makes one for a schema. A path a.b leads to b in the object a, and to
// a key "a.b" as well.
func newExtract(s *schema.Schema) *extract {
	x := &extract{fields: s.Fields, root: &node{}, found: make([]found, len(s.Fields))}
	for i, f := range s.Fields {
		for rank, p := range f.Paths {
			x.root.add(string(schema.Bare(schema.Literal(p.Name))), receiver{field: i, rank: rank + 1, unit: p.Unit})
		}
	}
	return x
}

func (n *node) add(name string, r receiver) {
	end := n.child(name)
	end.receives = append(end.receives, r)
	for i := range name {
		if name[i] == '.' {
			n.child(name[:i]).add(name[i+1:], r)
		}
	}
}

// child is the place of a key, which may be made.
func (n *node) child(key string) *node {
	if found := n.find([]byte(key)); found != nil {
		return found
	}
	for len(n.members) <= len(key) {
		n.members = append(n.members, nil)
	}
	n.members[len(key)] = append(n.members[len(key)], member{key, &node{}})
	n.deeper = true
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

// clone is another for another goroutine.
func (x *extract) clone() *extract {
	return &extract{fields: x.fields, root: x.root, found: make([]found, len(x.fields))}
}

// read finds what a message has. A line that is cut off has what stands before the
// cut; after a prefix only an object counts that goes on to the end of the line.
func (x *extract) read(message subscription.Text) {
	x.says = false
	if x.once(message); x.says && x.early {
		x.once(message)
	}
	x.line = line{} // else it keeps the record's memory
}

// maxFound bounds in bytes what is kept of a line's values: those that another of
// the same field has replaced count too.
const maxFound = 1 << 20

// maxKept bounds in bytes a buffer that is kept for the next line.
const maxKept = 1 << 20

// letGo forgets buffers that are unusually large.
func (x *extract) letGo() {
	for _, buffer := range []*[]byte{&x.values, &x.raw, &x.text} {
		if cap(*buffer) > maxKept {
			*buffer = nil
		}
	}
}

func (x *extract) once(message subscription.Text) {
	clear(x.found)
	x.values, x.early = x.values[:0], false
	if x.root.members == nil || len(message) < 2 {
		return
	}
	x.line = line{text: schema.Bare(message)}
	prefixed, ok := x.line.open()
	if !ok {
		return
	}
	if whole := x.object(x.root) && x.line.ended(); prefixed && !whole {
		clear(x.found)
	}
}

// object reads an object from its first member on.
func (x *extract) object(n *node) bool {
	l := &x.line
	l.space()
	if l.take('}') {
		return true
	}
	for {
		l.space()
		if !l.quote() {
			return false
		}
		key, ok := l.str()
		l.space()
		if !ok || !l.take(':') {
			return false
		}
		l.space()
		x.says = x.says || n == x.root && string(key) == "message"
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
		l.space()
		if !l.take(',') {
			return l.take('}')
		}
	}
}

// value reads a value that fields may be found in.
func (x *extract) value(n *node) bool {
	l := &x.line
	switch {
	case l.at == len(l.text):
		return false
	case l.text[l.at] == '[':
		return x.array(n)
	case l.text[l.at] == '{' && n.deeper:
		l.at++
		return x.object(n)
	case l.text[l.at] == '{':
		for _, r := range n.receives {
			x.receive(r, len(x.values), schema.Misfit)
		}
		return l.skipNested()
	}
	v, how, ok := x.scalar()
	if !ok || v.Absent() {
		return ok
	}
	for _, r := range n.receives {
		if how != schema.Fits {
			x.receive(r, len(x.values), how)
		} else if x.wants(r) {
			from := len(x.values)
			x.receive(r, from, x.convert(r, v))
		}
	}
	return true
}

// maxValues is how many elements of an array a field takes.
const maxValues = 100

// array reads an array, whose elements are the values of a field.
func (x *extract) array(n *node) bool {
	l := &x.line
	start := l.at
	for _, r := range n.receives {
		l.at = start + 1
		if !x.elements(r) {
			return false
		}
	}
	l.at = start
	return l.skipNested()
}

func (x *extract) elements(r receiver) bool {
	l := &x.line
	from, values, unfit := len(x.values), 0, schema.Fits
	x.values = append(x.values, '[')
	l.space()
	for more := !l.take(']'); more; {
		l.space()
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
		l.space()
		if more = l.take(','); !more && !l.take(']') {
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

// element reads an element of an array, and appends it if there is room for it.
func (x *extract) element(r receiver, room bool) (how schema.Fit, ok bool) {
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

// wants tells whether a value at a receiver's path would count.
func (x *extract) wants(r receiver) bool {
	f := &x.found[r.field]
	return f.rank == 0 || r.rank <= f.rank
}

// convert appends a value as the receiver's field has it.
func (x *extract) convert(r receiver, v schema.Value) (how schema.Fit) {
	if len(x.values) > maxFound {
		return schema.TooLong
	}
	f := &x.fields[r.field]
	if f.Kind == schema.DurationKind && schema.IsOpen(v, r.unit) {
		r.unit, x.early = schema.Milliseconds, x.early || !x.says
		if !x.says {
			r.unit = schema.Seconds
		}
	}
	x.values, how = f.Append(x.values, v, r.unit)
	return how
}

// receive takes note of what was appended for a field.
func (x *extract) receive(r receiver, from int, how schema.Fit) {
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

// scalar reads a string, a number or a word.
func (x *extract) scalar() (v schema.Value, how schema.Fit, ok bool) {
	l := &x.line
	if !l.quote() {
		v.Text = l.token()
		return v, schema.Fits, len(v.Text) > 0 && l.at < len(l.text) // else it may be cut off
	}
	inner, ok := l.str()
	v = schema.Value{Text: inner, Quoted: true}
	switch {
	case !ok || bytes.IndexByte(inner, '\\') < 0:
		return v, schema.Fits, ok
	case len(inner) > maxSpelled:
		return v, schema.TooLong, true
	}
	text, ok := x.canonical(inner)
	if !ok {
		return v, schema.Misfit, true
	}
	v.Text = text
	return v, schema.Fits, true
}

// canonical is what is between the quotes of a string in canonical spelling, which
// the line need not have; false if it is no right spelling at all.
func (x *extract) canonical(inner []byte) ([]byte, bool) {
	if len(inner) > maxSpelled {
		return nil, false
	}
	x.raw = append(subscription.Unescape(append(x.raw[:0], '"'), inner), '"')
	var ok bool
	if x.text, ok = subscription.AppendText(x.text[:0], x.raw); !ok {
		return nil, false
	}
	return schema.Bare(x.text), true
}

// maxSpelled is more bytes than the spelling of a string that no field is too
// short for.
const maxSpelled = 8 * schema.MaxTerm
