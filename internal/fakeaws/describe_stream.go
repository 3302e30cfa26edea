package fakeaws

type describeStreamInput struct {
	streamRef
	Limit                 *int
	ExclusiveStartShardId string
}

// maxDescribed is the most shards of one answer.
const maxDescribed = 10_000

func (k *Kinesis) describeStream(in *describeStreamInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxDescribed {
		return nil, failf(codeValidation, "Limit must be from 1 to %d", maxDescribed)
	}
	shards, more := s.list(in.ExclusiveStartShardId, limit)
	return map[string]any{"StreamDescription": map[string]any{
		"StreamName":              s.name,
		"StreamARN":               arnPrefix + s.name,
		"StreamStatus":            "ACTIVE",
		"StreamModeDetails":       map[string]string{"StreamMode": "PROVISIONED"},
		"Shards":                  shards,
		"HasMoreShards":           more,
		"RetentionPeriodHours":    24,
		"StreamCreationTimestamp": epochSeconds(s.created.UnixMilli()),
		"EnhancedMonitoring":      []any{map[string]any{"ShardLevelMetrics": []string{}}},
		"EncryptionType":          "NONE",
	}}, nil
}
