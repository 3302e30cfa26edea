package fakedynamodb

// deleteTable:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
func (d *DynamoDB) deleteTable(in *tableRef) (any, error) {
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, err
	}
	delete(d.tables, t.name)
	return map[string]any{"TableDescription": t.describe()}, nil
}
