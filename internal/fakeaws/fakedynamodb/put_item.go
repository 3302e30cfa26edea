package fakedynamodb

type putItemInput struct {
	writeInput
	Item item
}

// putItem:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
func (d *DynamoDB) putItem(in *putItemInput) (any, error) {
	if _, empty := in.Item[""]; empty {
		return nil, invalidf("One or more parameter values were invalid: An AttributeValue may not have an empty name")
	}
	w, err := d.plan(&in.writeInput, d.expressions(in.substitutes), in.Item, true)
	if err == nil {
		err = tooLarge(in.Item)
	}
	if err == nil {
		err = in.returnValues("ALL_OLD")
	}
	if err != nil {
		return nil, err
	}
	out, err := d.do(w, &in.writeInput, func() (item, error) { return in.Item, nil })
	if err != nil {
		return nil, err
	}
	out.Attributes = in.returned(w, nil)
	return out, nil
}
