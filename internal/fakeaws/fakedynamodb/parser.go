package fakedynamodb

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Operations of expressions. A comparator, AND, OR, NOT, BETWEEN, IN and the functions are
// named as they are written.
const (
	opPath  = "path"
	opValue = "value"
)

// expr is a condition or an operand.
type expr struct {
	op     string
	path   path   // for opPath
	name   string // for opValue, with its colon
	args   []*expr
	parens bool // it stands in parentheses
}

// isCondition reports whether the expression is a condition, as opposed to an operand.
func (e *expr) isCondition() bool {
	switch e.op {
	case opPath, opValue, "size", "if_not_exists", "list_append", "+", "-":
		return false
	}
	return true
}

// action is one change of an update.
type action struct {
	clause string // SET, REMOVE, ADD or DELETE
	path   path
	value  *expr // nil for REMOVE
}

// expression is a parsed expression. It is cached for other requests with the same text, so
// names and values are not replaced yet.
type expression struct {
	condition *expr
	actions   []action
	paths     []path   // all paths, except those that an update changes
	names     []string // each #name
	values    []string // each :value
}

var (
	comparators       = []string{"=", "<>", "<", "<=", ">", ">="}
	clauses           = []string{"SET", "REMOVE", "ADD", "DELETE"}
	conditionalArity  = map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2, "size": 1}
	updatingArity     = map[string]int{"if_not_exists": 2, "list_append": 2}
	maxOperandsOfIN   = 100
	maxExpressionSize = 4 << 10
)

// parser is a recursive descent parser for the grammars of
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
type parser struct {
	tokens []token
	arity  map[string]int // of the functions that are allowed here
	out    expression
}

