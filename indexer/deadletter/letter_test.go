package deadletter

import (
	"encoding/json"
	"strings"
	"testing"
)

// A payload is escaped in pieces, none of which ends within a rune. The payload itself
// may.
func TestAppendEscaped(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("\U0001F600\"\\\n\x01<\u2028é", 20_000)
	for pad := range 4 {
		want := strings.Repeat("x", pad) + whole
		for _, cut := range []string{"", "\xf0\x9f\x98", "\xc3"} {
			var got string
			escaped := appendEscaped([]byte{'"'}, []byte(want+cut))
			if err := json.Unmarshal(append(escaped, '"'), &got); err != nil || got != want {
				t.Errorf("behind %d bytes, with %q at its end: %d bytes of %d, %v", pad, cut, len(got), len(want), err)
			}
		}
	}
}

// Escaped control characters, quotes and separators count with the size of their escapes.
func TestEncodingOf(t *testing.T) {
	t.Parallel()
	f := func(payload, want string) {
		t.Helper()
		if got := EncodingOf([]byte(payload)); got != want {
			t.Errorf("%q: %s", payload, got)
		}
	}
	f("text", EncodingText)
	f(`""""""""`, EncodingText)
	f("\"\"\"\"\"\"\"\"\x01", EncodingBase64)
	f("\u2028\u2028\u2029\u2029", EncodingText)
	f("\u2028\u2028\u2029\u2029\x01", EncodingBase64)
	f("xxxxx\x01", EncodingText)
	f("xxx\x01", EncodingBase64)
	f("xxxx\xff", EncodingBase64)
}
