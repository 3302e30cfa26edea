package fakedynamodb

import "slices"

// substitutes are the names and values for the placeholders in a request's expressions.
type substitutes struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]value
}

// bound is an expression with its substitutes.
type bound struct {
	*expression
	substitutes
}

// expressions binds the expressions of one request.
type expressions struct {
	d           *DynamoDB
	substitutes substitutes
	used        []*expression
	err         error
}

func (d *DynamoDB) expressions(s substitutes) *expressions {
	return &expressions{d: d, substitutes: s}
}

func (x *expressions) condition(member string, text *string) *bound {
	return x.bind(member, text, parseCondition)
}

func (x *expressions) update(text *string) *bound {
	b := x.bind("UpdateExpression", text, parseUpdate)
	if b == nil {
		return nil
	}
	targets := make([]path, len(b.actions))
	for i, a := range b.actions {
		targets[i] = a.path.named(b.ExpressionAttributeNames)
	}
	x.fail("UpdateExpression", clash(targets))
	return b
}

// projection returns nil paths without a projection.
func (x *expressions) projection(text *string) []path {
	b := x.bind("ProjectionExpression", text, parseProjection)
	if b == nil {
		return nil
	}
	paths := b.named()
	x.fail("ProjectionExpression", clash(paths))
	return paths
}

// bind parses an expression, or takes it from the cache, and checks everything that can be
// checked without an item. It returns nil if the text is empty.
func (x *expressions) bind(member string, text *string, parse func(string) (*expression, error)) *bound {
	if text == nil || x.err != nil {
		return nil
	}
	key := member + " " + *text
	e, ok := x.d.parsed[key]
	if !ok {
		var err error
		if e, err = parse(*text); err != nil {
			x.fail(member, err)
			return nil
		}
		x.d.parsed[key] = e
	}
	x.used = append(x.used, e)
	b := &bound{e, x.substitutes}
	for _, name := range e.names {
		if _, ok := b.ExpressionAttributeNames[name]; !ok {
			x.fail(member, invalidf("An expression attribute name used in the document path is not defined; attribute name: %s", name))
			return nil
		}
	}
	for _, name := range e.values {
		if _, ok := b.ExpressionAttributeValues[name]; !ok {
			x.fail(member, invalidf("An expression attribute value used in expression is not defined; attribute value: %s", name))
			return nil
		}
	}
	if e.condition != nil {
		x.fail(member, b.check(e.condition))
	}
	for _, a := range e.actions {
		x.fail(member, b.checkAction(a))
	}
	return b
}

// fail records the first error.
func (x *expressions) fail(member string, err error) {
	if err != nil && x.err == nil {
		x.err = invalidf("Invalid %s: %s", member, err.(*APIError).Message) //nolint:errorlint,forcetypeassert // our own
	}
}

