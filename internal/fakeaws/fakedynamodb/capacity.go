package fakedynamodb

// capacity is the capacity that a request consumed. See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ConsumedCapacity.html
type capacity struct {
	TableName     string
	CapacityUnits float64
	Table         *units `json:",omitempty"`
}

type units struct{ CapacityUnits float64 }

// capacityRequest is the part of a request that asks for the consumed capacity: TOTAL,
// INDEXES, NONE or nothing.
type capacityRequest struct{ ReturnConsumedCapacity string }

// of returns the capacity in the requested form, nil if it was not requested.
func (w capacityRequest) of(t *table, n float64) *capacity {
	switch w.ReturnConsumedCapacity {
	case "TOTAL":
		return &capacity{TableName: t.name, CapacityUnits: n}
	case "INDEXES":
		return &capacity{TableName: t.name, CapacityUnits: n, Table: &units{n}}
	}
	return nil
}

// billRead bills bytes that were read: one unit per 4 KB, or half a unit for an eventually
// consistent read. The minimum is one block.
func (d *DynamoDB) billRead(bytes int, consistent bool) float64 {
	n := blocks(bytes, 4<<10)
	if !consistent {
		n /= 2
	}
	d.usage.ReadUnits += n
	return n
}

// billWrite bills the larger of an item's sizes before and after a write: one unit per 1 KB.
func (d *DynamoDB) billWrite(before, after item) float64 {
	n := blocks(max(before.size(), after.size()), 1<<10)
	d.usage.WriteUnits += n
	return n
}

func blocks(bytes, block int) float64 { return float64(max(1, (bytes+block-1)/block)) }
