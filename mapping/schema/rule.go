package schema

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rule determines whether an event becomes a document. All its conditions must be met.
type Rule struct {
	// Keep reports whether the event becomes a document; otherwise it is dropped.
	Keep bool
	// Group, Stream and Message must match the names of the log group and the log stream,
	// and the line. nil matches everything.
	Group, Stream, Message *regexp.Regexp
	// Fields are conditions on fields in the line.
	Fields []Condition
}

// Condition is met if a field, given by its index, has one of the values, which are JSON
// as in documents.
type Condition struct {
	Field  int
	Values map[string]bool
}

func (s *Schema) readRule(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode && len(n.Content) > 2 {
		return failure(n, "a rule is either drop or keep: write several rules as a list, such as - drop: {message: GET /healthz}")
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return failure(n, "a rule is either drop or keep, with conditions: drop: {message: GET /healthz}")
	}
	var r Rule
	read := func(n *yaml.Node) error {
		if n.Tag == "!!null" {
			return nil
		}
		return members(n, "a rule", map[string]func(*yaml.Node) error{
			"log_group":  func(n *yaml.Node) (err error) { r.Group, err = conditionOf(n); return err },
			"log_stream": func(n *yaml.Node) (err error) { r.Stream, err = conditionOf(n); return err },
			"message":    func(n *yaml.Node) (err error) { r.Message, err = conditionOf(n); return err },
			"fields": func(n *yaml.Node) error {
				known := map[string]func(*yaml.Node) error{}
				for i := range s.Fields {
					known[s.Fields[i].Name] = func(n *yaml.Node) error {
						c, err := s.readCondition(i, n)
						r.Fields = append(r.Fields, c)
						return err
					}
				}
				return members(n, "the fields of a rule", known)
			},
		})
	}
	err := members(n, "a rule", map[string]func(*yaml.Node) error{
		"keep": func(n *yaml.Node) error { r.Keep = true; return read(n) },
		"drop": read,
	})
	if err == nil && r.Group == nil && r.Stream == nil && r.Message == nil && r.Fields == nil {
		return failure(n, "the rule has no condition, so it would match every event: add one, such as {message: GET /healthz}, or remove the rule")
	}
	s.Rules = append(s.Rules, r)
	return err
}

// conditionOf reads an expression. It returns an error if that matches every text.
func conditionOf(n *yaml.Node) (*regexp.Regexp, error) {
	re, err := expression(n)
	// It has various characters, so that neither ^$ nor ^[a-z]*$ matches it.
	const anything = "~ !AZaz09\x00ü"
	glob := strings.Index(n.Value, "/*")
	switch {
	case err != nil:
		return nil, err
	case re.MatchString("") && re.MatchString(anything):
		return nil, failure(n, "%q matches every text: use an expression such as GET /healthz, or remove the condition", n.Value)
	case glob >= 0:
		return nil, failure(n, "%q is a regular expression, in which * after / matches more slashes: use %q", n.Value, "^"+strings.TrimPrefix(n.Value[:glob+1], "^"))
	}
	return re, nil
}

// checkLast returns an error if the last rule is a keep. It has no effect, because events
// that no rule matches are kept.
func (s *Schema) checkLast(rules *yaml.Node) error {
	if last := len(s.Rules) - 1; last >= 0 && s.Rules[last].Keep {
		return failure(rules, "keep has no effect as the last rule, because events that no rule matches are kept: end with drop: {log_group: .} to drop the rest, or remove it")
	}
	return nil
}

func (s *Schema) readCondition(field int, n *yaml.Node) (Condition, error) {
	f := &s.Fields[field]
	c := Condition{field, map[string]bool{}}
	if f.Origin != FromJSON || f.Kind != TextKind && f.Kind != IntegerKind && f.Kind != BooleanKind {
		return c, failure(n, "rules cannot use field %q: they can use keywords, whole numbers and booleans from the line's JSON", f.Name)
	}
	list, err := stringsOf(n)
	for _, text := range list {
		literal, how := f.Append(nil, Value{TrimQuotes(Literal(text)), true}, Auto, nil)
		if how != Fits {
			return c, failure(n, "%q is not a value of field %q: use one that its documents can have", text, f.Name)
		}
		c.Values[string(literal)] = true
	}
	if err == nil && len(list) == 0 {
		return c, failure(n, "field %q has no value to match: add one, or remove the condition", f.Name)
	}
	return c, err
}
