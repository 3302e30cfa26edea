package fakedynamodb

type updateItemInput struct {
	writeInput
	Key              item
	UpdateExpression *string
}

// updateItem creates the item if it does not exist:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
func (d *DynamoDB) updateItem(in *updateItemInput) (any, error) {
	x := d.expressions(in.substitutes)
	update := x.update(in.UpdateExpression)
	w, err := d.plan(&in.writeInput, x, in.Key, false)
	if err == nil {
		err = w.table.checkKeyUnchanged(update)
	}
	if err == nil {
		err = in.returnValues("ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	}
	if err != nil {
		return nil, err
	}
	out, err := d.do(w, &in.writeInput, func() (item, error) { return w.table.applyUpdate(w.row, w.before, update) })
	if err != nil {
		return nil, err
	}
	out.Attributes = in.returned(w, update)
	return out, nil
}
