package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
	"go.yaml.in/yaml/v3"
)

// A field in a schema file: its members, and the checks of the field as a whole.

// fieldFile is a field as written in the file.
type fieldFile struct {
	Field
	at       *yaml.Node
	nodes    map[string]*yaml.Node // its members
	constant *string
	date     []string
}

func (s *Schema) readField(n *yaml.Node) error {
	f := fieldFile{at: n, nodes: map[string]*yaml.Node{}}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		f.nodes[n.Content[i].Value] = resolveAlias(n.Content[i+1])
	}
	what := "a field"
	if name := f.nodes["name"]; name != nil {
		what = fmt.Sprintf("field %q", name.Value)
	}
	text := func(to *string) func(*yaml.Node) error {
		return func(n *yaml.Node) (err error) { *to, err = stringOf(n); return err }
	}
	err := members(n, what, map[string]func(*yaml.Node) error{
		"name":    text(&f.Name),
		"type":    text(&f.Type),
		"meaning": text(&f.Meaning),
		"from": func(n *yaml.Node) (err error) {
			f.Origin, err = oneOf(n, FromGroup, FromStream, FromOwner, FromAccount, FromRegion)
			return err
		},
		"pattern":      func(n *yaml.Node) (err error) { f.Pattern, err = expression(n); return err },
		"value":        func(n *yaml.Node) error { f.constant = new(string); return text(f.constant)(n) },
		"paths":        func(n *yaml.Node) error { return elements(n, f.readPath) },
		"ignore_above": func(n *yaml.Node) (err error) { f.Limit, err = number(n, MaxTerm); return err },
		"lowercase":    func(n *yaml.Node) (err error) { f.lowercase, err = boolOf(n); return err },
		"until":        f.readUntil,
		"values":       f.readValues,
		"formats":      func(n *yaml.Node) (err error) { f.date, err = stringsOf(n); return err },
		"as": func(n *yaml.Node) (err error) {
			f.As, err = oneOf(n, LevelMeaning, TextMeaning, IDMeaning, MethodMeaning, PathMeaning, HostMeaning, StatusMeaning, ErrorMeaning)
			return err
		},
		"unit":    func(n *yaml.Node) (err error) { f.Unit, err = oneUnit(n); return err },
		"mapping": f.readOptions,
		"role":    func(n *yaml.Node) (err error) { f.Role, err = oneOf(n, allRoles...); return err },
	})
	if err == nil {
		err = f.complete(s)
	}
	if err != nil {
		if line, rest, _ := strings.Cut(err.Error(), ": "); !strings.HasPrefix(rest, what) {
			return fmt.Errorf("%s: %s: %s", line, what, rest)
		}
		return err
	}
	s.Fields = append(s.Fields, f.Field)
	return nil
}

func (f *fieldFile) readPath(n *yaml.Node) (err error) {
	p := Path{Unit: Auto}
	if n.Kind != yaml.MappingNode {
		p.Name, err = stringOf(n)
	} else {
		err = members(n, "a path", map[string]func(*yaml.Node) error{
			"path":      func(n *yaml.Node) (err error) { p.Name, err = stringOf(n); return err },
			"unit":      func(n *yaml.Node) (err error) { p.Unit, err = oneUnit(n); return err },
			"in":        func(n *yaml.Node) error { return elements(n, p.readDialect) },
			"multiline": func(n *yaml.Node) (err error) { p.Multiline, err = boolOf(n); return err },
		})
	}
	if err != nil {
		return err
	}
	const deepest = 10
	switch parts := strings.Split(p.Name, "."); {
	case otherPath.MatchString(p.Name):
		return failure(n, "the path %q is in another syntax: use names separated by dots, such as a.b; paths cannot lead into arrays", p.Name)
	case slices.Contains(parts, ""):
		return failure(n, "the path %q has an empty part", p.Name)
	case len(parts) > deepest:
		return failure(n, "the path %q has more than %d parts", p.Name, deepest)
	}
	if p.Unit != Auto && f.nodes["unit"] == nil {
		return failure(n, "the path %q has a unit, but the field does not: add unit to the field", p.Name)
	}
	f.Paths = append(f.Paths, p)
	return nil
}

func (p *Path) readDialect(n *yaml.Node) error {
	name, err := stringOf(n)
	if err == nil {
		err = checkDialect(n, name)
	}
	p.Dialects = append(p.Dialects, name)
	return err
}

func (f *fieldFile) readUntil(n *yaml.Node) error {
	// Quotes, backslashes, letters and digits can be part of an escape sequence.
	const signs = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.Trim(n.Value, signs) != "" {
		return failure(n, "until is %q: set it to the characters at which the text ends, such as ?#", n.Value)
	}
	f.until = n.Value
	return nil
}

