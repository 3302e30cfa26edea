package fakedynamodb

type getItemInput struct {
	unsupported
	capacityRequest
	TableName                string
	Key                      item
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

type getItemOutput struct {
	Item             *item     `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// getItem:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
func (d *DynamoDB) getItem(in *getItemInput) (any, error) {
	x := d.expressions(substitutes{ExpressionAttributeNames: in.ExpressionAttributeNames})
	paths := x.projection(in.ProjectionExpression)
	if err := x.done(); err != nil {
		return nil, err
	}
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, err
	}
	r, err := t.rowOfKey(in.Key)
	if err == nil {
		err = t.scalarKeys(paths)
	}
	if err != nil {
		return nil, err
	}
	_, found := t.find(r)
	out := getItemOutput{ConsumedCapacity: in.of(t, d.billRead(found.size(), in.ConsistentRead))}
	if found != nil {
		projected := found.project(paths)
		out.Item = &projected
	}
	return out, nil
}
