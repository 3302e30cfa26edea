package fakedynamodb

import "sort"

type scanInput struct {
	unsupported
	capacityRequest
	substitutes
	TableName            string
	ConsistentRead       bool
	FilterExpression     *string
	ProjectionExpression *string
	Limit                *int
	ExclusiveStartKey    item
}

type scanOutput struct {
	Items            []item
	Count            int
	ScannedCount     int
	LastEvaluatedKey item      `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// scan returns rows in the order of the hashes of the hash keys. If the limit is reached with
// the last row, one more, empty page follows, as in the service:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
func (d *DynamoDB) scan(in *scanInput) (any, error) {
	x := d.expressions(in.substitutes)
	filter := x.condition("FilterExpression", in.FilterExpression)
	paths := x.projection(in.ProjectionExpression)
	if err := x.done(); err != nil {
		return nil, err
	}
	if in.Limit != nil && *in.Limit < 1 {
		return nil, invalidf("Limit must be greater than or equal to 1")
	}
	t, err := d.table(in.TableName)
	if err != nil {
		return nil, err
	}
	for _, e := range x.used {
		if err := t.scalarKeys((&bound{e, x.substitutes}).named()); err != nil {
			return nil, err
		}
	}
	rows := t.rows
	if in.ExclusiveStartKey != nil {
		start, err := t.rowOfKey(in.ExclusiveStartKey)
		if err != nil {
			return nil, invalidf("The provided starting key is invalid: %v", err)
		}
		rows = rows[sort.Search(len(rows), func(i int) bool { return rows[i].compare(start) > 0 }):]
	}
	out := &scanOutput{Items: []item{}}
	bytes := 0
	for i, at := range rows {
		bytes += at.item.size()
		out.ScannedCount++
		if filter.isTrueFor(at.item) {
			out.Count++
			out.Items = append(out.Items, at.item.project(paths))
		}
		if (in.Limit != nil && i+1 == *in.Limit) || bytes >= d.options.PageBytes {
			out.LastEvaluatedKey = t.keyOf(at)
			break
		}
	}
	out.ConsumedCapacity = in.of(t, d.billRead(bytes, in.ConsistentRead))
	return out, nil
}
