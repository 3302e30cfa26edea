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
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"logsluice/subscription"
)

// Parse parses a schema in YAML, as documented in docs/schemas.md. Its error is one line,
// with the line number, and the field if a field is wrong.
func Parse(data []byte) (*Schema, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the file is not UTF-8 text: save it as UTF-8")
	}
	var file, another yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		reason := strings.TrimPrefix(err.Error(), "yaml: ")
		line, rest, hasLine := strings.Cut(reason, ": ")
		if hasLine = hasLine && strings.HasPrefix(line, "line "); hasLine {
			reason = rest
		} else {
			line = "the file" // the library does not number errors of the first line
		}
		remedy := "correct it, with spaces and no tabs before names"
		if strings.Contains(reason, "cannot start any token") {
			remedy = "put quotes around texts that begin with @, % or a backquote, and spaces instead of tabs"
		}
		return nil, fmt.Errorf("%s: this is not YAML: %s: %s", line, reason, remedy)
	}
	if err := decoder.Decode(&another); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one document: remove what comes after ---")
	}
	if len(file.Content) == 0 {
		return nil, errors.New("line 1: the schema is empty: add fields")
	}
	sum := sha256.Sum256(roleMember.ReplaceAll(data, nil))
	s := &Schema{Version: 1, Message: LightText, Rest: RestNone, RestFields: defaultRestFields, source: data, Hash: hex.EncodeToString(sum[:8])}
	for i, n := range file.Content[0].Content {
		if i%2 == 0 && (n.Value == "drop" || n.Value == "keep") {
			return nil, failure(n, "%s is outside rules: write rules: [{%s: {message: GET /healthz}}]", n.Value, n.Value)
		}
	}
	var rules *yaml.Node
	err := members(file.Content[0], "the schema", map[string]func(*yaml.Node) error{
		"name":        func(n *yaml.Node) (err error) { s.Name, err = stringOf(n); return err },
		"version":     func(n *yaml.Node) (err error) { s.Version, err = number(n, math.MaxInt32); return err },
		"fields":      s.readFields,
		"message":     func(n *yaml.Node) (err error) { s.Message, err = oneOf(n, LightText, FullText); return err },
		"rest":        func(n *yaml.Node) (err error) { s.Rest, err = oneOf(n, RestNone, RestFlat, RestDynamic); return err },
		"rest_fields": func(n *yaml.Node) (err error) { s.RestFields, err = number(n, maxRestFields); return err },
		"rules":       func(n *yaml.Node) error { rules = n; return nil },
	})
	if err == nil && rules != nil {
		err = elements(rules, s.readRule) // after all fields, which may follow the rules
		if err == nil {
			err = s.checkLast(rules)
		}
	}
	switch {
	case err != nil:
	case s.RestFields != defaultRestFields && s.Rest != RestDynamic:
		err = failure(file.Content[0], "rest_fields is for rest: dynamic only: remove it, or set rest: dynamic")
	case len(s.Fields) == 0 && rules == nil && s.Rest == RestNone && s.Message == LightText:
		err = failure(file.Content[0], "the schema has neither fields nor rules: add some, or set SCHEMA to plain")
	}
	return s, err
}

// roleMember matches the role of a field. The hash of a schema, which is in the index
// template, excludes roles: they affect only dashboards.
var roleMember = regexp.MustCompile(`(?:\n *|, *)role: *[a-z_]+`)

func (s *Schema) readFields(n *yaml.Node) error {
	if n.Tag == "!!null" {
		return failure(n, "fields is empty: add fields, or remove it to index only the line")
	}
	if n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[1].Kind == yaml.MappingNode && n.Content[0].Value != "mapping" && n.Content[0].Value != "values" {
		return failure(n, "fields is a mapping: use a list, such as - {name: %s, type: keyword, paths: [%s]}", n.Content[0].Value, n.Content[0].Value)
	}
	return elements(n, s.readField)
}

// The default limit of fields in the rest is a tenth of what an index accepts by default.
// The maximum is far more than an index should have.
const (
	defaultRestFields = 100
	maxRestFields     = 10_000
)

