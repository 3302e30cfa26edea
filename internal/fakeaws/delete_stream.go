package fakeaws

type deleteStreamInput struct{ streamRef }

func (k *Kinesis) deleteStream(in *deleteStreamInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.streams, s.name)
	return nil, nil
}
