package main

import (
	"errors"
	"time"
	"unsafe"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/encoder"
)

// rawMessage keeps the source text of a JSON value.
type rawMessage = sonic.NoCopyRawMessage

type envelope[M any] struct {
	MessageType string `json:"messageType"`
	Owner       string `json:"owner"`
	LogGroup    string `json:"logGroup"`
	LogStream   string `json:"logStream"`
	LogEvents   []struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   M      `json:"message"`
	} `json:"logEvents"`
}

type document[M any] struct {
	Time      string `json:"@timestamp"`
	Message   M      `json:"message"`
	LogGroup  string `json:"log_group"`
	LogStream string `json:"log_stream"`
	Owner     string `json:"owner"`
}

// newSonic returns a writer that decodes into structs. Strings without escapes are not copied:
// the envelope does not change while they are used.
func newSonic[M any]() writer {
	return func(dst, text []byte) ([]byte, error) {
		if sonic.APIKind != sonic.UseSonicJSON {
			return dst, errors.New("sonic does not support this Go version or CPU, and would use encoding/json")
		}
		var e envelope[M]
		if err := sonic.ConfigFastest.UnmarshalFromString(unsafe.String(unsafe.SliceData(text), len(text)), &e); err != nil {
			return dst, err
		}
		if e.MessageType != dataMessage {
			return dst, nil
		}
		d := document[M]{LogGroup: e.LogGroup, LogStream: e.LogStream, Owner: e.Owner}
		for i := range e.LogEvents {
			event := &e.LogEvents[i]
			at := time.UnixMilli(event.Timestamp).UTC()
			dst = appendAction(dst, event.ID, at)
			d.Time, d.Message = at.Format(timeLayout), event.Message
			if err := encoder.EncodeInto(&dst, &d, encoder.NoValidateJSONMarshaler); err != nil {
				return dst, err
			}
			dst = append(dst, '\n')
		}
		return dst, nil
	}
}