// done returns the first error. A substitute that no expression uses is an error, too.
func (x *expressions) done() error {
	names, values := x.substitutes.ExpressionAttributeNames, x.substitutes.ExpressionAttributeValues
	switch {
	case x.err != nil:
		return x.err
	case names != nil && len(names) == 0:
		return invalidf("ExpressionAttributeNames must not be empty")
	case values != nil && len(values) == 0:
		return invalidf("ExpressionAttributeValues must not be empty")
	}
	for name, attribute := range names {
		if !isSubstitute(name, '#') {
			return invalidf("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", name)
		}
		if attribute == "" {
			return invalidf("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", name)
		}
		if !slices.ContainsFunc(x.used, func(e *expression) bool { return slices.Contains(e.names, name) }) {
			return invalidf("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range values {
		if !isSubstitute(name, ':') {
			return invalidf("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", name)
		}
		if !slices.ContainsFunc(x.used, func(e *expression) bool { return slices.Contains(e.values, name) }) {
			return invalidf("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	return nil
}

func isSubstitute(name string, mark byte) bool {
	for i := 1; i < len(name); i++ {
		if !isWord(name[i]) {
			return false
		}
	}
	return len(name) > 1 && name[0] == mark
}

// named returns the paths of an expression with their #names replaced.
func (b *bound) named() []path {
	paths := make([]path, len(b.paths))
	for i, p := range b.paths {
		paths[i] = p.named(b.ExpressionAttributeNames)
	}
	return paths
}

// kindOf returns the kind of an operand if it is known without an item, or "".
func (b *bound) kindOf(e *expr) kind {
	switch e.op {
	case opValue:
		return b.ExpressionAttributeValues[e.name].kind
	case "size", "+", "-":
		return kindN
	case "list_append":
		return kindL
	}
	return ""
}

// check returns an error if an expression is invalid for any item.
func (b *bound) check(e *expr) error {
	for _, arg := range e.args {
		if err := b.check(arg); err != nil {
			return err
		}
	}
	switch e.op {
	case "=", "<>":
		return b.checkDistinct(e)
	case "<", "<=", ">", ">=":
		return firstError(b.checkDistinct(e), b.checkOperands(e, kind.isOrdered))
	case "BETWEEN":
		return firstError(b.checkDistinct(e), b.checkOperands(e, kind.isOrdered), b.checkBounds(e))
	case "IN":
		if n := len(e.args) - 1; n > maxOperandsOfIN {
			return invalidf("The IN operator is provided with too many operands; number of operands: %d", n)
		}
		return b.checkDistinct(e)
	case "attribute_exists", "attribute_not_exists", "if_not_exists":
		if e.args[0].op != opPath {
			return invalidf("Operator or function requires a document path; operator or function: %s", e.op)
		}
		return b.checkDistinct(e)
	case "attribute_type":
		name := b.ExpressionAttributeValues[e.args[1].name]
		if name.kind != kindS {
			return incorrectOperand(e.op, name.kind)
		}
		if !slices.Contains(kinds, kind(name.text)) {
			return invalidf("Invalid attribute type name found; type: %s, valid types: %v", name.text, kinds)
		}
	case "begins_with":
		return firstError(b.checkDistinct(e), b.checkOperands(e, func(k kind) bool { return k == kindS || k == kindB }))
	case "contains":
		return b.checkDistinct(e)
	case "size":
		return b.checkOperands(e, func(k kind) bool { return k != kindN && k != kindBool && k != kindNull })
	case "list_append":
		return b.checkOperands(e, func(k kind) bool { return k == kindL })
	case "+", "-":
		return b.checkOperands(e, func(k kind) bool { return k == kindN })
	}
	return nil
}

func (b *bound) checkAction(a action) error {
	k := kind("")
	if a.value != nil {
		if err := b.check(a.value); err != nil {
			return err
		}
		k = b.kindOf(a.value)
	}
	if (a.clause == "ADD" && k != kindN && !k.isSet()) || (a.clause == "DELETE" && !k.isSet()) {
		return invalidf("Incorrect operand type for operator or function; operator: %s, operand type: %s", a.clause, k)
	}
	return nil
}

// checkOperands checks the operands whose kind is known.
func (b *bound) checkOperands(e *expr, allowed func(kind) bool) error {
	for _, arg := range e.args {
		if k := b.kindOf(arg); k != "" && !allowed(k) {
			return incorrectOperand(e.op, k)
		}
	}
	return nil
}

func incorrectOperand(op string, k kind) error {
	return invalidf("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, k)
}

// checkDistinct returns an error if a path is compared with itself.
func (b *bound) checkDistinct(e *expr) error {
	first := e.args[0]
	for _, arg := range e.args[1:] {
		if first.op == opPath && arg.op == opPath && slices.Equal(first.path.named(b.ExpressionAttributeNames), arg.path.named(b.ExpressionAttributeNames)) {
			return invalidf("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", e.op, first.path)
		}
	}
	return nil
}

// checkBounds checks the bounds of BETWEEN if both are values.
func (b *bound) checkBounds(e *expr) error {
	if e.args[1].op != opValue || e.args[2].op != opValue {
		return nil
	}
	lower, upper := b.ExpressionAttributeValues[e.args[1].name], b.ExpressionAttributeValues[e.args[2].name]
	if lower.kind != upper.kind {
		return invalidf("The BETWEEN operator requires same data type for lower and upper bounds")
	}
	if lower.compare(upper) > 0 {
		return invalidf("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