// parse parses a whole expression with one of the parser's methods.
func parse(text string, arity map[string]int, read func(*parser) error) (*expression, error) {
	switch {
	case text == "":
		return nil, invalidf("The expression can not be empty;")
	case len(text) > maxExpressionSize:
		return nil, invalidf("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, arity: arity}
	if err := read(p); err != nil {
		return nil, err
	}
	return &p.out, p.expect("")
}

func parseCondition(text string) (*expression, error) {
	return parse(text, conditionalArity, func(p *parser) (err error) {
		if p.out.condition, err = p.or(); err == nil && !p.out.condition.isCondition() {
			err = p.unexpected()
		}
		return err
	})
}

func parseProjection(text string) (*expression, error) {
	return parse(text, nil, func(p *parser) error {
		_, err := commas(p, func() (*expr, error) { return p.pathOperand() })
		return err
	})
}

func parseUpdate(text string) (*expression, error) {
	return parse(text, updatingArity, (*parser).update)
}

func (p *parser) next() token {
	t := p.tokens[0]
	if t.text != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) unexpected() error { return syntaxError(p.tokens[0].text) }

// accept consumes a symbol or a keyword if it is next.
func (p *parser) accept(texts ...string) (string, bool) {
	upper := strings.ToUpper(p.tokens[0].text)
	if !slices.Contains(texts, upper) {
		return "", false
	}
	p.next()
	return upper, true
}

func (p *parser) expect(text string) error {
	if _, ok := p.accept(text); !ok {
		return p.unexpected()
	}
	return nil
}

// commas parses a comma-separated list of one or more elements.
func commas[T any](p *parser, read func() (T, error)) ([]T, error) {
	for list := []T(nil); ; {
		e, err := read()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		if _, more := p.accept(","); !more {
			return list, nil
		}
	}
}

func (p *parser) or() (*expr, error)  { return p.binary("OR", p.and) }
func (p *parser) and() (*expr, error) { return p.binary("AND", p.not) }

// binary parses conditions joined by a left-associative operator.
func (p *parser) binary(word string, read func() (*expr, error)) (*expr, error) {
	left, err := read()
	for err == nil {
		if _, ok := p.accept(word); !ok {
			return left, nil
		}
		var right *expr
		if right, err = read(); err == nil && (!left.isCondition() || !right.isCondition()) {
			err = p.unexpected()
		}
		left = &expr{op: word, args: []*expr{left, right}}
	}
	return nil, err
}

func (p *parser) not() (*expr, error) {
	if _, ok := p.accept("NOT"); !ok {
		return p.comparison()
	}
	e, err := p.not()
	if err == nil && !e.isCondition() {
		err = p.unexpected()
	}
	return &expr{op: "NOT", args: []*expr{e}}, err
}

func (p *parser) comparison() (*expr, error) {
	first, err := p.operand(p.or)
	if err != nil || first.isCondition() {
		return first, err
	}
	e := &expr{args: []*expr{first}}
	var ok bool
	if e.op, ok = p.accept(comparators...); ok {
		return e, p.values(e)
	}
	if e.op, ok = p.accept("BETWEEN"); ok {
		if err := p.values(e); err != nil {
			return nil, err
		}
		if err := p.expect("AND"); err != nil {
			return nil, err
		}
		return e, p.values(e)
	}
	if e.op, ok = p.accept("IN"); ok {
		if err := p.expect("("); err != nil {
			return nil, err
		}
		_, err := commas(p, func() (*expr, error) { return nil, p.values(e) })
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	}
	return first, nil
}

// values parses one more operand of an expression.
func (p *parser) values(e *expr) error {
	arg, err := p.operand(p.or)
	if err == nil && arg.isCondition() {
		err = p.unexpected()
	}
	e.args = append(e.args, arg)
	return err
}

// operand parses a path, a value, a function or a parenthesized expression.
func (p *parser) operand(inner func() (*expr, error)) (*expr, error) {
	t := p.tokens[0].text
	switch {
	case t == "(":
		p.next()
		e, err := inner()
		if err != nil {
			return nil, err
		}
		if e.parens {
			return nil, invalidf("The expression has redundant parentheses;")
		}
		e.parens = true
		return e, p.expect(")")
	case strings.HasPrefix(t, ":"):
		p.next()
		p.out.values = appendUnique(p.out.values, t)
		return &expr{op: opValue, name: t}, nil
	case t != "" && isLetter(t[0]) && p.tokens[1].text == "(":
		return p.function()
	}
	return p.pathOperand()
}

func (p *parser) function() (*expr, error) {
	e := &expr{op: p.next().text}
	want, known := p.arity[e.op]
	if !known {
		return nil, invalidf("Invalid function name; function: %s", e.op)
	}
	p.next()
	var err error
	if e.args, err = commas(p, func() (*expr, error) { return p.operand(p.or) }); err != nil {
		return nil, err
	}
	if len(e.args) != want {
		return nil, invalidf("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", e.op, len(e.args))
	}
	if slices.ContainsFunc(e.args, (*expr).isCondition) {
		return nil, p.unexpected()
	}
	return e, p.expect(")")
}

func (p *parser) pathOperand() (*expr, error) {
	path, err := p.path()
	p.out.paths = append(p.out.paths, path)
	return &expr{op: opPath, path: path}, err
}

func (p *parser) path() (path, error) {
	var out path
	for {
		switch name := p.tokens[0].text; {
		case strings.HasPrefix(name, "#"):
			p.out.names = appendUnique(p.out.names, name)
		case name == "" || !isLetter(name[0]):
			return nil, p.unexpected()
		case reserved[strings.ToUpper(name)]:
			return nil, invalidf("Attribute name is a reserved keyword; reserved keyword: %s", name)
		}
		out = append(out, step{name: p.next().text})
		for {
			if _, ok := p.accept("["); !ok {
				break
			}
			text := p.tokens[0].text
			if text == "" || !isDigit(text[0]) {
				return nil, p.unexpected()
			}
			index, err := strconv.Atoi(p.next().text)
			if err != nil || index > math.MaxInt32 {
				return nil, invalidf("List index is not within the allowable range; index: [%s]", text)
			}
			out = append(out, step{index: index})
			if err := p.expect("]"); err != nil {
				return nil, err
			}
		}
		if _, ok := p.accept("."); !ok {
			return out, nil
		}
	}
}

func (p *parser) update() error {
	var seen []string
	for len(seen) == 0 || p.tokens[0].text != "" {
		clause, ok := p.accept(clauses...)
		if !ok {
			return p.unexpected()
		}
		if slices.Contains(seen, clause) {
			return invalidf("The %q section can only be used once in an update expression;", clause)
		}
		seen = append(seen, clause)
		actions, err := commas(p, func() (action, error) { return p.action(clause) })
		if err != nil {
			return err
		}
		p.out.actions = append(p.out.actions, actions...)
	}
	return nil
}

func (p *parser) action(clause string) (action, error) {
	target, err := p.path()
	a := action{clause: clause, path: target}
	switch {
	case err != nil || clause == "REMOVE":
	case clause == "SET":
		if err = p.expect("="); err == nil {
			a.value, err = p.sum()
		}
	case !strings.HasPrefix(p.tokens[0].text, ":"): // ADD and DELETE take values only
		err = p.unexpected()
	default:
		a.value, err = p.operand(p.sum)
	}
	return a, err
}

// sum parses the value in a SET action: an operand, or two operands joined by + or -.
func (p *parser) sum() (*expr, error) {
	left, err := p.operand(p.sum)
	if err != nil {
		return nil, err
	}
	op, ok := p.accept("+", "-")
	if !ok {
		return left, nil
	}
	right, err := p.operand(p.sum)
	if err == nil && (isSum(left) || isSum(right)) {
		err = p.unexpected()
	}
	return &expr{op: op, args: []*expr{left, right}}, err
}

func isSum(e *expr) bool { return e.op == "+" || e.op == "-" }

// appendUnique appends a text unless the list has it.
func appendUnique(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
