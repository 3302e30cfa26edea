package fakedynamodb

import (
	"maps"
	"slices"
)

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

// listTables lists the tables sorted by name:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListTables.html
func (d *DynamoDB) listTables(in *listTablesInput) (any, error) {
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > 100 {
		return nil, invalidf("Limit must be between 1 and 100, it is %d", limit)
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(d.tables)), func(name string) bool { return name <= in.ExclusiveStartTableName })
	if len(names) <= limit {
		return map[string]any{"TableNames": append([]string{}, names...)}, nil
	}
	return map[string]any{"TableNames": names[:limit], "LastEvaluatedTableName": names[limit-1]}, nil
}
