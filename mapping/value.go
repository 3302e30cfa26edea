package mapping

import (
	"bytes"

	"logsluice/mapping/schema"
	"logsluice/subscription"
)

// Reading of the values in the JSON of a line: scalars, arrays, and the objects that are skipped.

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
