package fakeaws

import "errors"

type putRecordsInput struct {
	streamRef
	Records []entry
}

func (in *putRecordsInput) blobs() []*blob {
	blobs := make([]*blob, len(in.Records))
	for i := range in.Records {
		blobs[i] = &in.Records[i].Data
	}
	return blobs
}

// Limits of a request:
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
const (
	maxPutRecords = 500
	maxPutBytes   = 10 << 20 // data and partition keys
)

func (k *Kinesis) putRecords(in *putRecordsInput) (any, error) {
	s, err := k.stream(in.streamRef)
	if err != nil {
		return nil, err
	}
	if n := len(in.Records); n < 1 || n > maxPutRecords {
		return nil, failf(codeValidation, "records must have 1 to %d members, they are %d", maxPutRecords, n)
	}
	size := 0
	var scratch []byte
	for i := range in.Records {
		if scratch, err = k.check(&in.Records[i], scratch); err != nil {
			return nil, err
		}
		size += in.Records[i].size
	}
	if size > maxPutBytes {
		return nil, failf(codeInvalidArgument, "Records size exceeds %d bytes: they have %d", maxPutBytes, size)
	}
	results, failed := make([]putResult, len(in.Records)), 0
	for i := range in.Records {
		if results[i], err = k.put(s, &in.Records[i]); err == nil {
			continue
		}
		api := &APIError{Code: codeInternal, Message: err.Error()}
		errors.As(err, &api)
		results[i] = putResult{ErrorCode: api.Code, ErrorMessage: api.Message}
		failed++
	}
	return map[string]any{"FailedRecordCount": failed, "Records": results, "EncryptionType": "NONE"}, nil
}
