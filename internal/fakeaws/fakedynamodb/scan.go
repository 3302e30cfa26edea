package fakedynamodb

import (
	"math/bits"
	"sort"
)

type scanInput struct {
	readInput
	Segment, TotalSegments *uint64
}

const maxSegments = 1_000_000

// scan reads in the order of the hashes of the hash keys; a segment is a range
// of hashes:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
func (d *DynamoDB) scan(in *scanInput) (any, error) {
	r, err := d.prepare(&in.readInput, d.expressions(in.substitutes))
	if err != nil {
		return nil, err
	}
	rows := r.table.rows
	switch {
	case (in.Segment == nil) != (in.TotalSegments == nil):
		return nil, invalidf("The TotalSegments parameter is required but was not present in the request when parameter Segment is present, and the other way round")
	case in.Segment == nil:
	case *in.TotalSegments < 1 || *in.TotalSegments > maxSegments || *in.Segment >= *in.TotalSegments:
		return nil, invalidf("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	default:
		first := func(segment uint64) int {
			return sort.Search(len(rows), func(i int) bool {
				of, _ := bits.Mul64(rows[i].position, *in.TotalSegments)
				return of >= segment
			})
		}
		from, to := first(*in.Segment), first(*in.Segment+1)
		rows = rows[from:to]
	}
	if r.start != nil {
		rows = rows[sort.Search(len(rows), func(i int) bool { return rows[i].compare(r.start) > 0 }):]
	}
	return d.page(&in.readInput, r, rows), nil
}
