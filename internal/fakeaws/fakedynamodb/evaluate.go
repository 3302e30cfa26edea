package fakedynamodb

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// isTrueFor reports whether a condition is true for an item. A nil condition is true.
func (b *bound) isTrueFor(it item) bool { return b == nil || b.test(b.condition, it) }

func (b *bound) test(e *expr, it item) bool {
	switch e.op {
	case "AND":
		return b.test(e.args[0], it) && b.test(e.args[1], it)
	case "OR":
		return b.test(e.args[0], it) || b.test(e.args[1], it)
	case "NOT":
		return !b.test(e.args[0], it)
	}
	first, found := b.operand(e.args[0], it)
	switch e.op {
	case "attribute_exists":
		return found
	case "attribute_not_exists":
		return !found
	case "BETWEEN":
		return b.related(">=", first, found, e.args[1], it) && b.related("<=", first, found, e.args[2], it)
	case "IN":
		return slices.ContainsFunc(e.args[1:], func(arg *expr) bool { return b.related("=", first, found, arg, it) })
	}
	return b.related(e.op, first, found, e.args[1], it)
}

// related reports whether a comparison of a value with an operand is true. If one of them
// does not exist, only <> is true.
func (b *bound) related(op string, first value, found bool, arg *expr, it item) bool {
	second, ok := b.operand(arg, it)
	if !found || !ok {
		return op == "<>"
	}
	switch op {
	case "=":
		return first.equal(second)
	case "<>":
		return !first.equal(second)
	case "attribute_type":
		return string(first.kind) == second.text
	case "begins_with":
		return first.kind == second.kind && (first.kind == kindS || first.kind == kindB) && strings.HasPrefix(first.text, second.text)
	case "contains":
		if first.kind == kindS || first.kind == kindB {
			return first.kind == second.kind && strings.Contains(first.text, second.text)
		}
		return slices.ContainsFunc(first.list, second.equal)
	}
	if first.kind != second.kind || !first.kind.isOrdered() {
		return false
	}
	switch c := first.compare(second); op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// operand returns the value of an operand in a condition, if it has one.
func (b *bound) operand(e *expr, it item) (value, bool) {
	switch e.op {
	case opValue:
		return b.ExpressionAttributeValues[e.name], true
	case opPath:
		return it.get(e.path.named(b.ExpressionAttributeNames))
	}
	v, ok := b.operand(e.args[0], it) // of the size function
	if !ok {
		return value{}, false
	}
	n := len(v.list)
	switch v.kind {
	case kindN, kindBool, kindNull:
		return value{}, false
	case kindS:
		n = len(utf16.Encode([]rune(v.text))) // as DynamoDB Local counts
	case kindB:
		n = len(v.text)
	case kindM:
		n = len(v.m)
	}
	return numberValue(integer(n)), true
}

// apply returns the item after an update. Operands are evaluated on the item before the
// update. Elements of lists are removed last, so that indexes also refer to it.
func (b *bound) apply(it item) (item, error) {
	if b == nil {
		return it, nil
	}
	type change struct {
		path path
		to   *value
	}
	var sets, removals []change
	for _, a := range b.actions {
		at := a.path.named(b.ExpressionAttributeNames)
		to, err := b.result(a, at, it)
		switch {
		case err != nil:
			return nil, err
		case to == nil:
			removals = append(removals, change{at, nil})
		default:
			sets = append(sets, change{at, to})
		}
	}
	inOrder := func(x, y change) int { return x.path.compare(y.path) }
	slices.SortStableFunc(sets, inOrder)
	slices.SortStableFunc(removals, inOrder)
	slices.Reverse(removals)
	v := value{kind: kindM, m: it}
	for _, c := range append(sets, removals...) {
		var err error
		if v, err = v.with(c.path, c.to); err != nil {
			return nil, err
		}
	}
	return v.m, nil
}

// result returns the value that an action sets at its path, nil if it removes the value.
func (b *bound) result(a action, at path, it item) (*value, error) {
	if a.clause == "REMOVE" {
		return nil, nil
	}
	operand, err := b.assigned(a.value, it)
	if err != nil || a.clause == "SET" {
		return &operand, err
	}
	old, found := it.get(at)
	switch {
	case !found && a.clause == "DELETE":
		return nil, nil
	case !found:
		return &operand, nil
	case old.kind != operand.kind:
		return nil, incorrectType()
	case old.kind == kindN:
		sum, err := old.num.add(operand.num)
		if err != nil {
			return nil, err
		}
		v := numberValue(sum)
		return &v, nil
	}
	rest := slices.DeleteFunc(slices.Clone(old.list), func(e value) bool { return slices.ContainsFunc(operand.list, e.equal) })
	if a.clause == "ADD" {
		rest = append(rest, operand.list...)
		slices.SortFunc(rest, value.compare)
	}
	if len(rest) == 0 {
		return nil, nil
	}
	return &value{kind: old.kind, list: rest}, nil
}

// assigned returns the value of an operand in an update. It is an error if it has none.
func (b *bound) assigned(e *expr, it item) (value, error) {
	switch e.op {
	case opValue:
		return b.ExpressionAttributeValues[e.name], nil
	case opPath:
		v, found := it.get(e.path.named(b.ExpressionAttributeNames))
		if !found {
			return v, invalidf("The provided expression refers to an attribute that does not exist in the item")
		}
		return v, nil
	case "if_not_exists":
		// The second operand must have a value even if it is not needed.
		other, err := b.assigned(e.args[1], it)
		if v, found := it.get(e.args[0].path.named(b.ExpressionAttributeNames)); found {
			return v, err
		}
		return other, err
	}
	left, err := b.assigned(e.args[0], it)
	if err != nil {
		return left, err
	}
	right, err := b.assigned(e.args[1], it)
	if err != nil {
		return right, err
	}
	if e.op == "list_append" {
		if left.kind != kindL || right.kind != kindL {
			return left, incorrectType()
		}
		return value{kind: kindL, list: slices.Concat(left.list, right.list)}, nil
	}
	if left.kind != kindN || right.kind != kindN {
		return left, incorrectType()
	}
	if e.op == "-" {
		right.num = right.num.negated()
	}
	sum, err := left.num.add(right.num)
	return numberValue(sum), err
}

func incorrectType() error {
	return invalidf("An operand in the update expression has an incorrect data type")
}
