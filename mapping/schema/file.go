package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"
	"go.yaml.in/yaml/v3"

	"logsluice/subscription"
)

// Parse reads a schema in YAML, as mapping/README.md describes it. Its error
// is one line that names the line of the file and the field.
func Parse(data []byte) (*Schema, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the file is not text in UTF-8: save it so")
	}
	var file, another yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		line, reason, _ := strings.Cut(strings.TrimPrefix(err.Error(), "yaml: "), ": ")
		return nil, fmt.Errorf("%s: this is not YAML: %s: correct it, with spaces and no tabs before names", line, reason)
	}
	if err := decoder.Decode(&another); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one document: remove what comes after ---")
	}
	if len(file.Content) == 0 {
		return nil, errors.New("line 1: the schema is empty: give it fields")
	}
	sum := sha256.Sum256(statedRole.ReplaceAll(data, nil))
	s := &Schema{Version: 1, Message: LightText, Rest: RestNone, RestFields: usualRestFields, source: data, Hash: hex.EncodeToString(sum[:8])}
	for i, n := range file.Content[0].Content {
		if i%2 == 0 && (n.Value == "drop" || n.Value == "keep") {
			return nil, failure(n, "%s stands outside rules: give rules: [{%s: {message: GET /healthz}}]", n.Value, n.Value)
		}
	}
	var rules *yaml.Node
	err := members(file.Content[0], "the schema", map[string]func(*yaml.Node) error{
		"name":        func(n *yaml.Node) (err error) { s.Name, err = word(n); return err },
		"version":     func(n *yaml.Node) (err error) { s.Version, err = number(n, 1, math.MaxInt32); return err },
		"fields":      s.readFields,
		"message":     func(n *yaml.Node) (err error) { s.Message, err = oneOf(n, LightText, FullText); return err },
		"rest":        func(n *yaml.Node) (err error) { s.Rest, err = oneOf(n, RestNone, RestFlat, RestDynamic); return err },
		"rest_fields": func(n *yaml.Node) (err error) { s.RestFields, err = number(n, 1, mostRestFields); return err },
		"rules":       func(n *yaml.Node) error { rules = n; return nil },
	})
	if err == nil && rules != nil {
		err = elements(rules, s.readRule) // of any fields, wherever they stand
		if err == nil {
			err = s.checkLast(rules)
		}
	}
	switch {
	case err != nil:
	case s.RestFields != usualRestFields && s.Rest != RestDynamic:
		err = failure(file.Content[0], "rest_fields is for rest: dynamic only: remove it, or give rest: dynamic")
	case len(s.Fields) == 0 && rules == nil && s.Rest == RestNone && s.Message == LightText:
		err = failure(file.Content[0], "the schema has neither fields nor rules: give it some, or set SCHEMA to plain")
	}
	return s, err
}

// statedRole matches the role of a field. The hash of a schema, which stands in the index
// template, is without roles: they change the dashboards and no index.
var statedRole = regexp.MustCompile(`(?:\n *|, *)role: *[a-z_]+`)

func (s *Schema) readFields(n *yaml.Node) error {
	if n.Tag == "!!null" {
		return failure(n, "fields is empty: give it fields, or remove it for documents of the line only")
	}
	return elements(n, s.readField)
}

// Fields of the rest: a tenth of what an index has room for by default, and far more
// than is good for one.
const (
	usualRestFields = 100
	mostRestFields  = 10_000
)

// failure is an error about a place in the file.
func failure(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...)
}

// members reads a mapping whose keys are known.
func members(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) error {
	if n = target(n); n.Kind != yaml.MappingNode {
		return failure(n, "%s: this is not a mapping: give names and values, such as name: value", what)
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := known[key.Value]
		switch {
		case read == nil:
			return failure(key, "%s: %q is unknown: give one of %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case seen[key.Value]:
			return failure(key, "%s: %q is given twice: remove one", what, key.Value)
		}
		seen[key.Value] = true
		if err := read(target(value)); err != nil {
			return err
		}
	}
	return nil
}

func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// elements reads a list, or one element that stands for a list of itself.
func elements(n *yaml.Node, read func(*yaml.Node) error) error {
	if n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return read(n)
	}
	for _, element := range n.Content {
		if err := read(target(element)); err != nil {
			return err
		}
	}
	return nil
}

