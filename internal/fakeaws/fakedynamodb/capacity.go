package fakedynamodb

// capacity of a request, by
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ConsumedCapacity.html
type capacity struct {
	TableName     string
	CapacityUnits float64
	Table         *units `json:",omitempty"`
}

type units struct{ CapacityUnits float64 }

// wish is how a request asks for its capacity: TOTAL, INDEXES, NONE or nothing.
type wish struct{ ReturnConsumedCapacity string }

// of is the capacity in the form that was asked for, nil if it was not.
func (w wish) of(t *table, n float64) *capacity {
	switch w.ReturnConsumedCapacity {
	case "TOTAL":
		return &capacity{TableName: t.name, CapacityUnits: n}
	case "INDEXES":
		return &capacity{TableName: t.name, CapacityUnits: n, Table: &units{n}}
	}
	return nil
}

// read bills bytes that were read, 4 KB to the unit, or two that need not be
// consistent. Nothing costs as much as a little.
func (d *DynamoDB) read(bytes int, consistent bool) float64 {
	n := blocks(bytes, 4<<10)
	if !consistent {
		n /= 2
	}
	d.usage.ReadUnits += n
	return n
}

// wrote bills the larger one of an item's two sizes, 1 KB to the unit.
func (d *DynamoDB) wrote(before, after item) float64 {
	n := blocks(max(before.size(), after.size()), 1<<10)
	d.usage.WriteUnits += n
	return n
}

func blocks(bytes, block int) float64 { return float64(max(1, (bytes+block-1)/block)) }
