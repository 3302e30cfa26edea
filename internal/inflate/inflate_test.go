package inflate

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

// standard inflates a member by compress/gzip.
func standard(src []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	return io.ReadAll(r)
}

func TestRecords(t *testing.T) {
	members, _ := records(t, 20_000)
	var d Decoder
	for _, src := range members {
		want, _ := standard(src)
		got, n, err := d.Member(nil, src, 1<<30)
		if err != nil || n != len(src) || !bytes.Equal(got, want) {
			t.Fatal(n, len(src), len(got), len(want), err)
		}
	}
	t.Log(len(members))
}
