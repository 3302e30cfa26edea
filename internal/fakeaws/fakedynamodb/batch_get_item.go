package fakedynamodb

import (
	"maps"
	"slices"
)

type keysAndAttributes struct {
	unsupported
	Keys                     []item
	ConsistentRead           bool              `json:",omitempty"`
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
}

type batchGetItemInput struct {
	wish
	RequestItems map[string]keysAndAttributes
}

type batchGetItemOutput struct {
	Responses        map[string][]item
	UnprocessedKeys  map[string]any
	ConsumedCapacity []*capacity `json:",omitempty"`
}

const (
	maxBatch      = 100
	maxBatchBytes = 16 << 20
)

// batchGetItem gets what fits into an answer, in the order of the tables' names:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
func (d *DynamoDB) batchGetItem(in *batchGetItemInput) (any, error) {
	total := 0
	for _, keys := range in.RequestItems {
		total += len(keys.Keys)
		if err := keys.refused(); err != nil {
			return nil, err
		}
	}
	if total == 0 || total > maxBatch {
		return nil, invalidf("RequestItems must have between 1 and %d keys, it has %d", maxBatch, total)
	}
	out := batchGetItemOutput{Responses: make(map[string][]item), UnprocessedKeys: make(map[string]any)}
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		keys := in.RequestItems[name]
		x := d.expressions(substitutes{ExpressionAttributeNames: keys.ExpressionAttributeNames})
		paths := x.projection(keys.ProjectionExpression)
		if err := x.done(); err != nil {
			return nil, err
		}
		t, err := d.table(name)
		if err != nil {
			return nil, err
		}
		if err := t.scalarKeys(paths); err != nil {
			return nil, err
		}
		rows := make([]*row, len(keys.Keys))
		for i, key := range keys.Keys {
			if rows[i], err = t.rowOfKey(key); err != nil {
				return nil, err
			}
			if slices.ContainsFunc(rows[:i], func(r *row) bool { return r.compare(rows[i]) == 0 }) {
				return nil, invalidf("Provided list of item keys contains duplicates")
			}
		}
		n := 0.0
		found := make([]item, 0, len(rows))
		for i, r := range rows {
			_, it := t.find(r)
			if bytes += it.size(); bytes > maxBatchBytes {
				keys.Keys = keys.Keys[i:]
				out.UnprocessedKeys[name] = unprocessed(keys)
				break
			}
			n += d.read(it.size(), keys.ConsistentRead)
			if it != nil {
				found = append(found, it.project(paths))
			}
		}
		out.Responses[name] = found
		if c := in.of(t, n); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, c)
		}
	}
	return out, nil
}

// unprocessed is a part of a request, to be sent again as it is.
func unprocessed(k keysAndAttributes) map[string]any {
	m := map[string]any{"Keys": k.Keys, "ConsistentRead": k.ConsistentRead}
	if k.ProjectionExpression != nil {
		m["ProjectionExpression"] = k.ProjectionExpression
	}
	if k.ExpressionAttributeNames != nil {
		m["ExpressionAttributeNames"] = k.ExpressionAttributeNames
	}
	return m
}