func (f *fieldFile) readValues(n *yaml.Node) error {
	f.values = map[string]string{}
	if n.Kind != yaml.MappingNode {
		return failure(n, "values is not a mapping of values to other values")
	}
	inner := func(n *yaml.Node) (string, error) {
		text, err := stringOf(n)
		return string(TrimQuotes(Literal(text))), err
	}
	for i := 0; i < len(n.Content); i += 2 {
		from, err := inner(resolveAlias(n.Content[i]))
		if err != nil {
			return err
		}
		if _, twice := f.values[from]; twice {
			return failure(n.Content[i], "values has %q twice", from)
		}
		if f.values[from], err = inner(resolveAlias(n.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

func (f *fieldFile) readOptions(n *yaml.Node) error {
	if err := n.Decode(&f.Options); err != nil || n.Kind != yaml.MappingNode {
		return failure(n, "mapping is not a mapping of OpenSearch's parameters to values")
	}
	for _, ours := range []string{"type", "ignore_above", "properties", "format"} {
		if _, has := f.Options[ours]; has {
			return failure(n, "mapping has %q, which cannot be set there: remove it", ours)
		}
	}
	if _, err := json.Marshal(f.Options); err != nil {
		return failure(n, "mapping cannot be written as JSON: %v", err)
	}
	return nil
}

// complete checks the field as a whole and sets the values that follow from its members.
func (f *fieldFile) complete(s *Schema) error {
	if err := f.checkName(s); err != nil {
		return err
	}
	at := func(member string) *yaml.Node {
		if n := f.nodes[member]; n != nil {
			return n
		}
		return f.at
	}
	t, known := types[f.Type]
	if !known {
		if f.Type == "" {
			return failure(f.at, "it has no type: use one of %s", strings.Join(slices.Sorted(maps.Keys(types)), ", "))
		}
		return failure(at("type"), "type %q is not supported: use one of %s", f.Type, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
	}
	f.Kind, f.least, f.most, f.largest, f.unsigned = t.kind, t.integer[0], t.integer[1], t.largest, f.Type == "unsigned_long"
	if f.Type == "scaled_float" {
		factor, _ := strconv.ParseFloat(fmt.Sprint(f.Options["scaling_factor"]), 64)
		if !(factor > 0) || math.IsInf(factor, 0) {
			return failure(at("mapping"), "a scaled_float needs mapping: {scaling_factor: N}")
		}
		f.largest /= factor
	}
	for _, member := range []struct {
		name string
		ok   bool
		of   string
	}{
		{"lowercase", f.Kind == TextKind, "keyword and text"},
		{"until", f.Kind == TextKind, "keyword and text"},
		{"values", f.Kind == TextKind, "keyword and text"},
		{"ignore_above", f.Kind == TextKind, "keyword and text"},
		{"formats", f.Kind == DateKind, "date"},
		{"unit", f.Kind == IntegerKind || f.Kind == FloatKind, "numbers"},
	} {
		if n := f.nodes[member.name]; n != nil && !member.ok {
			return failure(n, "%s is for %s only", member.name, member.of)
		}
	}
	switch {
	case f.As == AnyMeaning:
	case f.As == StatusMeaning && (f.Kind != IntegerKind || f.Unit != NoUnit):
		return failure(at("as"), "as: status is for whole numbers only")
	case f.As == StatusMeaning:
		f.least, f.most = max(f.least, leastStatus), min(f.most, mostStatus)
	case f.Kind != TextKind:
		return failure(at("as"), "as: %s is for keyword and text only", f.As)
	}
	if f.Limit == 0 {
		f.Limit = t.limit
	}
	for from := range f.values {
		if f.lowercase && from != strings.ToLower(from) {
			return failure(at("values"), "values has %q, but with lowercase the value looked up is %q", from, strings.ToLower(from))
		}
	}
	// A character has at most three bytes in UTF-8, or two UTF-16 units have four.
	if f.Type == "keyword" && f.Limit > MaxTerm/3 {
		return failure(at("ignore_above"), "ignore_above is %d: a keyword of more than %d characters may exceed Lucene's limit for a term", f.Limit, MaxTerm/3)
	}
	if f.Unit != NoUnit {
		f.whole, f.Kind = f.Kind == IntegerKind, DurationKind
	}
	if err := f.readFormats(at("formats")); err != nil {
		return err
	}
	if err := f.checkRole(s, at("role")); err != nil {
		return err
	}
	return f.checkOrigin(at)
}

func (f *fieldFile) checkName(s *Schema) error {
	switch {
	case f.Name == "":
		return failure(f.at, "it has no name")
	case slices.Contains(reserved, strings.SplitN(f.Name, ".", 2)[0]):
		return failure(f.nodes["name"], "%s is a built-in field: use another name", f.Name)
	case f.Name[0] == '_':
		return failure(f.nodes["name"], "names that begin with _ are reserved by OpenSearch: use another name")
	case slices.ContainsFunc(strings.Split(f.Name, "."), func(part string) bool { return strings.TrimSpace(part) == "" }):
		return failure(f.nodes["name"], "the name has an empty part: use one such as a.b")
	}
	for _, other := range s.Fields {
		switch {
		case other.Name == f.Name:
			return failure(f.nodes["name"], "another field has that name: use another name")
		case strings.HasPrefix(f.Name, other.Name+"."), strings.HasPrefix(other.Name, f.Name+"."):
			return failure(f.nodes["name"], "%s and %s cannot both exist: one would be a value and an object", f.Name, other.Name)
		}
	}
	return nil
}

func (f *fieldFile) readFormats(n *yaml.Node) error {
	if f.Kind == DateKind && f.date == nil {
		f.date = []string{"iso8601"}
		f.formats, f.plausible = []dateFormat{{epoch: Auto}}, true
	}
	for _, name := range f.date {
		switch {
		case name == "iso8601":
			for _, layout := range iso8601 {
				f.formats = append(f.formats, dateFormat{layout: layout})
			}
		case epochs[name] != NoUnit:
			f.formats = append(f.formats, dateFormat{epoch: epochs[name]})
		case !strings.Contains(name, "%"):
			return failure(n, "the date format %q is not supported: use iso8601, epoch_seconds, epoch_millis, epoch_micros, epoch_nanos or a pattern such as %%d/%%b/%%Y:%%H:%%M:%%S %%z", name)
		default:
			layout, err := strftime.Layout(name)
			switch {
			case err != nil:
				return failure(n, "the date format %q cannot be read: %w: use a pattern such as %%d/%%b/%%Y:%%H:%%M:%%S %%z", name, err)
			case !strings.Contains(layout, "06"), strings.Contains(layout, "MST"):
				return failure(n, "the date format %q does not identify a time: it needs a year, and %%z instead of %%Z", name)
			}
			f.formats = append(f.formats, dateFormat{layout: layout})
		}
	}
	return nil
}

// checkOrigin checks the source of the value.
func (f *fieldFile) checkOrigin(at func(string) *yaml.Node) error {
	origins := 0
	for _, has := range []bool{f.Paths != nil, f.Origin != "", f.constant != nil} {
		if has {
			origins++
		}
	}
	switch {
	case origins != 1:
		return failure(f.at, "set exactly one of paths, from and value")
	case f.nodes["pattern"] != nil && f.Origin != FromGroup && f.Origin != FromStream:
		return failure(at("pattern"), "pattern is for from: log_group and from: log_stream only")
	case f.Pattern != nil && f.Pattern.NumSubexp() == 0:
		return failure(at("pattern"), "the pattern has no group in parentheses for the value")
	case f.constant != nil:
		f.Origin = FromValue
		v := Value{Text: TrimQuotes(Literal(*f.constant)), Quoted: true}
		literal, how := []byte(nil), Nothing
		if !v.Absent() {
			literal, how = f.Append(nil, v, Auto, nil)
		}
		if how != Fits {
			return failure(at("value"), "%q is not a value of type %s", *f.constant, f.Type)
		}
		f.Constant = literal
	case f.Origin != "" && f.Pattern == nil && (f.lowercase || f.until != "" || f.values != nil):
		return failure(f.at, "lowercase, until and values are for paths, values and patterns: values from %s are not changed", f.Origin)
	case f.Origin != "" && f.Kind != TextKind:
		return failure(at("type"), "values from %s are text: use the type keyword", f.Origin)
	case f.Origin == "":
		f.Origin = FromJSON
	}
	return nil
}

// otherPath matches JSONPath ($.a), JSON pointers (/a/b) and paths with an index (a[0]).
var otherPath = regexp.MustCompile(`^\$\.|^/|\[\d*\]`)

// epochs are date formats that are numbers.
var epochs = map[string]Unit{
	"epoch_seconds": Seconds, "epoch_millis": Milliseconds, "epoch_micros": Microseconds, "epoch_nanos": Nanoseconds,
}

// iso8601 are layouts of ISO 8601 and RFC 3339: a date, optionally with a time to the
// minute or the second, and an offset with or without minutes. Package time also accepts
// fractions of a second, after a point or a comma, with them.
var iso8601 = iso8601Layouts()

func iso8601Layouts() []string {
	layouts := []string{time.RFC3339, time.DateOnly}
	for _, separator := range []string{"T", " "} {
		for _, clock := range []string{time.TimeOnly, "15:04"} {
			for _, offset := range []string{"Z07:00", "Z0700", "Z07", ""} {
				layouts = append(layouts, time.DateOnly+separator+clock+offset)
			}
		}
	}
	return layouts
}
