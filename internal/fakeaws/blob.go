package fakeaws

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
)

// blob is the data of a record, in base64 as received and sent.
type blob struct {
	present bool
	text    []byte
}

// UnmarshalJSON stores a string. It is checked later.
func (b *blob) UnmarshalJSON(raw []byte) error {
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	if *b = (blob{}); text != nil {
		*b = blob{present: true, text: []byte(*text)}
	}
	return nil
}

var errNotBase64 = errors.New("data is not base64")

// decodedSize returns the number of bytes encoded by base64 text, and the scratch buffer,
// which may have grown.
func decodedSize(text, scratch []byte) (int, []byte, error) {
	want := base64.StdEncoding.DecodedLen(len(text))
	if cap(scratch) < want {
		scratch = make([]byte, want)
	}
	n, err := base64.StdEncoding.Decode(scratch[:want], text)
	// The decoder skips line breaks, which must not occur in an answer.
	if padding := len(text) - len(bytes.TrimRight(text, "=")); err != nil || len(text)%4 != 0 || n != want-padding {
		return 0, scratch, errNotBase64
	}
	return n, scratch, nil
}

// blobHolder is an input that has blobs.
type blobHolder interface{ blobs() []*blob }

// unmarshal parses the JSON of an input. Data is most of a request and is kept as it is, so
// it is removed before encoding/json parses the rest. TestRequestSpelling_Success shows that
// the result is the same for other spellings, which encoding/json parses as a whole.
func unmarshal(body []byte, in any) error {
	h, ok := in.(blobHolder)
	if !ok {
		return json.Unmarshal(body, in)
	}
	mark := rand.Text() // a client cannot know it
	if rest, texts := liftBlobs(body, mark); texts != nil {
		if err := json.Unmarshal(rest, in); err == nil && restoreBlobs(h.blobs(), texts, mark) {
			return nil
		}
	}
	// The spelling is unusual, or the text is not JSON: parse it unchanged.
	return json.Unmarshal(body, in)
}

// liftBlobs replaces the texts of Data members by a mark and their number. In JSON the bytes
// `"Data":"` are always the end of a member's name and the start of its text. It returns no
// texts if it is unsure.
func liftBlobs(body []byte, mark string) (rest []byte, texts [][]byte) {
	const member = `"Data":"`
	for {
		i := bytes.Index(body, []byte(member))
		if i < 0 {
			return append(rest, body...), texts
		}
		text := body[i+len(member):]
		end := bytes.IndexByte(text, '"')
		if end < 0 || bytes.IndexByte(text[:end], '\\') >= 0 {
			return nil, nil
		}
		rest = append(rest, body[:i+len(member)]...)
		rest = append(rest, mark...)
		rest = strconv.AppendInt(rest, int64(len(texts)), 10)
		texts = append(texts, text[:end:end])
		body = text[end:]
	}
}

// restoreBlobs sets the texts of the blobs. It returns false if the texts do not belong to
// them, because texts of unknown members were lifted too.
func restoreBlobs(blobs []*blob, texts [][]byte, mark string) bool {
	for i, b := range blobs {
		if string(b.text) != mark+strconv.Itoa(i) {
			return false
		}
		b.text = texts[i]
	}
	return true
}
