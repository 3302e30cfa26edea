package fakeaws

type describeStreamInput struct {
	streamRef
	Limit                 *int
	ExclusiveStartShardId string
}

// maxDescribed is the maximum number of shards in one answer.
const maxDescribed = 100

func (k *Kinesis) describeStream(in *describeStreamInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	limit, err := pageSize("limit", in.Limit, maxDescribed)
	if err != nil {
		return nil, err
	}
	shards, more := s.list(in.ExclusiveStartShardId, limit, k.horizon())
	description := k.describe(s)
	description["Shards"], description["HasMoreShards"] = shards, more
	return map[string]any{"StreamDescription": description}, nil
}

// describe returns the members that both descriptions of a stream have.
func (k *Kinesis) describe(s *stream) map[string]any {
	hours := 24
	if k.options.Retention > 0 {
		hours = max(1, int(k.options.Retention.Hours()))
	}
	return map[string]any{
		"StreamName":              s.name,
		"StreamARN":               k.arn(s.name),
		"StreamStatus":            "ACTIVE",
		"StreamModeDetails":       map[string]string{"StreamMode": "PROVISIONED"},
		"RetentionPeriodHours":    hours,
		"StreamCreationTimestamp": epochSeconds(s.created),
		"EnhancedMonitoring":      []any{map[string]any{"ShardLevelMetrics": []string{}}},
		"EncryptionType":          "NONE",
		"MaxRecordSizeInKiB":      k.options.MaxRecordBytes >> 10,
	}
}
