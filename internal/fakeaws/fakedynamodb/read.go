package fakedynamodb

import "slices"

// readInput is what Scan and Query have in common.
type readInput struct {
	unsupported
	wish
	substitutes
	TableName            string
	ConsistentRead       bool
	FilterExpression     *string
	ProjectionExpression *string
	Select               string
	Limit                *int
	ExclusiveStartKey    item
}

type readOutput struct {
	Items            *[]item `json:",omitempty"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item      `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// reading is a Scan or Query that has been checked.
type reading struct {
	table  *table
	filter *bound
	paths  []path
	start  *row // read behind it; nil from the start
}

// prepare checks what Scan and Query have in common.
func (d *DynamoDB) prepare(in *readInput, x *expressions) (*reading, error) {
	r := &reading{
		filter: x.condition("FilterExpression", in.FilterExpression),
		paths:  x.projection(in.ProjectionExpression),
	}
	if err := x.done(); err != nil {
		return nil, err
	}
	switch {
	case in.Limit != nil && *in.Limit < 1:
		return nil, invalidf("Limit must be greater than or equal to 1")
	case !slices.Contains([]string{"", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"}, in.Select):
		return nil, invalidf("Select %q is not supported", in.Select)
	case (in.Select == "SPECIFIC_ATTRIBUTES") != (r.paths != nil) && in.Select != "":
		return nil, invalidf("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	}
	var err error
	if r.table, err = d.table(in.TableName); err != nil {
		return nil, err
	}
	for _, e := range x.used {
		if err := r.table.scalarKeys((&bound{e, x.substitutes}).named()); err != nil {
			return nil, err
		}
	}
	if in.ExclusiveStartKey != nil {
		if r.start, err = r.table.rowOfKey(in.ExclusiveStartKey); err != nil {
			return nil, invalidf("The provided starting key is invalid: %v", err)
		}
	}
	return r, nil
}

// page reads from rows until they end, or a limit comes. Where the limit comes
// with the last row there is one more, empty page, as in the service.
func (d *DynamoDB) page(in *readInput, r *reading, rows []*row) *readOutput {
	out := &readOutput{}
	items := []item{}
	bytes := 0
	for i, at := range rows {
		bytes += at.item.size()
		out.ScannedCount++
		if r.filter.holds(at.item) {
			out.Count++
			items = append(items, at.item.project(r.paths))
		}
		if (in.Limit != nil && i+1 == *in.Limit) || bytes >= d.options.PageBytes {
			out.LastEvaluatedKey = r.table.keyOf(at)
			break
		}
	}
	if in.Select != "COUNT" {
		out.Items = &items
	}
	out.ConsumedCapacity = in.of(r.table, d.read(bytes, in.ConsistentRead))
	return out
}
