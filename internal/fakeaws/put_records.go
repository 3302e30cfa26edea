package fakeaws

type putRecordsInput struct {
	streamRef
	Records []entry
}

// Bounds of a PutRecords request.
const (
	maxPutRecords = 500
	maxPutBytes   = 10 << 20
)

func (k *Kinesis) putRecords(in *putRecordsInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	if len(in.Records) < 1 || len(in.Records) > maxPutRecords {
		return nil, failf(codeValidation, "Records must have 1 to %d members", maxPutRecords)
	}
	size := 0
	for i := range in.Records {
		if err := in.Records[i].check(); err != nil {
			return nil, err
		}
		size += len(in.Records[i].Data) + len(in.Records[i].PartitionKey)
	}
	if size > maxPutBytes {
		return nil, failf(codeInvalidArgument, "Records size exceeds %d bytes", maxPutBytes)
	}
	results := make([]*putResult, len(in.Records))
	for i := range in.Records {
		if results[i], err = k.put(s, &in.Records[i]); err != nil {
			return nil, err
		}
	}
	return map[string]any{"FailedRecordCount": 0, "Records": results, "EncryptionType": "NONE"}, nil
}
