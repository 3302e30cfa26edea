package fakeaws

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
)

// blob is the data of a record: base64, as it came and as it will be sent.
type blob struct {
	present bool
	text    []byte
}

// UnmarshalJSON takes a string; it is checked later.
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

// decodedSize is the number of bytes that base64 stands for. The scratch space
// is used and given back.
func decodedSize(text, scratch []byte) (int, []byte, error) {
	want := base64.StdEncoding.DecodedLen(len(text))
	if cap(scratch) < want {
		scratch = make([]byte, want)
	}
	n, err := base64.StdEncoding.Decode(scratch[:want], text)
	// The decoder skips line ends, which must not get into an answer.
	if padding := len(text) - len(bytes.TrimRight(text, "=")); err != nil || len(text)%4 != 0 || n != want-padding {
		return 0, scratch, errNotBase64
	}
	return n, scratch, nil
}

// holder is an input that has blobs.
type holder interface{ blobs() []*blob }

// unmarshal reads the JSON of an input. Data is nearly all of a request and is
// kept as it is, so it is lifted out before encoding/json reads the rest.
func unmarshal(body []byte, in any) error {
	h, ok := in.(holder)
	if !ok {
		return json.Unmarshal(body, in)
	}
	mark := rand.Text() // that a client cannot have written
	if rest, texts := liftBlobs(body, mark); texts != nil {
		if err := json.Unmarshal(rest, in); err == nil && restoreBlobs(h.blobs(), texts, mark) {
			return nil
		}
	}
	// An unusual spelling, or not JSON at all: read it as it stands.
	return json.Unmarshal(body, in)
}

// liftBlobs replaces the texts of Data members by a mark and their number. In
// JSON the bytes `"Data":"` are the end of a member's name and the start of its
// text, wherever they stand. It gives no texts when it is in doubt.
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

// settle gives the blobs their texts. It reports whether the texts were theirs:
// those of members that no one knows were lifted too.
func restoreBlobs(blobs []*blob, texts [][]byte, mark string) bool {
	for i, b := range blobs {
		if string(b.text) != mark+strconv.Itoa(i) {
			return false
		}
		b.text = texts[i]
	}
	return true
}