func word(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", failure(n, "this is not a text: put quotes around it if it is one")
	}
	if strings.ContainsFunc(n.Value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' }) {
		return "", failure(n, "%q has control characters: remove them", n.Value)
	}
	return n.Value, nil
}

func words(n *yaml.Node) (list []string, err error) {
	err = elements(n, func(n *yaml.Node) error {
		w, err := word(n)
		list = append(list, w)
		return err
	})
	return list, err
}

func number(n *yaml.Node, least, most int) (int, error) {
	x, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || x < least || x > most {
		return 0, failure(n, "%q is not a whole number: give one from %d to %d", n.Value, least, most)
	}
	return x, nil
}

func truth(n *yaml.Node) (bool, error) {
	var value bool
	if n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
		return false, failure(n, "%q is not a boolean: give true or false", n.Value)
	}
	return value, nil
}

func oneOf[T ~string](n *yaml.Node, choices ...T) (T, error) {
	if n.Kind == yaml.ScalarNode && slices.Contains(choices, T(n.Value)) {
		return T(n.Value), nil
	}
	list := fmt.Sprint(choices)
	return "", failure(n, "%q is invalid: give one of %s", n.Value, strings.ReplaceAll(strings.Trim(list, "[]"), " ", ", "))
}

func oneUnit(n *yaml.Node) (Unit, error) {
	name, err := oneOf(n, slices.Sorted(maps.Keys(units))...)
	return units[name], err
}

func expression(n *yaml.Node) (*regexp.Regexp, error) {
	text, err := word(n)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, failure(n, "an empty expression matches everything: give one such as GET /healthz, or remove the condition")
	}
	re, err := regexp.Compile(text)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		if wrong.Code == syntax.ErrInvalidPerlOp {
			return nil, failure(n, "%q has %s, which Go's regular expressions (RE2) do not have, as they have no lookahead and lookbehind: write it without", text, wrong.Expr)
		}
		return nil, failure(n, "%q is not a regular expression: %s in %q: correct it, with \\ before signs that stand for themselves", text, wrong.Code, wrong.Expr)
	}
	return re, err
}

// Literal returns a text as a canonical literal.
func Literal(text string) subscription.Text {
	quoted, _ := json.Marshal(text) // strings always marshal
	literal, _ := subscription.AppendText(nil, quoted)
	return literal
}

// AddConstants adds keywords that each document has.
func (s *Schema) AddConstants(fields map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var n yaml.Node
		if err := n.Encode(map[string]string{"name": name, "type": "keyword", "value": fields[name], "meaning": "set by `CONSTANT_FIELDS`"}); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		if err := s.readField(&n); err != nil {
			_, reason, _ := strings.Cut(err.Error(), ": ") // there is no line
			return errors.New(reason)
		}
	}
	return nil
}

// fieldFile is a field as the file has it.
type fieldFile struct {
	Field
	at       *yaml.Node
	given    map[string]*yaml.Node // its members
	constant *string
	date     []string
}

