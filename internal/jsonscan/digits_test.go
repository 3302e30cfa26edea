package jsonscan

import (
	"strings"
	"testing"
)

// Counting eight bytes at a time gives the same as one by one, whichever byte ends the
// digits.
func TestDigits(t *testing.T) {
	t.Parallel()
	for before := range 17 {
		for c := range 256 {
			text := []byte(strings.Repeat("9", before) + string([]byte{byte(c)}) + strings.Repeat("0", 16))
			want := before
			if '0' <= c && c <= '9' {
				want = len(text)
			}
			if got, slow := Digits(text), digitsEnd(text, 0); got != want || slow != want {
				t.Fatalf("%q: %d digits, one by one %d, want %d", text, got, slow, want)
			}
			if got := Digits(text[:before]); got != before {
				t.Fatalf("%q: %d digits", text[:before], got)
			}
		}
	}
}
