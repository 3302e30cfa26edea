package fakedynamodb

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// step is one part of a document path: an attribute's name, which may be a #name, or the index
// of a list.
type step struct {
	name  string // "" for an index
	index int
}

// path is a document path. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html
type path []step

// named returns the path with its #names replaced.
func (p path) named(names map[string]string) path {
	if !slices.ContainsFunc(p, func(s step) bool { return strings.HasPrefix(s.name, "#") }) {
		return p
	}
	p = slices.Clone(p)
	for i, s := range p {
		if strings.HasPrefix(s.name, "#") {
			p[i].name = names[s.name]
		}
	}
	return p
}

func (p path) String() string {
	texts := make([]string, len(p))
	for i, s := range p {
		if texts[i] = s.name; s.name == "" {
			texts[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// compare orders paths: names alphabetically, and before indexes.
func (p path) compare(o path) int {
	return slices.CompareFunc(p, o, func(a, b step) int {
		if a.name != b.name {
			return strings.Compare(b.name, a.name)
		}
		return a.index - b.index
	})
}

// clash returns an error if two paths cannot be in one expression: one contains the other, or
// one uses a list where the other uses a map.
func clash(paths []path) error {
	for i, a := range paths {
		for _, b := range paths[i+1:] {
			n := 0
			for n < len(a) && n < len(b) && a[n] == b[n] {
				n++
			}
			how := ""
			if n == len(a) || n == len(b) {
				how = "overlap"
			} else if (a[n].name == "") != (b[n].name == "") {
				how = "conflict"
			}
			if how != "" {
				return invalidf("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", how, a, b)
			}
		}
	}
	return nil
}

// get returns the value at a path.
func (it item) get(p path) (value, bool) {
	v := value{kind: kindM, m: it}
	for _, s := range p {
		next, ok := v.step(s)
		if !ok {
			return value{}, false
		}
		v = next
	}
	return v, true
}

func (v value) step(s step) (value, bool) {
	if s.name != "" {
		next, ok := v.m[s.name]
		return next, ok
	}
	if v.kind != kindL || s.index >= len(v.list) {
		return value{}, false
	}
	return v.list[s.index], true
}

// with returns the value with another one set at a path, or removed if that is nil. An index
// beyond a list's end appends. The parent of the path must exist.
func (v value) with(p path, to *value) (value, error) {
	s := p[0]
	if (s.name != "" && v.kind != kindM) || (s.name == "" && v.kind != kindL) {
		return v, invalidf("The document path provided in the update expression is invalid for update")
	}
	next, found := v.step(s)
	if len(p) > 1 {
		changed, err := next.with(p[1:], to)
		if err != nil {
			return v, err
		}
		to = &changed
	}
	switch {
	case to == nil && !found:
	case s.name != "":
		v.m = maps.Clone(v.m)
		if to == nil {
			delete(v.m, s.name)
		} else {
			v.m[s.name] = *to
		}
	case to == nil:
		v.list = slices.Delete(slices.Clone(v.list), s.index, s.index+1)
	case found:
		v.list = slices.Clone(v.list)
		v.list[s.index] = *to
	default:
		v.list = append(slices.Clip(v.list), *to)
	}
	return v, nil
}

// project returns the item with only the values at the paths. Lists are compacted.
func (it item) project(paths []path) item {
	if paths == nil {
		return it
	}
	return value{kind: kindM, m: it}.project(paths).m
}

func (v value) project(paths []path) value {
	below := make(map[step][]path)
	for _, p := range paths {
		if len(p) == 0 {
			return v
		}
		below[p[0]] = append(below[p[0]], p[1:])
	}
	out := value{kind: v.kind}
	if v.kind == kindM {
		out.m = make(item)
	}
	for _, s := range slices.SortedFunc(maps.Keys(below), func(a, b step) int { return a.index - b.index }) {
		next, ok := v.step(s)
		if !ok {
			continue
		}
		if next = next.project(below[s]); next.kind == "" {
			continue
		}
		if s.name != "" {
			out.m[s.name] = next
		} else {
			out.list = append(out.list, next)
		}
	}
	if len(out.m) == 0 && len(out.list) == 0 {
		out.kind = "" // nothing was found
	}
	return out
}
