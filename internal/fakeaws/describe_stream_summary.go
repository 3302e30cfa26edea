package fakeaws

type describeStreamSummaryInput struct{ streamRef }

func (k *Kinesis) describeStreamSummary(in *describeStreamSummaryInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	summary := k.describe(s)
	s.mu.RLock()
	defer s.mu.RUnlock()
	summary["OpenShardCount"], summary["ConsumerCount"] = len(s.open), 0
	return map[string]any{"StreamDescriptionSummary": summary}, nil
}