func (s *Schema) readField(n *yaml.Node) error {
	f := fieldFile{at: n, given: map[string]*yaml.Node{}}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		f.given[n.Content[i].Value] = target(n.Content[i+1])
	}
	what := "a field"
	if name := f.given["name"]; name != nil {
		what = fmt.Sprintf("field %q", name.Value)
	}
	text := func(to *string) func(*yaml.Node) error {
		return func(n *yaml.Node) (err error) { *to, err = word(n); return err }
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
		"ignore_above": func(n *yaml.Node) (err error) { f.Limit, err = number(n, 1, MaxTerm); return err },
		"lowercase":    func(n *yaml.Node) (err error) { f.lowercase, err = truth(n); return err },
		"until":        f.readUntil,
		"values":       f.readValues,
		"formats":      func(n *yaml.Node) (err error) { f.date, err = words(n); return err },
		"unit":         func(n *yaml.Node) (err error) { f.Unit, err = oneUnit(n); return err },
		"mapping":      f.readOptions,
		"role":         func(n *yaml.Node) (err error) { f.Role, err = oneOf(n, allRoles...); return err },
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

// otherPath is JSONPath ($.a), a JSON pointer (/a/b) or has an index (a[0]).
var otherPath = regexp.MustCompile(`^\$\.|^/|\[\d*\]`)

func (f *fieldFile) readPath(n *yaml.Node) (err error) {
	p := Path{Unit: Auto}
	if n.Kind != yaml.MappingNode {
		p.Name, err = word(n)
	} else {
		err = members(n, "a path", map[string]func(*yaml.Node) error{
			"path": func(n *yaml.Node) (err error) { p.Name, err = word(n); return err },
			"unit": func(n *yaml.Node) (err error) { p.Unit, err = oneUnit(n); return err },
		})
	}
	if err != nil {
		return err
	}
	const deepest = 10
	switch parts := strings.Split(p.Name, "."); {
	case otherPath.MatchString(p.Name):
		return failure(n, "the path %q is of another language: give names with dots between, such as a.b; paths do not lead into arrays", p.Name)
	case slices.Contains(parts, ""):
		return failure(n, "the path %q has an empty part", p.Name)
	case len(parts) > deepest:
		return failure(n, "the path %q has more than %d parts", p.Name, deepest)
	}
	if p.Unit != Auto && f.given["unit"] == nil {
		return failure(n, "the path %q has a unit, and the field has none: add unit to the field", p.Name)
	}
	f.Paths = append(f.Paths, p)
	return nil
}

func (f *fieldFile) readUntil(n *yaml.Node) error {
	// Quotes, backslashes, letters and digits can be of an escape sequence.
	const signs = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.Trim(n.Value, signs) != "" {
		return failure(n, "until is %q: give the signs at which the text ends, such as ?#", n.Value)
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
		text, err := word(n)
		return string(Bare(Literal(text))), err
	}
	for i := 0; i < len(n.Content); i += 2 {
		from, err := inner(target(n.Content[i]))
		if err != nil {
			return err
		}
		if _, twice := f.values[from]; twice {
			return failure(n.Content[i], "values has %q twice", from)
		}
		if f.values[from], err = inner(target(n.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// Bare returns what is between the quotes of a literal.
func Bare(literal []byte) []byte { return literal[1 : len(literal)-1] }

func (f *fieldFile) readOptions(n *yaml.Node) error {
	if err := n.Decode(&f.Options); err != nil || n.Kind != yaml.MappingNode {
		return failure(n, "mapping is not a mapping of OpenSearch's parameters to values")
	}
	for _, ours := range []string{"type", "ignore_above", "properties", "format"} {
		if _, has := f.Options[ours]; has {
			return failure(n, "mapping has %q, which is not to be set there: remove it", ours)
		}
	}
	if _, err := json.Marshal(f.Options); err != nil {
		return failure(n, "mapping has what JSON cannot say: %v", err)
	}
	return nil
}

// complete checks the field as a whole.
func (f *fieldFile) complete(s *Schema) error {
	if err := f.checkName(s); err != nil {
		return err
	}
	at := func(member string) *yaml.Node {
		if n := f.given[member]; n != nil {
			return n
		}
		return f.at
	}
	t, known := types[f.Type]
	if !known {
		return failure(at("type"), "type %q is not known: give one of %s", f.Type, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
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
		if n := f.given[member.name]; n != nil && !member.ok {
			return failure(n, "%s is for %s only", member.name, member.of)
		}
	}
	if f.Limit == 0 {
		f.Limit = t.limit
	}
	for from := range f.values {
		if f.lowercase && from != strings.ToLower(from) {
			return failure(at("values"), "values has %q, and with lowercase what is looked up is %q", from, strings.ToLower(from))
		}
	}
	// A character is three bytes of UTF-8 at the most, or two characters four.
	if f.Type == "keyword" && f.Limit > MaxTerm/3 {
		return failure(at("ignore_above"), "ignore_above is %d: a keyword of more than %d characters may be more than Lucene takes as a term", f.Limit, MaxTerm/3)
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
		return failure(f.given["name"], "%s is a built-in field: give another name", f.Name)
	case f.Name[0] == '_':
		return failure(f.given["name"], "names that begin with _ are reserved by OpenSearch: give another name")
	case slices.ContainsFunc(strings.Split(f.Name, "."), func(part string) bool { return strings.TrimSpace(part) == "" }):
		return failure(f.given["name"], "the name has an empty part: give one such as a.b")
	}
	for _, other := range s.Fields {
		switch {
		case other.Name == f.Name:
			return failure(f.given["name"], "another field has that name: give another name")
		case strings.HasPrefix(f.Name, other.Name+"."), strings.HasPrefix(other.Name, f.Name+"."):
			return failure(f.given["name"], "%s and %s cannot both exist: one would be a value and an object", f.Name, other.Name)
		}
	}
	return nil
}

// epochs are date formats that are numbers.
var epochs = map[string]Unit{
	"epoch_seconds": Seconds, "epoch_millis": Milliseconds, "epoch_micros": Microseconds, "epoch_nanos": Nanoseconds,
}

// iso8601 are layouts of ISO 8601 and RFC 3339 as log libraries write them.
// Fractions of a second, after a point or a comma, are read where none is named.
var iso8601 = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime}

func (f *fieldFile) readFormats(n *yaml.Node) error {
	if f.Kind == DateKind && f.date == nil {
		f.date = []string{"iso8601", "epoch_millis"}
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
			return failure(n, "the date format %q is not known: give iso8601, epoch_seconds, epoch_millis, epoch_micros, epoch_nanos or a pattern such as %%d/%%b/%%Y:%%H:%%M:%%S %%z", name)
		default:
			layout, err := strftime.Layout(name)
			switch {
			case err != nil:
				return failure(n, "the date format %q cannot be read: %w: give a pattern such as %%d/%%b/%%Y:%%H:%%M:%%S %%z", name, err)
			case !strings.Contains(layout, "06"), strings.Contains(layout, "MST"):
				return failure(n, "the date format %q tells no moment: it needs a year, and %%z in place of %%Z", name)
			}
			f.formats = append(f.formats, dateFormat{layout: layout})
		}
	}
	return nil
}

// checkOrigin checks where the value comes from.
func (f *fieldFile) checkOrigin(at func(string) *yaml.Node) error {
	origins := 0
	for _, has := range []bool{f.Paths != nil, f.Origin != "", f.constant != nil} {
		if has {
			origins++
		}
	}
	switch {
	case origins != 1:
		return failure(f.at, "give exactly one of paths, from and value")
	case f.given["pattern"] != nil && f.Origin != FromGroup && f.Origin != FromStream:
		return failure(at("pattern"), "pattern is for from: log_group and from: log_stream only")
	case f.Pattern != nil && f.Pattern.NumSubexp() == 0:
		return failure(at("pattern"), "the pattern has no group in parentheses, which is the value")
	case f.constant != nil:
		f.Origin = FromValue
		v := Value{Text: Bare(Literal(*f.constant)), Quoted: true}
		literal, how := []byte(nil), Nothing
		if !v.Absent() {
			literal, how = f.Append(nil, v, Auto)
		}
		if how != Fits {
			return failure(at("value"), "%q is not a value of type %s", *f.constant, f.Type)
		}
		f.Constant = literal
	case f.Origin != "" && f.Pattern == nil && (f.lowercase || f.until != "" || f.values != nil):
		return failure(f.at, "lowercase, until and values are for paths, values and patterns: what comes from %s stays as it is", f.Origin)
	case f.Origin != "" && f.Kind != TextKind:
		return failure(at("type"), "what comes from %s is a text: make it a keyword", f.Origin)
	case f.Origin == "":
		f.Origin = FromJSON
	}
	return nil
}
