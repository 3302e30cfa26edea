package fakeaws

type describeStreamSummaryInput struct{ streamRef }

func (k *Kinesis) describeStreamSummary(in *describeStreamSummaryInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName":              s.name,
		"StreamARN":               arnPrefix + s.name,
		"StreamStatus":            "ACTIVE",
		"StreamModeDetails":       map[string]string{"StreamMode": "PROVISIONED"},
		"OpenShardCount":          len(s.openShards()),
		"ConsumerCount":           0,
		"RetentionPeriodHours":    24,
		"StreamCreationTimestamp": epochSeconds(s.created.UnixMilli()),
		"EnhancedMonitoring":      []any{map[string]any{"ShardLevelMetrics": []string{}}},
		"EncryptionType":          "NONE",
	}}, nil
}
