package fakeaws

import (
	"maps"
	"slices"
)

type listStreamsInput struct {
	Limit                    *int
	ExclusiveStartStreamName string
	NextToken                string // the name of the last stream listed
}

// maxListedStreams is the maximum number of streams in one answer.
const maxListedStreams = 100

func (k *Kinesis) listStreams(in *listStreamsInput) (any, error) {
	limit, err := pageSize("limit", in.Limit, maxListedStreams)
	if err != nil {
		return nil, err
	}
	k.mu.RLock()
	names := slices.Sorted(maps.Keys(k.streams))
	k.mu.RUnlock()
	after := max(in.ExclusiveStartStreamName, in.NextToken)
	names = slices.DeleteFunc(names, func(name string) bool { return name <= after })
	result := map[string]any{"HasMoreStreams": len(names) > limit}
	if len(names) > limit {
		names = names[:limit]
		result["NextToken"] = names[limit-1]
	}
	result["StreamNames"] = names
	return result, nil
}

// pageSize returns the maximum number of items in an answer: asked, but at most most, which
// is also the default.
func pageSize(member string, asked *int, most int) (int, error) {
	switch {
	case asked == nil:
		return most, nil
	case *asked < 1 || *asked > 10_000:
		return 0, failf(codeValidation, "%s must be from 1 to 10000, it is %d", member, *asked)
	}
	return min(*asked, most), nil
}
