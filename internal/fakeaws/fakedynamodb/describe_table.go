package fakedynamodb

type tableRef struct{ TableName string }

// describeTable:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
func (d *DynamoDB) describeTable(in *tableRef) (any, error) {
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Table": t.describe()}, nil
}

// describe returns a TableDescription. Its counts are current, not some hours old.
func (t *table) describe() any {
	bytes := 0
	for _, r := range t.rows {
		bytes += r.item.size()
	}
	m := map[string]any{
		"TableName": t.name, "TableArn": arn + t.name, "TableStatus": "ACTIVE",
		"KeySchema": t.description.KeySchema, "AttributeDefinitions": t.description.AttributeDefinitions,
		"CreationDateTime": float64(t.created.UnixMilli()) / 1000,
		"ItemCount":        len(t.rows), "TableSizeBytes": bytes,
		"ProvisionedThroughput": throughput{},
	}
	if t.description.BillingMode == onDemand {
		m["BillingModeSummary"] = map[string]any{"BillingMode": onDemand}
	} else {
		m["ProvisionedThroughput"] = t.description.ProvisionedThroughput
	}
	return m
}
