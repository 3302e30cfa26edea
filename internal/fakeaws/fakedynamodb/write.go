package fakedynamodb

import "slices"

// writeInput is the part of an input that all writes of one item have.
type writeInput struct {
	unsupported
	capacityRequest
	substitutes
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
}

type writeOutput struct {
	Attributes       item      `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// write is a prepared write of one item.
type write struct {
	table       *table
	row         *row
	condition   *bound
	before      item
	after       item // nil if the item is deleted
	wantsFailed bool // return the item if the condition fails
}

// plan prepares the write of an item, which is given by its key or as a whole.
func (d *DynamoDB) plan(in *writeInput, x *expressions, key item, whole bool) (*write, error) {
	w := &write{condition: x.condition("ConditionExpression", in.ConditionExpression)}
	if err := x.done(); err != nil {
		return nil, err
	}
	switch in.ReturnValuesOnConditionCheckFailure {
	case "", "NONE":
	case "ALL_OLD":
		w.wantsFailed = true
	default:
		return nil, invalidf("ReturnValuesOnConditionCheckFailure must be ALL_OLD or NONE, it is %q", in.ReturnValuesOnConditionCheckFailure)
	}
	var err error
	if w.table, err = d.table(in.TableName); err != nil {
		return nil, err
	}
	if whole {
		w.row, err = w.table.rowOf(key)
	} else {
		w.row, err = w.table.rowOfKey(key)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range x.used {
		if err := w.table.scalarKeys((&bound{e, x.substitutes}).named()); err != nil {
			return nil, err
		}
	}
	_, w.before = w.table.find(w.row)
	return w, nil
}

// do checks the condition, computes the new item, stores it and bills the write.
func (d *DynamoDB) do(w *write, in *writeInput, after func() (item, error)) (*writeOutput, error) {
	if !w.condition.isTrueFor(w.before) {
		d.billWrite(w.before, nil)
		failed := &APIError{Code: codeCondition, Message: "The conditional request failed"}
		if w.wantsFailed {
			failed.item = w.before
		}
		return nil, failed
	}
	var err error
	if w.after, err = after(); err != nil {
		return nil, err
	}
	d.store(w.table, w.row, w.after)
	return &writeOutput{ConsumedCapacity: in.of(w.table, d.billWrite(w.before, w.after))}, nil
}

// returnValues checks the ReturnValues of a write.
func (in *writeInput) returnValues(allowed ...string) error {
	if in.ReturnValues == "" || in.ReturnValues == "NONE" || slices.Contains(allowed, in.ReturnValues) {
		return nil
	}
	return invalidf("Return values set to invalid value")
}

// returned returns the attributes that a request asks for. For an attribute that an update
// changes in part, UPDATED_OLD and UPDATED_NEW return all of it, like DynamoDB Local.
func (in *writeInput) returned(w *write, update *bound) item {
	from := w.before
	switch in.ReturnValues {
	case "ALL_OLD":
		return w.before
	case "ALL_NEW":
		return w.after
	case "UPDATED_OLD":
	case "UPDATED_NEW":
		from = w.after
	default:
		return nil
	}
	out := make(item)
	if update != nil {
		for _, a := range update.actions {
			p := a.path.named(update.ExpressionAttributeNames)
			if _, found := from.get(p); found {
				out[p[0].name] = from[p[0].name]
			}
		}
	}
	return out
}

func tooLarge(it item) error {
	if it.size() > maxItem {
		return invalidf("Item size has exceeded the maximum allowed size")
	}
	return nil
}
