package mapping

import (
	"slices"

	"logsluice/internal/jsonscan"
	"logsluice/mapping/schema"
)

// The dialect of a line: which emitter wrote it, by the keys of its JSON. Values whose
// meaning depends on it wait until all keys were seen, so that their order does not matter.

// marks is a set of keys that a line has, with the kinds of their values.
type marks [3]uint64

func (m *marks) add(bit int) { m[bit/64] |= 1 << (bit % 64) }

func (m *marks) hasAll(of *marks) bool {
	return m[0]&of[0] == of[0] && m[1]&of[1] == of[1] && m[2]&of[2] == of[2]
}

func (m *marks) hasAny(of *marks) bool { return m[0]&of[0]|m[1]&of[1]|m[2]&of[2] != 0 }

// mark is the fact that a key has a value of one of some kinds.
type mark struct {
	kinds schema.ValueKind
	bit   int
}

// dialect is a dialect with what identifies it.
type dialect struct {
	schema.Dialect
	has   []marks // alternatives
	lacks marks
}

// addDialects adds the keys of dialects to the tree.
func (x *extractor) addDialects(list []schema.Dialect) {
	type fact struct {
		key   string
		kinds schema.ValueKind
	}
	bits := map[fact]int{}
	bit := func(key string, kinds schema.ValueKind) int {
		f := fact{key, kinds}
		if known, ok := bits[f]; ok {
			return known
		}
		n := len(bits)
		bits[f] = n
		x.root.at(string(schema.TrimQuotes(schema.Literal(key))), func(at *node) { at.marks = append(at.marks, mark{kinds, n}) })
		return n
	}
	for _, d := range list {
		added := dialect{Dialect: d}
		for _, keys := range d.Has {
			var all marks
			for key, kinds := range keys {
				all.add(bit(key, kinds))
			}
			added.has = append(added.has, all)
		}
		for _, key := range d.Lacks {
			added.lacks.add(bit(key, schema.AnyValue))
		}
		if d.Metrics != "" {
			x.root.at(d.Metrics, func(at *node) { at.isMetrics = true })
		}
		x.dialects = append(x.dialects, added)
	}
	x.facts = len(bits)
}

// note records what the value that comes next shows about the dialect.
func (x *extractor) note(n *node) {
	if len(n.marks) == 0 {
		return
	}
	kind := x.line.kind()
	for _, m := range n.marks {
		if m.kinds&kind != 0 {
			x.marks.add(m.bit)
		}
	}
	if n.isMetrics && kind == schema.ObjectValue {
		x.metrics = x.line.at
	}
}

// kind returns the kind of the value that comes next, or 0 if it is null or invalid.
func (l *line) kind() schema.ValueKind {
	if l.at+1 >= len(l.text) {
		return 0
	}
	switch c := l.text[l.at]; {
	case c == '{':
		return schema.ObjectValue
	case c == '[':
		return schema.ArrayValue
	case c == 't', c == 'f':
		return schema.BoolValue
	case c == '-', jsonscan.IsDigit(c):
		return l.kindOfNumber()
	case c != '\\' || l.at+2 >= len(l.text):
		return 0
	}
	switch c := l.text[l.at+2]; {
	case 'a' <= c && c <= 'z':
		return schema.LowerString
	case 'A' <= c && c <= 'Z':
		return schema.UpperString
	case jsonscan.IsDigit(c):
		const id = 50
		digits := 0
		for i := l.at + 2; i < len(l.text) && jsonscan.IsDigit(l.text[i]); i++ {
			digits++
		}
		if digits >= id {
			return schema.OtherString | schema.DigitsString
		}
	}
	return schema.OtherString
}

// kindOfNumber returns the kind of a number, which can be a time.
func (l *line) kindOfNumber() schema.ValueKind {
	const seconds, milliseconds = 10, 13 // digits since 2001 and until 2286
	digits := 0
	for l.at+digits < len(l.text) && jsonscan.IsDigit(l.text[l.at+digits]) {
		digits++
	}
	switch {
	case l.at+digits == len(l.text): // it may be cut off
	case digits == seconds:
		return schema.NumberValue | schema.SecondsValue
	case digits == milliseconds:
		return schema.NumberValue | schema.MillisValue
	}
	return schema.NumberValue
}

// dialect returns the dialect of the line, or nil if it is not known.
func (x *extractor) dialect() *schema.Dialect {
	for i := range x.dialects {
		d := &x.dialects[i]
		if x.marks.hasAny(&d.lacks) || !x.complete && d.lacks != (marks{}) {
			continue
		}
		for j := range d.has {
			if x.marks.hasAll(&d.has[j]) {
				return &d.Dialect
			}
		}
	}
	return nil
}

// depends reports whether a value for a receiver depends on the dialect.
func (x *extractor) depends(r *receiver, v schema.Value) bool {
	f := &x.fields[r.field]
	return r.dialects != nil || v.IsNumber() && (f.As == schema.LevelMeaning || f.Kind == schema.DurationKind && r.unit == schema.Auto)
}

// wait defers a receiver's value, which begins at start. The last one counts.
func (x *extractor) wait(r *receiver, start int) {
	if x.deferred[r.id] == 0 {
		x.waiting = append(x.waiting, r.id)
	}
	x.deferred[r.id] = int32(start) //nolint:gosec // lines are shorter
}

// forget drops deferred values.
func (x *extractor) forget() {
	for _, id := range x.waiting {
		x.deferred[id] = 0
	}
	x.waiting = x.waiting[:0]
}

// readDeferred reads the deferred values.
func (x *extractor) readDeferred() {
	if len(x.waiting) == 0 && !x.lacksLevel() {
		return
	}
	d, end := x.dialect(), x.line.at
	for _, request := range []bool{false, true} { // what shows a request comes first
		for _, id := range x.waiting {
			r := &x.receivers[id]
			if r.request != request || r.dialects != nil && !x.isIn(r.dialects, d) {
				continue
			}
			x.line.at = int(x.deferred[id])
			if x.line.accept('[') {
				x.elements(r, d)
			} else if v, how, ok := x.scalar(); ok {
				x.receiveValue(r, v, how, d)
			}
		}
	}
	x.line.at = end
	x.forget()
	if d != nil && x.complete && x.level >= 0 && x.found[x.level].unfit == schema.Fits {
		x.receiveLevel(d.Level)
	}
}

// lacksLevel reports whether a field for the level has no value yet.
func (x *extractor) lacksLevel() bool {
	return x.level >= 0 && (x.found[x.level].rank == 0 || x.found[x.level].rank > outerRank)
}

// isIn reports whether the line is in one of some dialects.
func (x *extractor) isIn(names []string, d *schema.Dialect) bool {
	return d != nil && slices.Contains(names, d.Name) || slices.Contains(names, schema.RequestDialect) && x.isRequest()
}

// isRequest reports whether the line has the method or the status of a request.
func (x *extractor) isRequest() bool {
	for i := range x.fields {
		if m := x.fields[i].As; (m == schema.MethodMeaning || m == schema.StatusMeaning) && x.found[i].rank > 0 && x.found[i].rank < outerRank {
			return true
		}
	}
	return false
}
