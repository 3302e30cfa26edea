package mapping

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"logsluice/subscription"
)

// rule decides whether an event becomes a document. All its conditions must hold.
type rule struct {
	keep                   bool
	group, stream, message *regexp.Regexp
	fields                 []condition
}

// condition holds if a field has one of some values, as documents have them.
type condition struct {
	field  int
	values map[string]bool
}

func (s *Schema) readRule(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode && len(n.Content) > 2 {
		return failure(n, "a rule is one of drop and keep, and several are a list: put - before each, such as - drop: {message: GET /healthz}")
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return failure(n, "a rule is one of drop and keep, with its conditions: drop: {message: GET /healthz}")
	}
	var r rule
	read := func(n *yaml.Node) error {
		if n.Tag == "!!null" {
			return nil
		}
		return members(n, "a rule", map[string]func(*yaml.Node) error{
			"log_group":  func(n *yaml.Node) (err error) { r.group, err = conditionOf(n); return err },
			"log_stream": func(n *yaml.Node) (err error) { r.stream, err = conditionOf(n); return err },
			"message":    func(n *yaml.Node) (err error) { r.message, err = conditionOf(n); return err },
			"fields": func(n *yaml.Node) error {
				known := map[string]func(*yaml.Node) error{}
				for i := range s.Fields {
					known[s.Fields[i].Name] = func(n *yaml.Node) error {
						c, err := s.readCondition(i, n)
						r.fields = append(r.fields, c)
						return err
					}
				}
				return members(n, "the fields of a rule", known)
			},
		})
	}
	err := members(n, "a rule", map[string]func(*yaml.Node) error{
		"keep": func(n *yaml.Node) error { r.keep = true; return read(n) },
		"drop": read,
	})
	if err == nil && r.group == nil && r.stream == nil && r.message == nil && r.fields == nil {
		return failure(n, "the rule has no condition, so it would decide about every event: give one, such as {message: GET /healthz}, or remove the rule")
	}
	s.rules = append(s.rules, r)
	return err
}

// conditionOf reads an expression that does not match every text.
func conditionOf(n *yaml.Node) (*regexp.Regexp, error) {
	re, err := expression(n)
	// All that can be typed, so that neither ^$ nor ^[a-z]*$ matches it.
	const anything = "~ !AZaz09\x00ü"
	glob := strings.Index(n.Value, "/*")
	switch {
	case err != nil:
		return nil, err
	case re.MatchString("") && re.MatchString(anything):
		return nil, failure(n, "%q matches every text: give an expression such as GET /healthz, or remove the condition", n.Value)
	case glob >= 0:
		return nil, failure(n, "%q is a regular expression, in which * after / stands for more slashes: give %q", n.Value, "^"+strings.TrimPrefix(n.Value[:glob+1], "^"))
	}
	return re, nil
}

// checkLast refuses a keep that decides nothing, as what no rule decides is kept.
func (s *Schema) checkLast(rules *yaml.Node) error {
	if last := len(s.rules) - 1; last >= 0 && s.rules[last].keep {
		return failure(rules, "keep has no effect as the last rule, as what no rule decides is kept: end with drop: {log_group: .} to drop the rest, or remove it")
	}
	return nil
}

func (s *Schema) readCondition(field int, n *yaml.Node) (condition, error) {
	f := &s.Fields[field]
	c := condition{field, map[string]bool{}}
	if f.origin != fromJSON || f.kind != ofText && f.kind != ofInteger && f.kind != ofBoolean {
		return c, failure(n, "rules cannot look at field %q: they can at keywords, whole numbers and booleans of the line's JSON", f.Name)
	}
	list, err := words(n)
	for _, text := range list {
		literal, how := f.append(nil, value{bare(literalOf(text)), true}, auto)
		if how != fits {
			return c, failure(n, "%q is not a value of field %q: give one that its documents can have", text, f.Name)
		}
		c.values[string(literal)] = true
	}
	if err == nil && len(list) == 0 {
		return c, failure(n, "field %q has no value to look for: give one or remove the condition", f.Name)
	}
	return c, err
}

// concerns tells whether the rule's conditions on the envelope hold.
func (r *rule) concerns(e *subscription.Envelope) bool {
	return (r.group == nil || r.group.MatchString(e.LogGroup.String())) &&
		(r.stream == nil || r.stream.MatchString(e.LogStream.String()))
}

// holds tells whether its conditions on the event do.
func (r *rule) holds(x *extract, message func() []byte) bool {
	for _, c := range r.fields {
		if f := x.found[c.field]; f.rank == 0 || !c.values[string(x.values[f.from:f.to])] {
			return false
		}
	}
	return r.message == nil || r.message.Match(message())
}
