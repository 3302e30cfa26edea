package fakedynamodb

import "slices"

type queryInput struct {
	readInput
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

// query reads the items of one hash key in the order of their range keys:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
func (d *DynamoDB) query(in *queryInput) (any, error) {
	x := d.expressions(in.substitutes)
	condition := x.condition("KeyConditionExpression", in.KeyConditionExpression)
	r, err := d.prepare(&in.readInput, x)
	switch {
	case err != nil:
		return nil, err
	case condition == nil:
		return nil, invalidf("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	hash, err := r.table.hashOf(condition)
	if err != nil {
		return nil, err
	}
	if r.filter != nil {
		for _, p := range r.filter.named() {
			if r.table.isKey(p[0].name) {
				return nil, invalidf("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", p[0].name)
			}
		}
	}
	if r.start != nil && !condition.holds(r.table.keyOf(r.start)) {
		return nil, invalidf("The provided starting key is outside query boundaries based on provided conditions")
	}
	backward := in.ScanIndexForward != nil && !*in.ScanIndexForward
	start, _ := r.table.find(&row{position: positionOf(hash), key: []value{hash}})
	var rows []*row
	for _, at := range r.table.rows[start:] {
		if !at.key[0].equal(hash) {
			break
		}
		behind := true
		if r.start != nil {
			if behind = at.compare(r.start) > 0; backward {
				behind = at.compare(r.start) < 0
			}
		}
		if behind && condition.holds(at.item) {
			rows = append(rows, at)
		}
	}
	if backward {
		slices.Reverse(rows)
	}
	return d.page(&in.readInput, r, rows), nil
}

// hashOf gives the hash key that a key condition asks for, and refuses what is
// no key condition: one equality for the hash key, perhaps one relation for the
// range key.
func (t *table) hashOf(b *bound) (value, error) {
	parts := []*expr{b.condition}
	if b.condition.op == "AND" {
		parts = b.condition.args
	}
	var seen []string
	var hash value
	for _, e := range parts {
		if !slices.Contains([]string{"=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"}, e.op) {
			return hash, invalidf("Invalid operator used in KeyConditionExpression: %s", e.op)
		}
		args := slices.Clone(e.args)
		if slices.Contains(comparators, e.op) && args[0].op == opValue {
			slices.Reverse(args)
		}
		if args[0].op != opPath || slices.ContainsFunc(args[1:], func(arg *expr) bool { return arg.op != opValue }) {
			return hash, invalidf("Invalid condition in KeyConditionExpression: %s must relate an attribute to values", e.op)
		}
		name := args[0].path.named(b.ExpressionAttributeNames)[0].name
		i := slices.IndexFunc(t.key, func(a attribute) bool { return a.name == name })
		if i < 0 || slices.Contains(seen, name) {
			return hash, invalidf("Query condition missed key schema element: %s", t.key[0].name)
		}
		seen = append(seen, name)
		for _, arg := range args[1:] {
			v := b.ExpressionAttributeValues[arg.name]
			if v.kind != t.key[i].kind {
				return hash, invalidf("One or more parameter values were invalid: Condition parameter type does not match schema type")
			}
			if v.kind != kindN && v.text == "" {
				return hash, invalidf("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", name)
			}
			if i == 0 {
				hash = v
			}
		}
		if i == 0 && e.op != "=" {
			return hash, invalidf("Query key condition not supported")
		}
	}
	if hash.kind == "" {
		return hash, invalidf("Query condition missed key schema element: %s", t.key[0].name)
	}
	return hash, nil
}
