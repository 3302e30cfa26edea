package fakedynamodb

type deleteItemInput struct {
	writeInput
	Key item
}

// deleteItem:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html
func (d *DynamoDB) deleteItem(in *deleteItemInput) (any, error) {
	w, err := d.plan(&in.writeInput, d.expressions(in.substitutes), in.Key, false)
	if err == nil {
		err = in.returnValues("ALL_OLD")
	}
	if err != nil {
		return nil, err
	}
	out, err := d.do(w, &in.writeInput, func() (item, error) { return nil, nil })
	if err != nil {
		return nil, err
	}
	out.Attributes = in.returned(w, nil)
	return out, nil
}