// failure returns an error with the line of a node.
func failure(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...)
}

// members reads a mapping with known keys.
func members(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) error {
	if n = resolveAlias(n); n.Kind != yaml.MappingNode {
		return failure(n, "%s: this is not a mapping: write names and values, such as name: value", what)
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := known[key.Value]
		switch {
		case read == nil:
			return failure(key, "%s: %q is unknown: use one of %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case seen[key.Value]:
			return failure(key, "%s: %q is set twice: remove one", what, key.Value)
		}
		seen[key.Value] = true
		if err := read(resolveAlias(value)); err != nil {
			return err
		}
	}
	return nil
}

// resolveAlias returns the node that an alias stands for, or the node itself.
func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// elements reads a list, or a single element instead of a list.
func elements(n *yaml.Node, read func(*yaml.Node) error) error {
	if n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return read(n)
	}
	for _, element := range n.Content {
		if err := read(resolveAlias(element)); err != nil {
			return err
		}
	}
	return nil
}

func stringOf(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", failure(n, "this is not text: put quotes around it if it should be")
	}
	if strings.ContainsFunc(n.Value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' }) {
		return "", failure(n, "%q has control characters: remove them", n.Value)
	}
	return n.Value, nil
}

func stringsOf(n *yaml.Node) (list []string, err error) {
	err = elements(n, func(n *yaml.Node) error {
		w, err := stringOf(n)
		list = append(list, w)
		return err
	})
	return list, err
}

func number(n *yaml.Node, most int) (int, error) {
	const least = 1
	x, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || x < least || x > most {
		return 0, failure(n, "%q is invalid: use a whole number from %d to %d", n.Value, least, most)
	}
	return x, nil
}

func boolOf(n *yaml.Node) (bool, error) {
	var value bool
	if n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
		return false, failure(n, "%q is not a boolean: use true or false", n.Value)
	}
	return value, nil
}

func oneOf[T ~string](n *yaml.Node, choices ...T) (T, error) {
	if n.Kind == yaml.ScalarNode && slices.Contains(choices, T(n.Value)) {
		return T(n.Value), nil
	}
	list := fmt.Sprint(choices)
	return "", failure(n, "%q is invalid: use one of %s", n.Value, strings.ReplaceAll(strings.Trim(list, "[]"), " ", ", "))
}

func oneUnit(n *yaml.Node) (Unit, error) {
	name, err := oneOf(n, slices.Sorted(maps.Keys(units))...)
	return units[name], err
}

func expression(n *yaml.Node) (*regexp.Regexp, error) {
	text, err := stringOf(n)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, failure(n, "an empty expression matches everything: use one such as GET /healthz, or remove the condition")
	}
	re, err := regexp.Compile(text)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		if wrong.Code == syntax.ErrInvalidPerlOp {
			return nil, failure(n, "%q has %s, which Go's regular expressions (RE2) do not support, because they have no lookahead or lookbehind: write it without", text, wrong.Expr)
		}
		return nil, failure(n, "%q is not a regular expression: %s in %q: correct it, with \\ before literal special characters", text, wrong.Code, wrong.Expr)
	}
	return re, err
}

// Literal returns a text as a canonical literal.
func Literal(text string) subscription.Text {
	quoted, _ := json.Marshal(text) // strings always marshal
	literal, _ := subscription.AppendText(nil, quoted)
	return literal
}

// AddConstants adds keyword fields with the same value in all documents.
func (s *Schema) AddConstants(fields map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var n yaml.Node
		if err := n.Encode(map[string]string{"name": name, "type": "keyword", "value": fields[name], "meaning": "set by `CONSTANT_FIELDS`"}); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		if err := s.readField(&n); err != nil {
			_, reason, _ := strings.Cut(err.Error(), ": ") // without the line, which does not exist
			return errors.New(reason)
		}
	}
	return nil
}

// TrimQuotes returns a literal without its quotes.
func TrimQuotes(literal []byte) []byte { return literal[1 : len(literal)-1] }
